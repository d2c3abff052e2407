"""A cell that attends with its previous state, over whole targets, with a gradient of its own.

It is the decoder of the article: the GRU, or another cell with a gradient of its own whose state is
its hidden state, and Bahdanau's attention in one loop. Time-major and functional, as `recurrence`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from attention_nmt.backend import flat_rows, scan, sum_rows
from attention_nmt.layers.cells import Cell, CellWeights
from attention_nmt.layers.recurrence import kernel_gradient, states_before
from attention_nmt.types import Tensor


class AttentionWeights(NamedTuple):
    """A batch of sentences and the weights of additive attention, as the loop reads them."""

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


class _GradientSums(NamedTuple):
    """Sums over the steps that the loop backwards has seen so far."""

    state: Tensor  # [B, H], of the state before this step
    keys: Tensor  # [B, S, A]
    scale: Tensor  # [A]


def softmax(energies: Tensor) -> Tensor:
    """Softmax over the last axis in float32, given back in the dtype of `energies`."""
    # A text of one word is usual, and Keras warns of an axis of one position. Its 1 has a gradient
    # of 0 and is no constant, since an optimizer warns of weights without a gradient.
    if energies.shape[-1] == 1:
        return energies - energies + 1
    return ops.cast(ops.softmax(ops.cast(energies, "float32"), axis=-1), energies.dtype)


def attending_gru(
    cell: Cell,
    inputs: Tensor,
    initial: Tensor,
    context_kernel: Tensor,
    weights: CellWeights,
    *,
    attention: AttentionWeights,
) -> AttendingOutputs:
    """Runs a cell that attends with its previous state over whole targets.

        e_ij = v_a . tanh(s_{i-1} W_a + q_i + U_a h_j)      alpha_i = softmax(e_i)
        c_i = sum_j alpha_ij h_j                             s_i = GRU(s_{i-1}, y_i + c_i C)

    Args:
        cell: one with a gradient of its own.
        inputs: projected previous words `y` `[T, B, GH]` or, where attention reads them, too,
            `[y; q]` `[T, B, GH + A]`; else `q` is 0.
        initial: `s_0` `[B, H]`.
        context_kernel: `C` `[D, GH]`.
        weights: of the cell.
        attention: a batch of sentences and the weights of attention.

    Source: Bahdanau et al. (2015), appendix A.1.2 and A.2.2.
    """
    run = _with_own_gradient(cell)
    outputs = run(inputs, initial, context_kernel, weights.kernel, weights.bias, *attention)
    return AttendingOutputs(*outputs)


def _with_own_gradient(cell: Cell) -> Callable[..., tuple]:
    """The loop forwards as a function of tensors with its own gradient."""

    @ops.custom_gradient
    def run(
        inputs: Tensor, initial: Tensor, context_kernel: Tensor, *rest: Tensor
    ) -> tuple[tuple, Callable]:
        loop = _Loop(
            cell=cell,
            context_kernel=context_kernel,
            weights=CellWeights(*rest[:2]),
            attention=AttentionWeights(*rest[2:]),
            reads_words=inputs.shape[-1] > rest[0].shape[-1],
        )
        _, (outputs, queries, tapes) = scan(loop.forward, initial, inputs)

        def gradients(*upstream: Any) -> tuple:
            given = upstream[0] if len(upstream) == 1 else upstream
            kept = _Kept(initial=initial, outputs=outputs, queries=queries, tapes=tapes)
            return loop.gradients(AttendingOutputs(*given), kept)

        return tuple(outputs), gradients

    return run


class _Kept(NamedTuple):
    """What the loop forwards keeps for the loop backwards, `[T, B, ...]` but for the first."""

    initial: Tensor  # [B, H]
    outputs: AttendingOutputs
    queries: Tensor  # [T, B, A]: s_{i-1} W_a + q_i
    tapes: Any


class _Loop:
    """One step forwards, one step backwards, and the gradients of all weights behind the loop."""

    def __init__(
        self,
        *,
        cell: Cell,
        context_kernel: Tensor,
        weights: CellWeights,
        attention: AttentionWeights,
        reads_words: bool,
    ) -> None:
        self.cell = cell
        self.context_kernel = context_kernel
        self.weights = weights
        self.attention = attention
        self.reads_words = reads_words
        self.columns = weights.kernel.shape[-1]
        # The state is multiplied once with both kernels that read it.
        self.state_kernel = ops.concatenate([weights.kernel, attention.query_kernel], axis=-1)

    def forward(self, state: Tensor, x: Tensor) -> tuple:
        """One step: the next state, and what it gives and keeps."""
        products = ops.matmul(state, self.state_kernel)
        query = products[:, self.columns :]
        if self.reads_words:
            query = query + x[:, self.columns :]
            x = x[:, : self.columns]

        context, alignment = self._attend(query)
        x = x + ops.matmul(context, self.context_kernel)
        products = products[:, : self.columns] + self.weights.bias
        state, tape = self.cell.step_with_tape(x, products, state)
        return state, (AttendingOutputs(state, context, alignment), query, tape)

    def _attend(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """The context `[B, D]` and alignment `[B, S]` of projected queries `[B, A]`."""
        attention = self.attention
        hidden = ops.tanh(query[:, None] + attention.keys)
        energies = ops.sum(hidden * attention.scale, axis=-1) + attention.bias
        alignment = softmax(energies)
        context = ops.sum(alignment[:, :, None] * attention.annotations, axis=1)
        return context, alignment

    def backward(self, carry: _GradientSums, xs: tuple) -> tuple:
        """One step backwards: sums for the step before it, and the gradients of its products."""
        upstream, state, query, alignment, tape = xs
        gradient = carry.state + upstream.states
        d_inputs, d_products, carried = self.cell.step_gradient(gradient, tape, state)

        d_context = upstream.contexts + ops.matmul(d_inputs, ops.transpose(self.context_kernel))
        d_alignment = upstream.alignments + self._by_annotations(d_context)
        d_hidden, d_scale = self._attend_gradient(d_alignment, query, alignment)

        d_products = ops.concatenate([d_products, ops.sum(d_hidden, axis=1)], axis=-1)
        d_state = carried + ops.matmul(d_products, ops.transpose(self.state_kernel))
        sums = _GradientSums(d_state, carry.keys + d_hidden, carry.scale + d_scale)
        return sums, (d_inputs, d_products, d_context)

    def _by_annotations(self, d_context: Tensor) -> Tensor:
        """The gradient `[B, S]` that a context's `[B, D]` gives the alignment."""
        return ops.sum(d_context[:, None] * self.attention.annotations, axis=-1)

    def _attend_gradient(
        self, d_alignment: Tensor, query: Tensor, alignment: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The gradients of the tanh's argument `[B, S, A]` and of the scale `[A]`.

        The tanh is computed again, which costs less than keeping `[T, B, S, A]`.
        """
        attention = self.attention
        mean = ops.sum(alignment * d_alignment, axis=-1, keepdims=True)
        d_energies = alignment * (d_alignment - mean)
        hidden = ops.tanh(query[:, None] + attention.keys)
        d_scale = ops.matmul(ops.reshape(d_energies, (1, -1)), flat_rows(hidden))[0]
        d_hidden = d_energies[:, :, None] * attention.scale * (1 - hidden * hidden)
        return d_hidden, d_scale

    def gradients(self, upstream: AttendingOutputs, kept: _Kept) -> tuple:
        """The gradients of everything that the loop was given, in that order."""
        outputs = kept.outputs
        attention = self.attention
        before = states_before(outputs.states, kept.initial)
        zeros = _GradientSums(
            state=ops.zeros_like(kept.initial),
            keys=ops.zeros_like(attention.keys),
            scale=ops.zeros_like(attention.scale),
        )
        xs = (upstream, before, kept.queries, outputs.alignments, kept.tapes)
        sums, (d_inputs, d_products, d_contexts) = scan(self.backward, zeros, xs, reverse=True)

        d_state_kernel = kernel_gradient(before, d_products)
        d_context_kernel = kernel_gradient(outputs.contexts, d_inputs)
        d_annotations = ops.einsum("tbs,tbd->bsd", outputs.alignments, d_contexts)
        d_weights = CellWeights(
            d_state_kernel[:, : self.columns], sum_rows(d_products)[: self.columns]
        )
        if self.reads_words:
            d_queries = d_products[:, :, self.columns :]
            d_inputs = ops.concatenate([d_inputs, d_queries], axis=-1)
        d_attention = AttentionWeights(
            query_kernel=d_state_kernel[:, self.columns :],
            scale=sums.scale,
            keys=sums.keys,
            annotations=d_annotations,
            bias=ops.zeros_like(attention.bias),
        )
        return d_inputs, sums.state, d_context_kernel, *d_weights[:2], *d_attention
