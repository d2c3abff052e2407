"""Loops: over time, where a backend may have its own, and over sentences that end at different
times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from keras import ops, tree

from attention_nmt.backend import take
from attention_nmt.types import Tensor

Carry = TypeVar("Carry")


class _Batch(NamedTuple):
    """The sentences that a compacting loop still works on, and the results of all."""

    loop: Any  # of b sentences
    shared: Any  # [b, ...]
    rows: Tensor  # [b]: which sentences of the batch they are
    results: list  # [B, ...]


def repeat(body: Callable, results: Callable, loop: Any, shared: Any, compact: bool) -> list:
    """Repeats `loop = body(loop, shared)` while a sentence is running, and gives `results(loop)`
    at its end.

    Args:
        results: what is wanted of a loop, a list of tensors `[B, ...]` or None.
        loop: a NamedTuple of tensors `[B, ...]` and scalars, with a field `running`, bool `[B]`.
        shared: tensors `[B, ...]` that the body reads.
        compact: sentences that are done leave the loop as soon as they are a quarter of those in
        it. `B` must be
            unknown when the graph is made.
    """
    if not compact:
        return list(
            results(
                _while(lambda loop: ops.any(loop.running), lambda loop: body(loop, shared), loop)
            )
        )

    def stage(batch: _Batch) -> _Batch:
        def most_run(loop: Any) -> Tensor:
            return 4 * ops.sum(ops.cast(loop.running, "int32")) > 3 * ops.shape(batch.rows)[0]

        loop = _while(most_run, lambda loop: body(loop, batch.shared), batch.loop)
        found = zip(batch.results, results(loop), strict=True)
        written = [
            None if old is None else ops.scatter_update(old, batch.rows[:, None], new)
            for old, new in found
        ]
        going_on = ops.nonzero(loop.running)[0]
        loop, shared, rows = _map(
            lambda x: take(x, going_on) if len(x.shape) else x, (loop, batch.shared, batch.rows)
        )
        return _Batch(loop, shared, rows, written)

    batch = _Batch(loop, shared, ops.arange(ops.shape(loop.running)[0]), list(results(loop)))
    return _while(lambda batch: ops.any(batch.loop.running), stage, batch).results


def _map(function: Callable, structure: Any) -> Any:
    """`tree.map_structure` in which None stays None."""
    return tree.map_structure(
        lambda x: None if x is None else function(x), structure, none_is_leaf=True
    )


def _while(condition: Callable[[Any], Tensor], body: Callable[[Any], Any], loop: Any) -> Any:
    """`ops.while_loop` over one structure, in which None stays None."""
    flat = tree.flatten(loop)
    present = [index for index, x in enumerate(flat) if x is not None]

    def rebuild(*values: Any) -> Any:
        filled = dict(zip(present, values, strict=True))
        return tree.pack_sequence_as(loop, [filled.get(index) for index in range(len(flat))])

    def step(*values: Any) -> tuple:
        new = tree.flatten(body(rebuild(*values)))
        return tuple(new[index] for index in present)

    initial = tuple(flat[index] for index in present)
    return rebuild(*ops.while_loop(lambda *values: condition(rebuild(*values)), step, initial))
