"""Pieces drawn at random, by numbers that depend on what is drawn for and on nothing else.

A random number here is a hash of a seed, the sentence, the number of the sample, the position and
the piece. So a sentence has the same samples in any batch, on any backend and in every export,
which no generator with a state gives.
"""

from __future__ import annotations

from keras import ops

from attention_nmt.backend import select
from attention_nmt.config import PAD
from attention_nmt.search.ranking import IMPOSSIBLE, top
from attention_nmt.types import Tensor

BITS = 23
"""Of each random number: as many as float32 tells apart below 1."""


def mix(numbers: Tensor) -> Tensor:
    """Each int32 as another one, so that numbers next to each other have nothing in common.

    Source: the finalizer of MurmurHash3 (Appleby), on int32, whose products wrap around.
    """
    for shift, factor in ((16, -2048144789), (13, -1028477387)):
        numbers = _fold(numbers, shift) * factor
    return _fold(numbers, 16)


def _fold(numbers: Tensor, shift: int) -> Tensor:
    """`x ^ (x >> shift)`, the sign bit shifted like the others."""
    # Low bits by a remainder: LiteRT has no bitwise and.
    shifted = ops.mod(ops.bitwise_right_shift(numbers, shift), 2 ** (32 - shift))
    return ops.bitwise_xor(numbers, shifted)


def sentence_keys(source: Tensor) -> Tensor:
    """A number of each source `[B, S]` for `gumbel`, int32 `[B]`; padding behind it does not
    change it."""
    positions = ops.arange(ops.shape(source)[1], dtype="int32")
    hashed = mix(ops.cast(source, "int32") + mix(positions + 1))
    return ops.sum(ops.where(ops.equal(source, PAD), 0, hashed), axis=1)


def gumbel(keys: Tensor, seed: int, samples: int, position: Tensor, size: int) -> Tensor:
    """Standard Gumbel numbers `[B, K, V]` for `samples` of each sentence at a position.

    Args:
        keys: numbers of the sentences, int32 `[B]`.
        size: `V`.
    """
    rows = mix(keys[:, None] + mix(ops.arange(samples, dtype="int32") + seed * 65536))
    rows = mix(rows + position)[:, :, None]
    drawn = ops.mod(mix(rows + mix(ops.arange(size, dtype="int32"))), 2**BITS)
    uniform = (ops.cast(drawn, "float32") + 0.5) / 2**BITS
    return -ops.log(-ops.log(uniform))


def drawn_pieces(logits: Tensor, noise: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """A piece for each hypothesis, drawn from `softmax(logits / temperature)`; padding is never
    drawn.

    Args:
        logits: `[B, K, V]`.
        noise: from `gumbel`: the highest sum with a Gumbel number is a draw.

    Returns:
        The log-probability `[B, K]` of each at temperature 1, and its id, int32.
    """
    logits = ops.cast(logits, "float32")
    size, hypotheses = logits.shape[-1], ops.shape(logits)[1]
    pieces = ops.arange(size, dtype="int32")
    sums = ops.where(ops.equal(pieces, PAD), IMPOSSIBLE, logits / temperature + noise)
    ids = ops.reshape(top(ops.reshape(sums, (-1, size)), 1)[1], (-1, hypotheses, 1))
    normalizer = ops.logsumexp(logits, axis=-1, keepdims=True)
    rows = ops.reshape(logits - normalizer, (-1, size))
    chosen = ops.reshape(select(rows, ops.reshape(ids, (-1, 1))), (-1, hypotheses))
    return chosen, ids[:, :, 0]
