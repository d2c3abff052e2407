"""Gated recurrences over time: their loop, their mask, and a gradient of their own.

Everything here is time-major (`[T, B, ...]`) and functional: weights come in as tensors, nothing is
kept. A cell may have a gradient of its own, as the default GRU has: the loop backwards computes
what depends on the step after it, and every weight's gradient is one matrix product over all steps,
behind the loop. Other cells are differentiated by the backend through the same equations of a step.
"""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from attention_nmt.backend import flat_rows, scan, sum_rows
from attention_nmt.layers.cells import Cell, CellWeights
from attention_nmt.types import Tensor


def unroll(
    cell: Cell,
    inputs: Tensor,
    mask: Tensor,
    state: Tensor,
    weights: CellWeights,
    *,
    reverse: bool = False,
    keep_tape: bool = True,
) -> Tensor:
    """Runs a cell over whole sequences; where the mask is 0 the state stays as it was.

    Args:
        cell: which cell.
        inputs: projected inputs `[T, B, GH]`.
        mask: 1 on words, 0 on padding, `[T, B, 1]`, of the dtype of `inputs`.
        state: the state before the first step `[B, H]`, or wider, as the cell has it.
        weights: of the cell.
        reverse: read from the last position to the first.
        keep_tape: keep what a cell's own gradient needs; False where no gradient is wanted.

    Returns:
        The state after each position, as wide as `state`, `[T, B, ...]`.
    """
    if cell.has_own_gradient and keep_tape:
        run = _with_own_gradient(cell, reverse)
        return run(inputs, mask, state, weights.kernel, weights.bias)

    def step(state: Tensor, xs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, real = xs
        new = cell.step(x, state, weights)
        state = state + real * (new - state)
        return state, state

    return scan(step, state, (inputs, mask), reverse=reverse)[1]


def _with_own_gradient(cell: Cell, reverse: bool) -> Callable[..., Tensor]:
    """The states of a cell over whole sequences, as a function with its own gradient."""

    @ops.custom_gradient
    def run(
        inputs: Tensor, mask: Tensor, initial: Tensor, kernel: Tensor, bias: Tensor
    ) -> tuple[Tensor, Callable]:
        def forward(state: Tensor, xs: tuple) -> tuple:
            x, real = xs
            products = ops.matmul(state, kernel) + bias
            new, tape = cell.step_with_tape(x, products, state)
            new = state + real * (new - state)
            return new, (new, tape)

        _, (states, tapes) = scan(forward, initial, (inputs, mask), reverse=reverse)

        def backward(gradient: Tensor, xs: tuple) -> tuple:
            upstream, real, state, tape = xs
            gradient = gradient + upstream
            d_inputs, d_products, carried = cell.step_gradient(real * gradient, tape, state)
            through = ops.matmul(d_products, ops.transpose(kernel)) + carried
            return (1 - real) * gradient + through, (d_inputs, d_products)

        def gradients(*upstream: Tensor) -> tuple:
            before = states_before(states, initial, reverse=reverse)
            zeros = ops.zeros_like(initial)
            xs = (upstream[0], mask, before, tapes)
            d_initial, (d_inputs, d_products) = scan(backward, zeros, xs, reverse=not reverse)
            d_kernel = kernel_gradient(before, d_products)
            return d_inputs, ops.zeros_like(mask), d_initial, d_kernel, sum_rows(d_products)

        return states, gradients

    return run


def states_before(states: Tensor, initial: Tensor, *, reverse: bool = False) -> Tensor:
    """The state before each step `[T, B, H]` from the states after it."""
    if reverse:
        return ops.concatenate([states[1:], initial[None]], axis=0)
    return ops.concatenate([initial[None], states[:-1]], axis=0)


def kernel_gradient(inputs: Tensor, upstream: Tensor) -> Tensor:
    """The gradient of a kernel `[N, M]` by which every step multiplies.

    Args:
        inputs: what it multiplies, `[T, B, N]`.
        upstream: the gradients of the products, `[T, B, M]`.
    """
    return ops.matmul(ops.transpose(flat_rows(inputs)), flat_rows(upstream))
