"""What all searches share: the step function, the record that travels, hypotheses and buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from keras import ops

from attention_nmt.types import SPECIAL, SpecialIds, Tensor

StepFunction: TypeAlias = Callable[[Tensor, Any, Any], tuple[Tensor, Any, Tensor | None]]
"""Takes the previous pieces `[B, K]`, a state, any structure of tensors `[B, K, ...]` and scalars,
and a memory, any structure of tensors `[B, ...]` that all hypotheses of a sentence share. Gives the
logits of the next pieces `[B, K, V]`, or `[B, K, N]` of those of a shortlist, the next state and
the alignment `[B, K, S]` or None."""


class Problem(NamedTuple):
    """A batch of sentences, and the step that continues their hypotheses."""

    step: StepFunction
    state: Any  # [B, 1, ...]: of one hypothesis per sentence
    memory: Any  # [B, ...]
    maximum_lengths: Tensor  # [B] int32: the most pieces of each translation, at least 1
    sentence_keys: Tensor | None = None  # [B] int32: for sampling, from `noise.sentence_keys`
    # [N]: those that the logits are of, in order; None: all. See `ranking.whole_chunks`.
    pieces: Tensor | None = None
    special: SpecialIds = SPECIAL


class Hypotheses(NamedTuple):
    """The best translations of a batch, the best first.

    Where a sentence has fewer than `N`, as with few pieces or behind a prefix with the end symbol,
    the others are empty, and their score is -1e9.
    """

    ids: Tensor  # [B, N, T] int32, padding behind the end symbol
    scores: Tensor  # [B, N] float32: by which they are ranked; see `beam_search`
    alignments: Tensor | None  # [B, N, T, S], zeros on padding


def length_penalty(lengths: Tensor, alpha: float) -> Tensor:
    """`((5 + length) / 6) ** alpha`, by which log-probabilities are divided.

    Lengths count the end symbol.

    Source: Wu et al. (2016), arXiv 1609.08144, Eq. 14.
    """
    return ops.power((5 + ops.cast(lengths, "float32")) / 6, alpha)


def first_ids(problem: Problem) -> Tensor:
    """The start symbols `[B, 1]`."""
    return ops.zeros_like(problem.maximum_lengths)[:, None] + problem.special.start


def alignment_buffer(alignment: Tensor | None, shape: tuple) -> Tensor | None:
    """Zeros for the alignments `[*shape, S]`, or None where there is none.

    A graph drops the step that an alignment is taken from but for its shape.
    """
    if alignment is None:
        return None
    return ops.zeros((*shape, ops.shape(alignment)[-1]), alignment.dtype)


def write(buffer: Tensor, values: Tensor, here: Tensor) -> Tensor:
    """A buffer `[..., T]` with values `[...]` at the position where `here` `[T]` is true.

    It is written densely: an update of a slice is an XLA-only operation on TensorFlow and has no
    place in a served graph.
    """
    return ops.where(here, ops.expand_dims(values, -1), buffer)


def write_rows(buffer: Tensor, values: Tensor, here: Tensor) -> Tensor:
    """A buffer `[..., T, S]` with `values` `[..., S]` where `here` `[T]` is true."""
    return ops.where(here[:, None], ops.expand_dims(values, -2), buffer)
