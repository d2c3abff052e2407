"""The likeliest next pieces of hypotheses."""

from __future__ import annotations

import math

from keras import ops

from attention_nmt.backend import select
from attention_nmt.config import PAD
from attention_nmt.types import Tensor

IMPOSSIBLE = -1e9
"""The log-probability of what cannot be; far below any sum of real ones, and finite so that
differences are."""


def best_pieces(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The log-probabilities of some pieces `[B, K, N]`, among them the `count` likeliest, and
    their ids, int32.

    Padding is no choice, since it stands behind the end symbol and nowhere else: of one piece more
    than asked for it is the one that falls out.
    """
    logits = ops.cast(logits, "float32")
    hypotheses, size = ops.shape(logits)[1], logits.shape[-1]
    count = min(count + 1, size)
    best, ids = (
        ops.reshape(x, (-1, hypotheses, count)) for x in top(ops.reshape(logits, (-1, size)), count)
    )
    highest = best[:, :, :1]
    normalizer = highest + ops.log(ops.sum(ops.exp(logits - highest), axis=-1, keepdims=True))
    return ops.where(ops.equal(ids, PAD), IMPOSSIBLE, best - normalizer), ids


def top(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest `count` of each row `[R, V]`, the highest first, and where they are, int32.

    They lie in the `count` chunks of the vocabulary with the highest maxima: those are searched,
    instead of all of it.
    """
    size = rows.shape[-1]
    chunk = max(c for c in range(1, math.isqrt(size) + 1) if size % c == 0)
    if chunk < 8 or count * chunk >= size // 2:
        best, ids = ops.top_k(rows, count)
        return best, ops.cast(ids, "int32")
    chunks = ops.reshape(rows, (-1, size // chunk, chunk))
    which = ops.cast(ops.top_k(ops.max(chunks, axis=-1), count)[1], "int32")
    best, places = ops.top_k(ops.reshape(select(chunks, which), (-1, count * chunk)), count)
    places = ops.cast(places, "int32")
    return best, select(which, places // chunk) * chunk + places % chunk
