"""Random numbers that depend on what is drawn for and on nothing else.

A random number here is a hash of a seed, the sentence, the number of the sample, the position and
the piece. So a sentence has the same samples in any batch, on any backend and in every export,
which no generator with a state gives.
"""

from __future__ import annotations

from keras import ops

from attention_nmt.backend import select, shift_right
from attention_nmt.search.ranking import IMPOSSIBLE
from attention_nmt.types import Tensor

BITS = 23
"""Of each random number: as many as float32 tells apart below 1."""

_ROUNDS = ((16, -2048144789), (13, -1028477387))
"""Shifts and factors of MurmurHash3's finalizer, as int32."""


def mix(numbers: Tensor) -> Tensor:
    """Each int32 as another one, so that numbers next to each other have nothing in common.

    Source: the finalizer of MurmurHash3 (Appleby), on int32, whose products wrap around.
    """
    for bits, factor in _ROUNDS:
        numbers = ops.bitwise_xor(numbers, shift_right(numbers, bits)) * factor
    return ops.bitwise_xor(numbers, shift_right(numbers, 16))


def sentence_keys(source: Tensor, pad: int) -> Tensor:
    """A number of each source for `gumbel`; padding behind it does not change it.

    Args:
        source: ids `[B, S]`.
        pad: the id of padding.

    Returns:
        int32 `[B]`.
    """
    positions = ops.arange(ops.shape(source)[1], dtype="int32")
    hashed = mix(ops.cast(source, "int32") + mix(positions + 1))
    return ops.sum(ops.where(ops.equal(source, pad), 0, hashed), axis=1)


def gumbel(keys: Tensor, seed: int, samples: int, position: Tensor, size: int) -> Tensor:
    """Standard Gumbel numbers for samples of each sentence at a position.

    Args:
        keys: numbers of the sentences, int32 `[B]`.
        seed: from 0 to 32767.
        samples: `K`.
        position: a scalar.
        size: `V`.

    Returns:
        float32 `[B, K, V]`.
    """
    numbers = mix(ops.arange(samples, dtype="int32") + seed * 65536)
    rows = mix(keys[:, None] + numbers)
    rows = mix(rows + position)[:, :, None]
    pieces = mix(ops.arange(size, dtype="int32"))
    drawn = ops.mod(mix(rows + pieces), 2**BITS)
    uniform = (ops.cast(drawn, "float32") + 0.5) / 2**BITS
    return -ops.log(-ops.log(uniform))


def drawn_pieces(
    logits: Tensor, noise: Tensor, temperature: float, pad: int
) -> tuple[Tensor, Tensor]:
    """A piece for each hypothesis, drawn from `softmax(logits / temperature)`.

    Args:
        logits: `[B, K, V]`.
        noise: from `gumbel`: the highest sum with a Gumbel number is a draw.
        temperature: above 0.
        pad: the id of padding, which is never drawn.

    Returns:
        The log-probability `[B, K]` of each at temperature 1, and its id, int32.
    """
    logits = ops.cast(logits, "float32")
    size = logits.shape[-1]
    hypotheses = ops.shape(logits)[1]

    pieces = ops.arange(size, dtype="int32")
    sums = ops.where(ops.equal(pieces, pad), IMPOSSIBLE, logits / temperature + noise)
    # Not `ops.argmax`, which has an operation that LiteRT lacks.
    highest = ops.cast(ops.top_k(sums, 1)[1], "int32")

    normalizer = ops.logsumexp(logits, axis=-1, keepdims=True)
    rows = ops.reshape(logits - normalizer, (-1, size))
    chosen = ops.reshape(select(rows, ops.reshape(highest, (-1, 1))), (-1, hypotheses))
    return chosen, ops.reshape(highest, (-1, hypotheses))
