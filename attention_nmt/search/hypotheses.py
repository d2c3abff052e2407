"""What all searches share: step functions, hypotheses, their lengths, and buffers that loops write
to.

A step function takes the previous pieces `[B, K]`, a state, any structure of tensors `[B, K,
...]`, and a memory, any structure of tensors `[B, ...]` that all hypotheses of a sentence share.
It gives the logits of the next pieces `[B, K, V]`, the next state and the alignment `[B, K, S]` or
None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from keras import ops

from attention_nmt.types import Tensor

StepFunction: TypeAlias = Callable[[Tensor, Any, Any], tuple[Tensor, Any, Tensor | None]]


class Hypotheses(NamedTuple):
    """The best translations of a batch, the best first."""

    ids: Tensor  # [B, N, T] int32, padding behind the end symbol
    scores: Tensor  # [B, N] float32: by which they are ranked; see `beam_search`
    alignments: Tensor | None  # [B, N, T, S], zeros on padding


def length_penalty(lengths: Tensor, alpha: float) -> Tensor:
    """`((5 + length) / 6) ** alpha`, by which log-probabilities are divided; lengths count the end
    symbol.

    Source: Wu et al. (2016), arXiv 1609.08144, Eq. 14.
    """
    return ops.power((5 + ops.cast(lengths, "float32")) / 6, alpha)


def room(alignment: Tensor | None, shape: tuple) -> Tensor | None:
    """Zeros for the alignments `[*shape, S]`, or None where there is none.

    A graph drops the step that an alignment is taken from but for its shape.
    """
    return (
        None
        if alignment is None
        else ops.zeros((*shape, ops.shape(alignment)[-1]), alignment.dtype)
    )


def put(buffer: Tensor, values: Tensor, here: Tensor) -> Tensor:
    """`buffer` `[..., T]` with `values` `[...]` at the position where `here` `[T]` is true.

    Written densely: an update of a slice is an XLA-only op on TensorFlow and has no place in a
    served graph.
    """
    return ops.where(here, ops.expand_dims(values, -1), buffer)


def put_rows(buffer: Tensor, values: Tensor, here: Tensor) -> Tensor:
    """`buffer` `[..., T, S]` with `values` `[..., S]` at the position where `here` `[T]` is
    true."""
    return ops.where(here[:, None], ops.expand_dims(values, -2), buffer)
