"""Translations of the dev sentences by a model that trains.

`TranslatorEvaluator` is for TensorFlow; `SearchEvaluator` needs Keras only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import keras
import numpy as np
from keras import ops

from attention_nmt import backend
from attention_nmt.checks import require
from attention_nmt.config import WORD_PRODUCTS_BYTES, SearchConfig
from attention_nmt.models.interface import TranslationModel
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import longest_translation, search_model
from attention_nmt.types import SpecialIds, Tensor

from .folder import Tokenizers

if TYPE_CHECKING:
    from attention_nmt.translation.translator import Translator

PICTURES = 3
"""Sentences whose alignments are drawn, the first ones."""

DEV_ROWS = 128
"""Dev sentences that `SearchEvaluator` translates together."""

DEV_STEP = 8
"""The multiple to which the lengths of their sources are padded.

A search is compiled for each length.
"""


class Drawing(NamedTuple):
    """The alignment of one translation, end symbols included."""

    source_tokens: list[str]  # S
    target_tokens: list[str]  # T
    weights: np.ndarray  # [T, S]


class DevTranslations(NamedTuple):
    """The translations of all dev sentences, and the alignments of some."""

    texts: list[str]
    drawings: list[Drawing]


class Evaluator(Protocol):
    """Translates the dev sentences by a model's weights as they are when it is called."""

    def __call__(self) -> DevTranslations:
        """Translates all dev sentences."""


def check_search(model: TranslationModel, search: SearchConfig) -> None:
    """Checks that a model can be searched with these settings.

    Raises:
        ValueError: a coverage penalty goes with a model that does not align.
    """
    covering = 0.0 if model.aligns else search.coverage_penalty
    require(not covering, "coverage_penalty", "0 for a model without attention", covering)


class TranslatorEvaluator:
    """Translates by a `Translator`, the search that serves.

    Args:
        translator: of the model that trains.
        sources: the dev sentences.
    """

    def __init__(self, translator: Translator, sources: Sequence[str]) -> None:
        self.translator = translator.frozen()
        self.sources = sources

    def __call__(self) -> DevTranslations:
        """Translates all dev sentences."""
        self.translator.refresh()
        translations = self.translator(self.sources, alignments=False)

        drawings = []
        for translation in self.translator(self.sources[:PICTURES]):
            if translation.alignment is not None:
                drawing = Drawing(
                    translation.source_tokens,
                    translation.target_tokens,
                    translation.alignment,
                )
                drawings.append(drawing)
        return DevTranslations([translation.text for translation in translations], drawings)


class SearchEvaluator:
    """Translates by a search that is compiled once for each length of sources.

    Args:
        model: the model that trains.
        tokenizers: the run's.
        search: the way to search.
        sources: the ids of each dev sentence, its end symbol included.

    Raises:
        ValueError: as `check_search`.
    """

    def __init__(
        self,
        model: TranslationModel,
        tokenizers: Tokenizers,
        search: SearchConfig,
        sources: Sequence[Sequence[int]],
    ) -> None:
        check_search(model, search)
        self.model = model
        self.tokenizers = tokenizers
        self.search = search
        self.sources = sources
        self._search = self._compiled(self._search_ids)
        self._align = self._compiled(model.align)

    def _compiled(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A compiled function of weights for the model's variables, and of what `function` takes.

        The weights of a model that trains are no constants.
        """
        variables = self.model.variables  # type: ignore[attr-defined]

        def with_weights(weights: list[Tensor], *arguments: Any) -> Tensor:
            mapping = list(zip(variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*arguments)

        run = backend.compiled(with_weights, jit_compile=False)

        def call(*arguments: Any) -> Tensor:
            return run([ops.convert_to_numpy(variable) for variable in variables], *arguments)

        return call

    def _search_ids(self, source: Tensor) -> Tensor:
        """The ids `[B, T]` of the best translation of each source `[B, S]`."""
        length = longest_translation(source.shape[1], self.search)
        found = search_model(
            self.model,
            source,
            self.search,
            special=self.tokenizers.target.special,
            weights=self.model.search_weights(WORD_PRODUCTS_BYTES),
            alignments=False,
            loop=LoopOptions(static_length=length),
        )
        return found.ids[:, 0]

    def __call__(self) -> DevTranslations:
        """Translates all dev sentences."""
        target = self.tokenizers.target
        found: list[list[int]] = [[] for _ in self.sources]
        for indices, source in self._batches():
            rows = np.asarray(self._search(source)).tolist()
            for index, ids in zip(indices, rows, strict=False):
                found[index] = _before_end(ids, target.special)

        # The translation of a text without words is empty.
        least = 1 + len(self.tokenizers.source.source_prefix)
        for index, ids in enumerate(self.sources):
            if len(ids) <= least:
                found[index] = []

        texts = target.decode(found)
        return DevTranslations(texts, self._drawings(found[:PICTURES]))

    def _batches(self) -> Iterator[tuple[list[int], np.ndarray]]:
        """Dev sentences of about one length: their indices, and their ids `[DEV_ROWS, S]`."""
        order = sorted(range(len(self.sources)), key=lambda index: len(self.sources[index]))
        for begin in range(0, len(order), DEV_ROWS):
            indices = order[begin : begin + DEV_ROWS]
            yield indices, self._rows(indices, DEV_ROWS)

    def _rows(self, indices: Sequence[int], count: int) -> np.ndarray:
        """The ids `[count, S]` of some dev sentences; rows beyond them hold an end symbol."""
        special = self.tokenizers.source.special
        longest = max(len(self.sources[index]) for index in indices)
        width = -(-longest // DEV_STEP) * DEV_STEP

        source = np.full((count, width), special.pad, np.int32)
        source[:, 0] = special.end
        for row, index in enumerate(indices):
            ids = self.sources[index]
            source[row, : len(ids)] = ids
        return source

    def _drawings(self, translations: list[list[int]]) -> list[Drawing]:
        """The alignments of the first dev sentences, by forced decoding."""
        if not self.model.aligns:
            return []

        count = len(translations)
        special = self.tokenizers.target.special
        source = self._rows(range(count), count)
        target = np.full((count, longest_translation(source.shape[1], self.search)), special.pad)
        target[:, 0] = special.start
        for row, ids in enumerate(translations):
            target[row, 1 : len(ids) + 1] = ids[: target.shape[1] - 1]

        inputs = {"source": source, "target": target.astype(np.int32)}
        weights = np.asarray(self._align(inputs))

        drawings = []
        for row, ids in enumerate(translations):
            source_tokens = self.tokenizers.source.tokens(self.sources[row])
            target_tokens = self.tokenizers.target.tokens([*ids, special.end])
            here = weights[row, : len(target_tokens), : len(source_tokens)]
            drawings.append(Drawing(source_tokens, target_tokens[: len(here)], here))
        return drawings


def _before_end(ids: list[int], special: SpecialIds) -> list[int]:
    """The ids before the first end symbol or padding."""
    return list(itertools.takewhile(lambda piece: piece not in (special.end, special.pad), ids))
