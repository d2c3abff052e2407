"""KerasHub's tokenizers for the sources of a pretrained encoder."""

from pathlib import Path
from typing import Any

import keras_hub
import pytest
import tensorflow as tf

from attention_nmt.data.hub_tokenizer import HubTokenizer
from attention_nmt.data.source_tokenizer import read_source_tokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.tiny import tiny_model
from tests.hub_presets import KINDS

TEXTS = [
    "The black dog sees a white cat.",
    "",
    "Zebra \u65e5\u672c \u00bd </s> [SEP]",
    "A dog.",
    "A dog \0 sees.",
]


# Byte pairs take a graph seconds for each text.
SLOW = {"roberta"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.long) if kind in SLOW else kind for kind in KINDS],
)
def hub(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]()[1]


def test_ids_are_those_of_keras_hub_plus_1(hub: Any) -> None:
    tokenizer = HubTokenizer(hub)
    expected = [[i + 1 for i in hub.tokenize(text.replace("\0", ""))] for text in TEXTS]
    assert tokenizer.encode(TEXTS) == expected
    assert tokenizer.sample(TEXTS, (1, 2), 0.5) == expected

    start, end = hub.start_token_id + 1, hub.end_token_id + 1
    framed = [[start, *ids, end] for ids in expected]
    assert tokenizer.source_ids(TEXTS, 1000) == framed
    assert tokenizer.source_ids(TEXTS, 5) == [[start, *ids[:3], end] for ids in expected]
    assert (tokenizer.special.pad, tokenizer.special.start, tokenizer.special.end) == (
        0,
        start,
        end,
    )
    assert tokenizer.source_prefix == (start,)
    assert tokenizer.vocabulary_size == hub.vocabulary_size() + 1

    strings = [hub.id_to_token(i - 1) for i in expected[0]]
    assert tokenizer.tokens(expected[0]) == strings
    pieces = tokenizer.pieces(tf.constant([[*expected[0], 0]]))
    assert [piece.decode() for piece in pieces.numpy()[0]] == [*strings, ""]


def test_a_graph_flags_what_is_cut_and_what_is_empty(hub: Any) -> None:
    tokenizer = HubTokenizer(hub)
    made = tf.function(lambda texts: tokenizer.graph.source_ids(texts, 8))(tf.constant(TEXTS))
    lengths = [len(ids) for ids in tokenizer.encode(TEXTS)]
    assert made.empty.numpy().tolist() == [length == 0 for length in lengths]
    assert made.truncated.numpy().tolist() == [length > 6 for length in lengths]
    assert made.ids.shape[1] == 8


def test_its_file_is_one_of_its_own(hub: Any, tmp_path: Path) -> None:
    tokenizer = HubTokenizer(hub)
    tokenizer.save(tmp_path / "tokenizer.model")
    content = (tmp_path / "tokenizer.model").read_bytes()
    loaded = read_source_tokenizer(content)
    assert isinstance(loaded, HubTokenizer)
    assert loaded.encode(TEXTS) == tokenizer.encode(TEXTS)
    assert loaded.content == content == HubTokenizer(type(hub).from_config(_whole(hub))).content


def _whole(hub: Any) -> dict[str, Any]:
    """The config of a tokenizer with its vocabulary, of which another one is made."""
    config = hub.get_config()
    if hasattr(hub, "merges"):
        return {**config, "vocabulary": dict(hub.vocabulary), "merges": list(hub.merges)}
    if hasattr(hub, "proto"):
        return {**config, "proto": hub.proto}
    return {**config, "vocabulary": hub.get_vocabulary()}


def test_one_without_a_form_in_graphs_is_refused() -> None:
    class Letters(keras_hub.tokenizers.Tokenizer):
        start_token_id, end_token_id = 0, 1

        def tokenize(self, inputs: Any) -> list[int]:
            return [ord(letter) for letter in inputs.numpy().decode()]

    with pytest.raises(ValueError, match="`hub` must be a tokenizer with a form in graphs"):
        HubTokenizer(Letters())


def test_one_without_start_and_end_is_refused() -> None:
    expected = "`hub` must be a tokenizer with a start and an end symbol"
    with pytest.raises(ValueError, match=expected):
        HubTokenizer(keras_hub.tokenizers.WordPieceTokenizer(vocabulary=["[UNK]", "a"]))
    with pytest.raises(TypeError, match="`hub` must be a tokenizer of KerasHub"):
        HubTokenizer("bert")
    padded = keras_hub.models.BertTokenizer(
        vocabulary=KINDS["bert"]()[1].get_vocabulary(), sequence_length=9
    )
    with pytest.raises(ValueError, match="`sequence_length` must be left out of the tokenizer"):
        HubTokenizer(padded)


def test_what_is_no_file_of_one_is_refused() -> None:
    content = bytearray(HubTokenizer(KINDS["bert"]()[1]).content)
    content[80:90] = b"0123456789"
    for damaged in (b"PK\x03\x04 and no more", bytes(content)):
        with pytest.raises(ValueError, match="expected a tokenizer of KerasHub"):
            read_source_tokenizer(damaged)


def test_texts_are_strings() -> None:
    tokenizer = HubTokenizer(KINDS["bert"]()[1])
    with pytest.raises(TypeError, match="Received one string: 'A dog"):
        tokenizer.encode("A dog.")
    with pytest.raises(TypeError, match="at index 1: None"):
        tokenizer.encode(["A dog.", None])  # type: ignore[list-item]
    broken = tokenizer.encode([b"a dog \xff", "a dog \ud800"])
    assert broken[0] == tokenizer.encode(["a dog \ufffd"])[0]


def test_a_target_has_another_one(tokenizer: Tokenizer) -> None:
    hub = HubTokenizer(KINDS["bert"]()[1])
    model = tiny_model(
        source_vocabulary_size=tokenizer.vocabulary_size,
        target_vocabulary_size=hub.vocabulary_size,
    )
    with pytest.raises(TypeError, match="`target_tokenizer` must be a Tokenizer"):
        Translator(model, tokenizer, target_tokenizer=hub)  # type: ignore[arg-type]
