"""A trained model under another vocabulary, and a model of a tokenizer."""

from typing import Any

import numpy as np
import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.data.vocabularies import extend, parts
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.models.vocabulary import change_vocabulary
from tests.attention_nmt.tiny import SIZES, tiny_batch
from tests.training.corpora import PAIRS

OPTIONS: dict[str, Any] = {name: size for name, size in SIZES.items() if "vocabulary" not in name}
TIES: dict[str, dict[str, Any]] = {
    "no ties": {},
    "output": {"tie_output": True, "readout_units": 6},
    "both": {"tie_output": True, "readout_units": 6, "tie_source": True},
}


@pytest.fixture(scope="module")
def tokenizers() -> list[Tokenizer]:
    """An English one, a French one, and one of other words."""
    english, french = ([pair[side] for pair in PAIRS] for side in (0, 1))
    other = ["Ostriches and elephants zigzag.", "Les autruches zigzaguent."] * 20
    return [
        Tokenizer.train(english, 290),
        Tokenizer.train(french, 286),
        Tokenizer.train(other, 282),
    ]


def test_a_model_of_tokenizers_has_their_sizes(tokenizers: list[Tokenizer]) -> None:
    english, french, _ = tokenizers
    model = Seq2Seq.from_tokenizer(english, french, **OPTIONS, name="mine", dtype="mixed_bfloat16")
    assert (model.source_vocabulary_size, model.target_vocabulary_size) == (290, 286)
    assert (model.name, model.compute_dtype) == ("mine", "bfloat16")
    shared = Seq2Seq.from_tokenizer(english, **OPTIONS, tie_source=True)
    assert (shared.source_vocabulary_size, shared.target_vocabulary_size) == (290, 290)
    with pytest.raises(TypeError, match="source_vocabulary_size"):
        Seq2Seq.from_tokenizer(english, french, source_vocabulary_size=290)


@pytest.mark.parametrize("name", TIES)
def test_known_pieces_keep_their_rows_and_others_are_means(
    name: str, tokenizers: list[Tokenizer]
) -> None:
    english, french, other = tokenizers
    old = (english, english) if name == "both" else (english, french)
    new = (other, other) if name == "both" else (other, extend(french, other))
    model = Seq2Seq.from_tokenizer(*old, **{**OPTIONS, **TIES[name]})
    changed = change_vocabulary(model, old, new)

    def expected(rows: Any, side: int) -> np.ndarray:
        means = [np.asarray(rows)[ids].mean(axis=0) for ids in parts(old[side], new[side])]
        return np.stack(means)

    assert model.source_embedding is not None
    assert changed.source_embedding is not None
    found = {
        "target": (model.target_embedding.embeddings, changed.target_embedding.embeddings, 1),
        "source": (model.source_embedding.embeddings, changed.source_embedding.embeddings, 0),
    }
    for before, after, side in found.values():
        np.testing.assert_allclose(after, expected(before, side), atol=1e-7)
    if model.output_projection is not None:
        columns = np.asarray(model.output_projection.kernel).T
        after = np.asarray(changed.output_projection.kernel).T
        np.testing.assert_allclose(after, expected(columns, 1), atol=1e-7)
    for part in ("encoder", "decoder"):
        pairs = zip(getattr(model, part).weights, getattr(changed, part).weights, strict=True)
        for one, copy in pairs:
            np.testing.assert_array_equal(copy, one)


def test_an_extended_model_says_of_known_pieces_what_it_said(tokenizers: list[Tokenizer]) -> None:
    english, _, other = tokenizers
    model = Seq2Seq.from_tokenizer(english, **OPTIONS)
    extended = extend(english, other)
    changed = change_vocabulary(model, (english, english), (extended, extended))
    inputs, _, _ = tiny_batch([(4, 3), (2, 5)], vocabulary=290)
    assert changed.target_vocabulary_size > 290
    np.testing.assert_allclose(changed(inputs)[..., :290], model(inputs), atol=1e-6)


def test_other_tokenizers_than_the_model_has_are_refused(tokenizers: list[Tokenizer]) -> None:
    english, french, other = tokenizers
    model = Seq2Seq.from_tokenizer(english, **OPTIONS, tie_source=True)
    with pytest.raises(ValueError, match=r"`old` must be tokenizers of \(290, 290\) pieces"):
        change_vocabulary(model, (english, french), (other, other))
    same_size = Tokenizer.train([pair[0].upper() for pair in PAIRS], 282)
    with pytest.raises(ValueError, match="`new` must be the same tokenizer twice"):
        change_vocabulary(model, (english, english), (other, same_size))
