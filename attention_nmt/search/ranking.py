"""The likeliest next pieces of hypotheses."""

from __future__ import annotations

import math

from keras import ops

from attention_nmt.backend import select, take
from attention_nmt.types import Tensor

IMPOSSIBLE = -1e9
"""The log-probability of the impossible.

It is far below any sum of real ones, and finite so that differences are.
"""

SMALLEST_CHUNK = 8
"""The fewest pieces of a chunk of the vocabulary for which `top` is worth its operations."""

SHORTLIST_CHUNK = 16
"""The pieces of a chunk of a shortlist, of whose length a graph knows nothing."""


def best_pieces(
    logits: Tensor, count: int, pad: int, pieces: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The likeliest pieces, and one more.

    Padding is no choice, since it stands behind the end symbol and nowhere else: of one piece more
    than asked for it is the one that falls out.

    Args:
        logits: `[B, K, V]`, or `[B, K, N]` of some pieces.
        count: how many likeliest pieces are to be among those given.
        pad: the id of padding.
        pieces: ids of these pieces `[N]`; all, if none are given. Where a graph does not know `N`,
            it is as `whole_chunks` makes it.

    Returns:
        The log-probabilities of some pieces `[B, K, N]`, and their ids, int32.
    """
    logits = ops.cast(logits, "float32")
    hypotheses = ops.shape(logits)[1]
    size = ops.shape(logits)[-1]
    count = count + 1 if logits.shape[-1] is None else min(count + 1, logits.shape[-1])

    chunk = 1 if pieces is None else SHORTLIST_CHUNK
    best, ids = top(ops.reshape(logits, (-1, size)), count, chunk)
    if pieces is not None:
        ids = ops.cast(take(pieces, ids), "int32")
    best = ops.reshape(best, (-1, hypotheses, count))
    ids = ops.reshape(ids, (-1, hypotheses, count))

    highest = best[:, :, :1]
    total = ops.sum(ops.exp(logits - highest), axis=-1, keepdims=True)
    normalizer = highest + ops.log(total)
    return ops.where(ops.equal(ids, pad), IMPOSSIBLE, best - normalizer), ids


def top(rows: Tensor, count: int, unknown_chunk: int = 1) -> tuple[Tensor, Tensor]:
    """The highest numbers of each row, the highest first.

    They lie in the `count` chunks of the vocabulary with the highest maxima: those are searched,
    instead of all of it.

    Args:
        rows: `[R, V]`.
        count: how many.
        unknown_chunk: the length of a chunk where a graph does not know `V`, which is a multiple of
            it then and has `count` chunks at least.

    Returns:
        The numbers `[R, count]` and where they are, int32.
    """
    size = rows.shape[-1]
    chunk = unknown_chunk if size is None else _chunk(size)
    if chunk < SMALLEST_CHUNK or (size is not None and count * chunk >= size // 2):
        best, ids = ops.top_k(rows, count)
        return best, ops.cast(ids, "int32")

    # With the number of rows, a length that is no multiple of a chunk fails, and mixes no rows.
    number = -1 if size is not None else ops.shape(rows)[0]
    chunks = ops.reshape(rows, (number, ops.shape(rows)[-1] // chunk, chunk))
    which = ops.cast(ops.top_k(ops.max(chunks, axis=-1), count)[1], "int32")
    candidates = ops.reshape(select(chunks, which), (-1, count * chunk))
    best, places = ops.top_k(candidates, count)
    places = ops.cast(places, "int32")
    return best, select(which, places // chunk) * chunk + places % chunk


def whole_chunks(pieces: Tensor, allowed: Tensor, count: int, pad: int) -> tuple[Tensor, Tensor]:
    """A shortlist's pieces, behind them as much padding as `top` needs.

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


def _chunk(size: int) -> int:
    """The largest divisor of a size that is at most its root."""
    return max(c for c in range(1, math.isqrt(size) + 1) if size % c == 0)
