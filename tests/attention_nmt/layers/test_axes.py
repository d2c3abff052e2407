"""A tensor of other axes, or something else, is refused, and the message says what was expected."""

from collections.abc import Callable

import numpy as np
import pytest

from attention_nmt.checks import require_axes, require_ids
from attention_nmt.layers.attention import (
    Attention,
    BahdanauAttention,
    FixedContext,
    LuongAttention,
    Memory,
)
from attention_nmt.layers.decoder import Decoder
from attention_nmt.layers.encoder import Encoder
from attention_nmt.layers.recurrent import Recurrent

FEATURES = np.ones((4, 5, 4), np.float32)
MASK = np.ones((4, 5), bool)
ATTENTIONS: dict[str, Callable[[], Attention]] = {
    "bahdanau": lambda: BahdanauAttention(4),
    "luong general": lambda: LuongAttention("general"),
    "luong dot": lambda: LuongAttention("dot"),
    "fixed": FixedContext,
}


def built(name: str) -> Attention:
    attention = ATTENTIONS[name]()
    attention.build((None, None, 4), Memory((None, None, 4), None, (None, None)))
    return attention


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_query_without_an_axis_of_queries(name: str) -> None:
    """With as many sentences as units, Luong's attention broadcast it to `[B, B, D]`."""
    attention = built(name)
    memory = attention.prepare(FEATURES, MASK)
    assert attention(np.ones((4, 1, 4), np.float32), memory)[0].shape == (4, 1, 4)
    with pytest.raises(ValueError, match=r"`query` must be of shape \[B, Q, H\]\. .*\(4, 4\)"):
        attention(np.ones((4, 4), np.float32), memory)


@pytest.mark.parametrize("is_built", [False, True], ids=["first call", "later"])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_annotations_that_were_not_prepared(name: str, is_built: bool) -> None:
    attention = built(name) if is_built else ATTENTIONS[name]()
    with pytest.raises(TypeError, match="`memory` must be what `prepare` gives") as caught:
        attention(np.ones((4, 1, 4), np.float32), FEATURES)
    assert "(4, 5, 4)" in str(caught.value)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_annotations_or_a_mask_of_other_axes(name: str) -> None:
    attention = built(name)
    with pytest.raises(ValueError, match=r"`annotations` must be of shape \[B, S, D\]"):
        attention.prepare(MASK, MASK)
    with pytest.raises(ValueError, match=r"`mask` must be of shape \[B, S\]\. Received: \(5,\)"):
        attention.prepare(FEATURES, MASK[0])
    with pytest.raises(TypeError, match=r"`mask` must be a tensor \[B, S\]\. Received: None"):
        attention.prepare(FEATURES, None)


def test_a_mask_of_integers_is_one_of_words() -> None:
    attention = built("bahdanau")
    mask = MASK & (np.arange(5) < 2)
    plain = attention.prepare(FEATURES, mask)
    np.testing.assert_array_equal(attention.prepare(FEATURES, 2 * mask).bias, plain.bias)


def test_an_encoder_s_mask_for_one_sentence() -> None:
    """It was taken for a mask of positions of all sentences."""
    with pytest.raises(ValueError, match=r"`mask` must be of shape \[B, S\]\. Received: \(5,\)"):
        Encoder(4)(FEATURES, MASK[0])
    with pytest.raises(ValueError, match=r"`embedded` must be of shape \[B, S, E\]"):
        Encoder(4)(MASK, MASK)


def test_other_layers() -> None:
    with pytest.raises(ValueError, match=r"`inputs` must be of shape \[S, B, E\]"):
        Recurrent(4)(FEATURES[0])
    decoder = Decoder(4, 3, BahdanauAttention(4))
    memory = decoder.attention.prepare(FEATURES, MASK)
    with pytest.raises(ValueError, match=r"`summary` must be of shape \[B, N\]"):
        decoder(FEATURES, FEATURES, memory)
    with pytest.raises(TypeError, match="`memory` must be what `prepare` gives"):
        decoder(FEATURES, FEATURES[:, 0], FEATURES)


def test_ids() -> None:
    require_ids("source", np.ones((2, 3), np.int64), "[B, S]")
    for wrong in ([[5, 6]], np.array([["a"]]), np.ones((2, 3)), None):
        with pytest.raises(TypeError, match=r"`source` must be a tensor \[B, S\]"):
            require_ids("source", wrong, "[B, S]")


def test_a_long_value_is_cut_in_a_message() -> None:
    with pytest.raises(TypeError) as caught:
        require_axes("source", ["word"] * 1000, "[B, S]")
    assert len(str(caught.value)) < 300
