"""The likeliest next pieces of hypotheses."""

from __future__ import annotations

import math
from typing import NamedTuple

from keras import ops

from attention_nmt.backend import select, take
from attention_nmt.types import Tensor

IMPOSSIBLE = -1e9
"""The log-probability of the impossible.

It is far below any sum of real ones, and finite so that differences are.
"""

SMALLEST_CHUNK = 8
"""The fewest pieces of a chunk of the vocabulary for which chunks are worth their operations."""

SHORTLIST_CHUNK = 16
"""The pieces of a chunk of a shortlist, of whose length a graph knows nothing."""


class Continuations(NamedTuple):
    """Hypotheses with one more piece, `N` of each sentence.

    They are in order of their log-probabilities, but for those whose piece is padding.
    """

    log_probabilities: Tensor  # [B, N]; IMPOSSIBLE where the piece is padding
    ids: Tensor  # [B, N] int32: the pieces
    slots: Tensor  # [B, N] int32: which hypotheses they continue


def best_continuations(
    logits: Tensor, before: Tensor, count: int, pad: int, pieces: Tensor | None = None
) -> Continuations:
    """The likeliest continuations of each sentence's hypotheses, all of them together.

    Padding is no choice, since it stands behind the end symbol and nowhere else. Each hypothesis
    may have it among its likeliest pieces, so that there is one continuation more for each.

    Args:
        logits: `[B, K, V]`, or `[B, K, N]` of some pieces.
        before: log-probabilities of the hypotheses, `[B, K]` or what broadcasts to it; `K` is known
            of them.
        count: how many likeliest continuations are to be among those given.
        pad: the id of padding.
        pieces: ids of these pieces `[N]`; all, if none are given. Where a graph does not know `N`,
            it is as `whole_chunks` makes it.

    Returns:
        Some `count + K`, or as many as there are.
    """
    logits = ops.cast(logits, "float32")
    hypotheses = before.shape[1]
    number = count + hypotheses
    known = logits.shape[-1]
    size = ops.shape(logits)[-1]
    if known is not None:
        number = min(number, hypotheses * known)
        chunk = _chunk(known, hypotheses, number)
    else:
        chunk = 1 if pieces is None else SHORTLIST_CHUNK

    # With the number of rows, a length that is no multiple of a chunk fails, and mixes no rows.
    shape = (ops.shape(logits)[0], hypotheses, size // chunk, chunk)
    best, where = _best_of_chunks(ops.reshape(logits, shape), before, _highest(logits), number)
    ids = where % size
    if pieces is not None:
        ids = ops.cast(take(pieces, ids), "int32")
    possible = ops.where(ops.equal(ids, pad), IMPOSSIBLE, best)
    return Continuations(log_probabilities=possible, ids=ids, slots=where // size)


def _highest(logits: Tensor) -> Tensor:
    """The log-probability of each hypothesis' likeliest piece `[B, K]`.

    Backends have the softmax as one operation, and not its normalizer.
    """
    return ops.log(ops.max(ops.softmax(logits, axis=-1), axis=-1))


def _best_of_chunks(
    chunks: Tensor, before: Tensor, highest: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """The likeliest continuations of sentences, whose logits lie in chunks of the vocabulary.

    They are in the `count` chunks with the highest maxima: those are searched, instead of all.

    Args:
        chunks: logits `[B, K, C, N]`.
        before: log-probabilities of the hypotheses `[B, K]`.
        highest: log-probabilities of their likeliest pieces `[B, K]`.
        count: how many.

    Returns:
        Their log-probabilities `[B, count]`, and where they are in all logits of their sentence,
        int32.
    """
    number = ops.shape(chunks)[2]
    chunk = chunks.shape[3]
    rows = chunks.shape[1] * number
    maxima = ops.max(chunks, axis=-1)
    # Logits come near 0 first: beside a large one a log-probability would be lost in rounding.
    likeliest = ops.max(maxima, axis=-1, keepdims=True)
    added = ops.expand_dims(before + highest, -1)

    sums = ops.reshape(maxima - likeliest + added, (-1, rows))
    best, where = ops.top_k(sums, count)
    where = ops.cast(where, "int32")
    if chunk == 1:
        return best, where

    slots = where // number
    found = select(ops.reshape(chunks, (-1, rows, chunk)), where)
    found = found - select(likeliest, slots) + select(added, slots)
    best, places = ops.top_k(ops.reshape(found, (-1, count * chunk)), count)
    places = ops.cast(places, "int32")
    return best, select(where, places // chunk) * chunk + places % chunk


def whole_chunks(pieces: Tensor, allowed: Tensor, count: int, pad: int) -> tuple[Tensor, Tensor]:
    """A shortlist's pieces, behind them as much padding as `best_continuations` needs.

    Args:
        pieces: ids `[N]`.
        allowed: bool `[B, N]`, which sentences may have them.
        count: how many likeliest pieces are looked for.
        pad: the id of padding, which no sentence may have.

    Returns:
        Both, of a length that is a multiple of `SHORTLIST_CHUNK` and has `count` chunks at least.
    """
    length = ops.shape(pieces)[0]
    chunks = ops.maximum((length + SHORTLIST_CHUNK - 1) // SHORTLIST_CHUNK, count)
    missing = chunks * SHORTLIST_CHUNK - length
    pieces = ops.pad(pieces, [[0, missing]], constant_values=pad)
    return pieces, ops.pad(allowed, [[0, 0], [0, missing]], constant_values=False)


def _chunk(size: int, hypotheses: int, count: int) -> int:
    """The pieces of a chunk: the largest divisor of a size that is at most its root.

    It is 1 where chunks would not save half of the search.

    Args:
        size: `V`.
        hypotheses: `K`.
        count: the chunks that are searched.
    """
    chunk = max(c for c in range(1, math.isqrt(size) + 1) if size % c == 0)
    saves = count * chunk < hypotheses * size // 2
    return chunk if chunk >= SMALLEST_CHUNK and saves else 1
