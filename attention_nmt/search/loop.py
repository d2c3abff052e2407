"""Loops over sentences that end at different times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops, tree

from attention_nmt.backend import take, while_loop
from attention_nmt.types import Tensor


class LoopOptions(NamedTuple):
    """The way in which the loop of a search runs; none of it changes what is found.

    The defaults run everywhere but under XLA.
    """

    changing_shapes: bool = False
    """Sentences that are done leave the batch as soon as they are a quarter of those in it, a
    model's cache grows with its words, and an encoder keeps its states in lists. For graphs of
    TensorFlow in which `B` is unknown; neither XLA nor LiteRT takes it."""

    static_length: int | None = None
    """The target positions of the buffers, at least the highest of the maximum lengths, as
    `longest_translation` gives it. XLA, and with it `jax.jit`, must know it; without it that is
    what the maximum lengths say."""


PLAIN = LoopOptions()
"""The loop that runs everywhere but under XLA."""


class _Batch(NamedTuple):
    """The sentences that a loop still works on, and the results of all."""

    state: Any  # of b sentences
    shared: Any  # [b, ...]
    rows: Tensor  # [b]: which sentences of the batch they are
    results: list  # [B, ...]


def buffer_length(maximum_lengths: Tensor, options: LoopOptions) -> Tensor | int:
    """The target positions `T` of a search's buffers."""
    if options.static_length is None:
        return ops.max(maximum_lengths)
    return options.static_length


def repeat(
    body: Callable[[Any, Any], Any],
    results: Callable[[Any], tuple],
    state: Any,
    shared: Any,
    options: LoopOptions,
) -> list:
    """Repeats `state = body(state, shared)` while a sentence is running.

    Args:
        body: one position.
        results: the parts of a state that are wanted, tensors `[B, ...]` or None.
        state: a NamedTuple of tensors `[B, ...]` and scalars, with a field `running`, bool `[B]`.
        shared: tensors `[B, ...]` that the body reads.
        options: how the loop runs.

    Returns:
        `results` of the state at the end.
    """
    if options.changing_shapes:
        return _repeat_dropping(body, results, state, shared)

    last = while_loop(
        lambda state: ops.any(state.running), lambda state: body(state, shared), state
    )
    return list(results(last))


def _repeat_dropping(
    body: Callable[[Any, Any], Any], results: Callable[[Any], tuple], state: Any, shared: Any
) -> list:
    """The loop in stages: in each all sentences go on until a quarter of them is done."""

    def stage(batch: _Batch) -> _Batch:
        def most_run(state: Any) -> Tensor:
            running = ops.sum(ops.cast(state.running, "int32"))
            return 4 * running > 3 * ops.shape(batch.rows)[0]

        state = while_loop(most_run, lambda state: body(state, batch.shared), batch.state)
        written = [
            None if old is None else ops.scatter_update(old, batch.rows[:, None], new)
            for old, new in zip(batch.results, results(state), strict=True)
        ]
        running = ops.nonzero(state.running)[0]
        state, shared, rows = tree.map_structure(
            lambda x: take(x, running) if len(x.shape) else x,
            (state, batch.shared, batch.rows),
            none_is_leaf=False,
        )
        return _Batch(state=state, shared=shared, rows=rows, results=written)

    first = _Batch(
        state=state,
        shared=shared,
        rows=ops.arange(ops.shape(state.running)[0]),
        results=list(results(state)),
    )
    return while_loop(lambda batch: ops.any(batch.state.running), stage, first).results
