"""Searches whose translations begin with given pieces."""

from __future__ import annotations

from typing import Any

from keras import ops

from attention_nmt.search.hypotheses import Problem
from attention_nmt.search.ranking import IMPOSSIBLE
from attention_nmt.types import Tensor


def begun_with(problem: Problem, prefix: Tensor) -> Problem:
    """The same problem, whose hypotheses begin with given pieces.

    A given piece has the probability 1: scores are those of what follows.

    Args:
        problem: the sentences, and the step that continues their hypotheses. Of a shortlist's
            pieces the prefix must be among them.
        prefix: ids `[B, P]`, padded behind them.
    """
    pad = problem.special.pad
    length = ops.shape(prefix)[1]
    # Behind its end a prefix wants padding, which stands for any piece.
    padded = ops.pad(prefix, [[0, 0], [0, 1]], constant_values=pad)

    def step(ids: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor | None]:
        inner, position = state
        logits, inner, alignment = problem.step(ids, inner, memory[0])

        wanted = ops.take(memory[1], ops.minimum(position, length), axis=1)[:, None, None]
        pieces = problem.pieces
        if pieces is None:
            pieces = ops.arange(logits.shape[-1], dtype="int32")
        allowed = ops.logical_or(ops.equal(wanted, pad), ops.equal(wanted, pieces))
        logits = ops.where(allowed, ops.cast(logits, "float32"), IMPOSSIBLE)
        return logits, (inner, position + 1), alignment

    return problem._replace(
        step=step,
        state=(problem.state, ops.zeros((), "int32")),
        memory=(problem.memory, padded),
    )
