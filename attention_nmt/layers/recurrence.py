"""Gated recurrences over time: their loops, masks and gradients.

Everything here is time-major (`[T, B, ...]`) and functional: weights come in as tensors, nothing
is kept. The default cell, a GRU that resets after the recurrent product, has a gradient of its
own: the loop backwards computes what depends on the step after it, and every weight's gradient is
one matrix product over all steps, behind the loop. Other cells are differentiated by the backend
through the same equations of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from attention_nmt.backend import scan
from attention_nmt.config import CellConfig
from attention_nmt.layers.cells import (
    CellWeights,
    cell_step,
    reset_after_gradient,
    reset_after_step,
)
from attention_nmt.types import Tensor


def has_gradient(cell: CellConfig) -> bool:
    """Whether the gradient of a cell is written here."""
    return cell == CellConfig()


def unroll(
    cell: CellConfig,
    inputs: Tensor,
    mask: Tensor,
    state: Tensor,
    weights: CellWeights,
    reverse: bool = False,
    keep_tape: bool = True,
) -> Tensor:
    """A cell over whole sequences; where the mask is 0 the state stays as it was.

    Args:
        inputs: projected inputs `[T, B, GH]`.
        mask: 1 on words, 0 on padding, `[T, B, 1]`, of the dtype of `inputs`.
        state: the state before the first step `[B, H]` or, for an LSTM, `[B, 2H]`.
        reverse: read from the last position to the first.
        keep_tape: keep what the gradient written here needs; False where none is wanted.

    Returns:
        The state after each position, as wide as `state`, `[T, B, ...]`.
    """
    if has_gradient(cell) and keep_tape:
        return _gru_with_gradient(reverse)(inputs, mask, state, weights.kernel, weights.bias)

    def step(state: Tensor, xs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        new = cell_step(cell, xs[0], state, weights)
        state = state + xs[1] * (new - state)
        return state, state

    return scan(step, state, (inputs, mask), reverse)[1]


def _gru_with_gradient(reverse: bool) -> Callable[..., Tensor]:
    @ops.custom_gradient
    def run(
        inputs: Tensor, mask: Tensor, initial: Tensor, kernel: Tensor, bias: Tensor
    ) -> tuple[Tensor, Callable]:
        def forward(state: Tensor, xs: tuple) -> tuple:
            new, tape = reset_after_step(xs[0], ops.matmul(state, kernel) + bias, state)
            new = state + xs[1] * (new - state)
            return new, (new, tape)

        _, (states, tapes) = scan(forward, initial, (inputs, mask), reverse)

        def backward(gradient: Tensor, xs: tuple) -> tuple:
            upstream, mask, state, tape = xs
            gradient = gradient + upstream
            inputs, products, carried = reset_after_gradient(mask * gradient, tape, state)
            through = ops.matmul(products, ops.transpose(kernel)) + carried
            return (1 - mask) * gradient + through, (inputs, products)

        def gradients(*upstream: Tensor) -> tuple:
            before = _shift(states, initial, reverse)
            xs = (upstream[0], mask, before, tapes)
            d_initial, (d_inputs, d_products) = scan(
                backward, ops.zeros_like(initial), xs, not reverse
            )
            d_kernel = _kernel_gradient(before, d_products)
            return d_inputs, ops.zeros_like(mask), d_initial, d_kernel, _sum_rows(d_products)

        return states, gradients

    return run


def _shift(states: Tensor, initial: Tensor, reverse: bool = False) -> Tensor:
    """The state before each step `[T, B, H]` from the states after it."""
    return ops.concatenate(
        [states[1:], initial[None]] if reverse else [initial[None], states[:-1]], axis=0
    )


def flat_rows(x: Tensor) -> Tensor:
    """`[T, B, N]` as `[T * B, N]`."""
    return ops.reshape(x, (-1, x.shape[-1]))


def _sum_rows(x: Tensor) -> Tensor:
    """The sum of `[T, B, N]` over all but the columns, as a product: XLA takes ten times as long
    for a reduction."""
    rows = flat_rows(x)
    return ops.matmul(ops.ones((1, ops.shape(rows)[0]), x.dtype), rows)[0]


def _kernel_gradient(inputs: Tensor, upstream: Tensor) -> Tensor:
    """Of a kernel `[N, M]` by which every step multiplies: of inputs `[T, B, N]` and upstream
    gradients `[T, B, M]`."""
    return ops.matmul(ops.transpose(flat_rows(inputs)), flat_rows(upstream))


class AttentionWeights(NamedTuple):
    """One sentence batch and the weights of additive attention, as the attending recurrence reads
    them."""

    query_kernel: Tensor  # [H, A]: W_a
    scale: Tensor  # [A]: v_a
    keys: Tensor  # [B, S, A]: U_a h_j
    annotations: Tensor  # [B, S, D]: h_j
    bias: Tensor  # [B, S]: 0 on words, very negative on padding


class AttendingOutputs(NamedTuple):
    """What every step of an attending recurrence gives."""

    states: Tensor  # [T, B, H]: s_i
    contexts: Tensor  # [T, B, D]: c_i
    alignments: Tensor  # [T, B, S]: alpha_ij


def softmax(energies: Tensor) -> Tensor:
    """Softmax over the last axis in float32, given back in the dtype of `energies`."""
    return ops.cast(ops.softmax(ops.cast(energies, "float32"), axis=-1), energies.dtype)


def _attend(query: Tensor, weights: AttentionWeights) -> tuple[Tensor, Tensor]:
    """The context `[B, D]` and alignment `[B, S]` of one projected query per sentence `[B, A]`."""
    energies = (
        ops.sum(ops.tanh(query[:, None] + weights.keys) * weights.scale, axis=-1) + weights.bias
    )
    alignment = softmax(energies)
    return ops.sum(alignment[:, :, None] * weights.annotations, axis=1), alignment


class _AttentionGradient(NamedTuple):
    """Sums over the steps seen so far."""

    state: Tensor  # [B, H], of the state before this step
    keys: Tensor  # [B, S, A]
    scale: Tensor  # [A]


def _attend_gradient(
    d_context: Tensor,
    d_alignment: Tensor,
    query: Tensor,
    alignment: Tensor,
    weights: AttentionWeights,
) -> tuple[Tensor, Tensor]:
    """The gradients of the energies' tanh argument `[B, S, A]` and of the scale `[A]`; the tanh is
    computed again, which costs less than keeping `[T, B, S, A]`."""
    d_weights = d_alignment + ops.sum(d_context[:, None] * weights.annotations, axis=-1)
    d_energies = alignment * (d_weights - ops.sum(alignment * d_weights, axis=-1, keepdims=True))
    hidden = ops.tanh(query[:, None] + weights.keys)
    d_scale = ops.matmul(ops.reshape(d_energies, (1, -1)), flat_rows(hidden))[0]
    return d_energies[:, :, None] * weights.scale * (1 - hidden * hidden), d_scale


def attending_gru(
    inputs: Tensor,
    initial: Tensor,
    context_kernel: Tensor,
    gru: CellWeights,
    attention: AttentionWeights,
) -> AttendingOutputs:
    """A reset-after GRU that attends with its previous state, over whole targets, with its own
    gradient.

        e_ij = v_a . tanh(s_{i-1} W_a + q_i + U_a h_j)      alpha_i = softmax(e_i)      c_i = sum_j
        alpha_ij h_j s_i = GRU(s_{i-1}, y_i + c_i C)

    Args:
        inputs: projected previous words `y` `[T, B, 3H]` or, where attention reads them, too, `[y;
        q]`
            `[T, B, 3H + A]`; else `q` is 0.
        initial: `s_0` `[B, H]`.
        context_kernel: `C` `[D, 3H]`.

    Source: Bahdanau et al. (2015), appendix A.1.2 and A.2.2.
    """
    return AttendingOutputs(
        *_attending_gru(inputs, initial, context_kernel, gru.kernel, gru.bias, *attention)
    )


@ops.custom_gradient
def _attending_gru(
    inputs: Tensor, initial: Tensor, context_kernel: Tensor, *rest: Tensor
) -> tuple[tuple, Callable]:
    gru, attention = CellWeights(*rest[:2]), AttentionWeights(*rest[2:])
    columns = gru.kernel.shape[-1]
    words_are_read = inputs.shape[-1] > columns
    hidden_kernel = ops.concatenate([gru.kernel, attention.query_kernel], axis=-1)

    def forward(state: Tensor, x: Tensor) -> tuple:
        hidden = ops.matmul(state, hidden_kernel)
        query = hidden[:, columns:]
        if words_are_read:
            x, query = x[:, :columns], query + x[:, columns:]
        context, alignment = _attend(query, attention)
        x = x + ops.matmul(context, context_kernel)
        state, tape = reset_after_step(x, hidden[:, :columns] + gru.bias, state)
        return state, (AttendingOutputs(state, context, alignment), query, tape)

    _, (outputs, queries, tapes) = scan(forward, initial, inputs)

    def backward(carry: _AttentionGradient, xs: tuple) -> tuple:
        upstream, state, query, alignment, tape = xs
        d_inputs, d_products, carried = reset_after_gradient(
            carry.state + upstream.states, tape, state
        )
        d_context = upstream.contexts + ops.matmul(d_inputs, ops.transpose(context_kernel))
        d_hidden, d_scale = _attend_gradient(
            d_context, upstream.alignments, query, alignment, attention
        )
        d_products = ops.concatenate([d_products, ops.sum(d_hidden, axis=1)], axis=-1)
        d_state = carried + ops.matmul(d_products, ops.transpose(hidden_kernel))
        carry = _AttentionGradient(d_state, carry.keys + d_hidden, carry.scale + d_scale)
        return carry, (d_inputs, d_products, d_context)

    def gradients(*upstream: Any) -> tuple:
        upstream = AttendingOutputs(*(upstream[0] if len(upstream) == 1 else upstream))
        before = _shift(outputs.states, initial)
        zeros = _AttentionGradient(*map(ops.zeros_like, (initial, attention.keys, attention.scale)))
        xs = (upstream, before, queries, outputs.alignments, tapes)
        carry, (d_inputs, d_products, d_contexts) = scan(backward, zeros, xs, reverse=True)
        d_hidden_kernel = _kernel_gradient(before, d_products)
        d_context_kernel = _kernel_gradient(outputs.contexts, d_inputs)
        d_annotations = ops.einsum("tbs,tbd->bsd", outputs.alignments, d_contexts)
        d_gru = (d_hidden_kernel[:, :columns], _sum_rows(d_products)[:columns])
        if words_are_read:
            d_inputs = ops.concatenate([d_inputs, d_products[:, :, columns:]], axis=-1)
        d_attention = (d_hidden_kernel[:, columns:], carry.scale, carry.keys, d_annotations)
        return (
            d_inputs,
            carry.state,
            d_context_kernel,
            *d_gru,
            *d_attention,
            ops.zeros_like(attention.bias),
        )

    return tuple(outputs), gradients


def attending(
    step: Callable[[Tensor, Tensor], AttendingOutputs], inputs: Tensor, initial: Tensor
) -> AttendingOutputs:
    """Any attending recurrence, differentiated by the backend: `step(inputs [B, N], state)` gives
    one position."""

    def body(state: Tensor, x: Tensor) -> tuple:
        outputs = step(x, state)
        return outputs.states, outputs

    return scan(body, initial, inputs)[1]
