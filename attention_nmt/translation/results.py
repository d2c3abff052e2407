"""The results of translating: tensors in a graph, and for people those of single sentences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attention_nmt.drawing.html import translation_html
from attention_nmt.types import Tensor


class TranslationTensors(NamedTuple):
    """The `N` best translations of each of `B` sentences, the best first."""

    texts: Tensor  # [B, N] string
    scores: Tensor  # [B, N] float32
    source_tokens: Tensor  # [B, S] string, the end symbol included, padding empty
    target_tokens: Tensor  # [B, N, T] string, likewise
    alignments: Tensor | None  # [B, N, T, S]
    truncated: Tensor  # [B] bool: the source was longer than allowed, and cut


class PairTensors(NamedTuple):
    """The log-probabilities, in nats, of `B` given translations."""

    target_tokens: Tensor  # [B, T] string, the end symbol included, padding empty
    token_log_probabilities: Tensor  # [B, T] float32, 0 on padding
    log_probability: Tensor  # [B] float32: their sum
    truncated: Tensor  # [B] bool: one of the texts was longer than allowed, and cut


class AlignmentTensors(NamedTuple):
    """The alignments of `B` given translations."""

    source_tokens: Tensor  # [B, S] string, the end symbol included, padding empty
    target_tokens: Tensor  # [B, T] string, likewise
    weights: Tensor  # [B, T, S]


class Translation(NamedTuple):
    """One translation of one sentence; `T` and `S` are its own lengths, end symbols included."""

    text: str
    score: float
    """The log-probability over the length penalty, plus the coverage penalty where a beam of 2 or
    more has one."""
    source_tokens: list[str]
    target_tokens: list[str]
    alignment: np.ndarray | None
    """`[T, S]`; each row sums to 1."""
    truncated: bool = False
    """Whether the source was longer than `SearchConfig.maximum_source_length`, and only its
    beginning translated."""

    def __repr__(self) -> str:
        """One line: the alignment of a sentence has hundreds of numbers."""
        cut = ", truncated=True" if self.truncated else ""
        return f"Translation({self.text!r}, score={self.score:.3f}{cut})"

    def _repr_html_(self) -> str:
        """What a notebook shows: pointing at a piece lights up what was read for it."""
        return translation_html(self.source_tokens, self.target_tokens, self.alignment)


class Alignment(NamedTuple):
    """The source tokens that a given target reads at each of its tokens, end symbols included."""

    source_tokens: list[str]
    target_tokens: list[str]
    weights: np.ndarray
    """`[T, S]`; each row sums to 1."""

    def _repr_html_(self) -> str:
        """What a notebook shows: pointing at a piece lights up what was read for it."""
        return translation_html(self.source_tokens, self.target_tokens, self.weights)


def tokens_of(row: np.ndarray) -> list[str]:
    """The tokens of one sentence `[T]` without the padding."""
    return [token.decode(errors="replace") for token in row if token]


def unpack(tensors: TranslationTensors) -> list[list[Translation]]:
    """The translations of each sentence of a batch, without their padding."""
    batch = TranslationTensors._make(None if x is None else x.numpy() for x in tensors)

    return [_translations(batch, b) for b in range(len(batch.texts))]


def unpack_alignments(tensors: AlignmentTensors) -> list[Alignment]:
    """The alignment of each pair of a batch, without its padding."""
    found = []
    for source_row, target_row, weights in zip(*(x.numpy() for x in tensors), strict=True):
        source = tokens_of(source_row)
        target = tokens_of(target_row)
        found.append(Alignment(source, target, weights[: len(target), : len(source)]))

    return found


def _translations(batch: TranslationTensors, b: int) -> list[Translation]:
    """The translations of sentence `b` of a batch of arrays."""
    return [_translation(batch, b, n) for n in range(batch.texts.shape[1])]


def _translation(batch: TranslationTensors, b: int, n: int) -> Translation:
    """Translation `n` of sentence `b` of a batch of arrays."""
    source = tokens_of(batch.source_tokens[b])
    target = tokens_of(batch.target_tokens[b, n])

    alignment = None
    if batch.alignments is not None:
        alignment = batch.alignments[b, n, : len(target), : len(source)]

    return Translation(
        text=batch.texts[b, n].decode(errors="replace"),
        score=float(batch.scores[b, n]),
        source_tokens=source,
        target_tokens=target,
        alignment=alignment,
        truncated=bool(batch.truncated[b]),
    )
