"""What translating gives: tensors in a graph, and for people the translations and alignments of
single sentences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class TranslationTensors(NamedTuple):
    """What a graph gives for `B` sentences, `N` translations each, the best first."""

    texts: tf.Tensor  # [B, N] string
    scores: tf.Tensor  # [B, N] float32
    source_tokens: tf.Tensor  # [B, S] string, the end symbol included, padding empty
    target_tokens: tf.Tensor  # [B, N, T] string, likewise
    alignments: tf.Tensor | None  # [B, N, T, S]
    truncated: tf.Tensor  # [B] bool: the source was longer than allowed, and cut


class PairTensors(NamedTuple):
    """What a model thinks of `B` given translations."""

    target_tokens: tf.Tensor  # [B, T] string, the end symbol included, padding empty
    token_log_probabilities: tf.Tensor  # [B, T] float32, 0 on padding
    log_probability: tf.Tensor  # [B] float32: their sum
    truncated: tf.Tensor  # [B] bool: one of the texts was longer than allowed, and cut


class Translation(NamedTuple):
    """One translation of one sentence; `T` and `S` are its own lengths, the end symbols
    included."""

    text: str
    score: float
    """The log-probability over the length penalty, plus the coverage penalty where a beam of 2 or
    more has one."""
    source_tokens: list[str]
    target_tokens: list[str]
    alignment: np.ndarray | None  # [T, S], each row sums to 1
    truncated: bool = False
    """Whether the source was longer than `SearchConfig.maximum_source_length`, and only its
    beginning translated."""


class Alignment(NamedTuple):
    """Which source tokens a given target reads at each of its tokens; the end symbols are
    included."""

    source_tokens: list[str]
    target_tokens: list[str]
    weights: np.ndarray  # [T, S], each row sums to 1


def tokens_of(row: np.ndarray) -> list[str]:
    """The tokens of one sentence `[T]` without the padding."""
    return [token.decode(errors="replace") for token in row if token]


def unpack(tensors: TranslationTensors) -> list[list[Translation]]:
    """The translations of a batch without their padding."""
    texts, scores, sources, targets = (x.numpy() for x in tensors[:4])
    alignments = None if tensors.alignments is None else tensors.alignments.numpy()
    truncated = tensors.truncated.numpy().tolist()
    unpacked = []
    for b, source in enumerate(sources):
        source_tokens = tokens_of(source)
        row = []
        for n in range(texts.shape[1]):
            tokens = tokens_of(targets[b, n])
            alignment = (
                None
                if alignments is None
                else alignments[b, n, : len(tokens), : len(source_tokens)]
            )
            text = texts[b, n].decode(errors="replace")
            row.append(
                Translation(
                    text, float(scores[b, n]), source_tokens, tokens, alignment, truncated[b]
                )
            )
        unpacked.append(row)
    return unpacked
