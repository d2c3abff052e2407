"""A trained model under another vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import keras
import numpy as np
from keras import ops

from attention_nmt.checks import require

if TYPE_CHECKING:
    from attention_nmt.data.source_tokenizer import SourceTokenizer
    from attention_nmt.data.tokenizer import Tokenizer


class VocabularyWeight(NamedTuple):
    """A weight of which each piece has a row or a column."""

    variable: keras.Variable
    axis: int  # the one of the pieces
    is_source: bool  # whether they are the source's or the target's


class Resizable(Protocol):
    """A translation model that can be made anew for vocabularies of other sizes."""

    @property
    def source_vocabulary_size(self) -> int:
        """Pieces of the source language."""

    @property
    def target_vocabulary_size(self) -> int:
        """`V`, pieces of the target language."""

    @property
    def weights(self) -> list[keras.Variable]:
        """All weights, in an order that the options give."""

    def resized(self, source_vocabulary_size: int, target_vocabulary_size: int) -> Resizable:
        """A new model of the same class and options, with first weights."""

    def vocabulary_weights(self) -> list[VocabularyWeight]:
        """The weights with a row or a column for each piece."""


def change_vocabulary(
    model: Resizable,
    old: tuple[SourceTokenizer, Tokenizer],
    new: tuple[SourceTokenizer, Tokenizer],
) -> Any:
    """The model with other tokenizers, to be trained on.

    A piece that was there keeps its rows. Another one has the means of the rows of the pieces that
    the old tokenizer makes of it. All other weights are the model's.

    Args:
        model: a trained model; it stays as it is. The new one is not compiled.
        old: its tokenizers, of source and target.
        new: the other ones.

    Returns:
        A model of the same class.

    Raises:
        ValueError: the model is not one of the old tokenizers, or its options do not go with the
            new ones, as one embedding for both languages with two vocabularies.
    """
    from attention_nmt.data.vocabularies import parts

    sizes = (model.source_vocabulary_size, model.target_vocabulary_size)
    given = tuple(tokenizer.vocabulary_size for tokenizer in old)
    require(given == sizes, "old", f"tokenizers of {sizes} pieces, as the model has", given)

    source, target = (parts(*pair) for pair in zip(old, new, strict=True))
    changed = model.resized(len(source), len(target))
    of_pieces = {id(one.variable): one for one in changed.vocabulary_weights()}

    shared = old[0].content == old[1].content
    shares = shared and not any(one.is_source for one in of_pieces.values())
    equal = new[0].content == new[1].content
    expected = "the same tokenizer twice: the model has one embedding for both languages"
    require(equal or not shares, "new", expected, "two tokenizers")

    for variable, trained in zip(changed.weights, model.weights, strict=True):
        value = ops.convert_to_numpy(trained)
        if id(variable) in of_pieces:
            weight = of_pieces[id(variable)]
            rows = np.moveaxis(value, weight.axis, 0)
            pieces = source if weight.is_source else target
            means = [rows[ids].mean(axis=0) for ids in pieces]
            value = np.moveaxis(np.stack(means), 0, weight.axis)
        variable.assign(value)
    return changed
