"""Gated recurrent cells: the equations of one step. Functional: weights come in as tensors,
nothing is kept.

A cell's state is one tensor whose first `H` columns are the hidden state, so loops, masks and
searches are the same for all cells: `[B, H]` for a GRU, `[B, 2H]` for an LSTM, whose memory stands
behind its hidden state.
"""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from attention_nmt.config import CellConfig
from attention_nmt.types import Tensor

EPSILON = 1e-5
"""Added to variances in layer normalization."""


class CellWeights(NamedTuple):
    """The recurrent half of a cell of `G` gates, its candidate included."""

    kernel: Tensor  # [H, GH]: U_z, U_r, U of the paper, or those of the LSTM's gates
    bias: Tensor  # [GH], added to the recurrent product
    scales: Tensor | None = (
        None  # [2, GH]: of the normalized inputs and of the normalized recurrent product
    )


class GRUTape(NamedTuple):
    """What the gradient of one reset-after step needs."""

    update: Tensor  # [B, H]
    reset: Tensor  # [B, H]
    candidate: Tensor  # [B, H]
    recurrent: Tensor  # [B, H], the candidate's recurrent term before the reset


def cell_step(cell: CellConfig, inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
    """The state after one step, from projected inputs `[B, GH]` and a state `[B, H]` or, for an
    LSTM, `[B, 2H]`.

    With layer normalization inputs and recurrent products are normalized gate by gate before they
    are added, and the recurrent bias is added after it.

    Source: Ba, Kiros and Hinton (2016), arXiv 1607.06450, section 3.1 and supplementary material.
    Departures from it: the gates are normalized each by itself, the memory of an LSTM is not; the
    inputs' bias is normalized with them.
    """
    if weights.scales is not None:
        inputs = normalize_gates(inputs, weights.scales[0], cell.gates)
    return (
        lstm_step(inputs, state, weights)
        if cell.kind == "lstm"
        else gru_step(inputs, state, weights, cell)
    )


def gru_step(inputs: Tensor, state: Tensor, weights: CellWeights, cell: CellConfig) -> Tensor:
    """One step of a gated recurrent unit.

        z = sigmoid(x_z + s U_z)    r = sigmoid(x_r + s U_r)
        n = tanh(x_n + r * (s U))   or, with `reset_after=False` as in the paper, tanh(x_n + (r *
        s) U) s' = z * s + (1 - z) * n

    Args:
        inputs: the projected input `x` `[B, 3H]`.
        state: `s` `[B, H]`.

    Returns:
        `s'` `[B, H]`.

    Source: Bahdanau et al. (2015), appendix A.1.1.
    Departures from the paper: `z` is its `1 - z_i`, as in Keras and cuDNN.
    """
    units = state.shape[-1]
    if cell.reset_after:
        return reset_after_step(inputs, _product(state, weights, slice(0, 3 * units)), state)[0]
    gates = inputs[:, : 2 * units] + _product(state, weights, slice(0, 2 * units))
    update, reset = ops.split(ops.sigmoid(gates), 2, axis=-1)
    recurrent = _product(reset * state, weights, slice(2 * units, 3 * units))
    return update * state + (1 - update) * ops.tanh(inputs[:, 2 * units :] + recurrent)


def lstm_step(inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
    """One step of a long short-term memory.

        i, f, o = sigmoid(x + s U)    g = tanh(x_g + s U_g)
        m' = f * m + i * g            s' = o * tanh(m')

    Args:
        inputs: the projected input `x` `[B, 4H]`: input gate, forget gate, candidate, output gate.
        state: `s` and `m`, side by side `[B, 2H]`.

    Returns:
        `s'` and `m'` `[B, 2H]`.

    Source: Hochreiter and Schmidhuber (1997); the forget gate is that of Gers et al. (2000).
    """
    units = state.shape[-1] // 2
    sums = inputs + _product(state[:, :units], weights, slice(0, 4 * units))
    gates = ops.sigmoid(ops.concatenate([sums[:, : 2 * units], sums[:, 3 * units :]], axis=-1))
    candidate = ops.tanh(sums[:, 2 * units : 3 * units])
    memory = gates[:, units : 2 * units] * state[:, units:] + gates[:, :units] * candidate
    return ops.concatenate([gates[:, 2 * units :] * ops.tanh(memory), memory], axis=-1)


def reset_after_step(inputs: Tensor, products: Tensor, state: Tensor) -> tuple[Tensor, GRUTape]:
    """The gates of a reset-after step from both projections `[B, 3H]`."""
    units = state.shape[-1]
    gates = ops.sigmoid(inputs[:, : 2 * units] + products[:, : 2 * units])
    update, reset = gates[:, :units], gates[:, units:]
    recurrent = products[:, 2 * units :]
    candidate = ops.tanh(inputs[:, 2 * units :] + reset * recurrent)
    return update * state + (1 - update) * candidate, GRUTape(update, reset, candidate, recurrent)


def reset_after_gradient(
    gradient: Tensor, tape: GRUTape, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a step's inputs and products `[B, 3H]`, and of the state through the update
    gate `[B, H]`."""
    candidate = gradient * (1 - tape.update) * (1 - tape.candidate * tape.candidate)
    update = gradient * (state - tape.candidate) * tape.update * (1 - tape.update)
    reset = candidate * tape.recurrent * tape.reset * (1 - tape.reset)
    inputs = ops.concatenate([update, reset, candidate], axis=-1)
    products = ops.concatenate([update, reset, candidate * tape.reset], axis=-1)
    return inputs, products, gradient * tape.update


def normalize_gates(sums: Tensor, scale: Tensor, gates: int) -> Tensor:
    """Sums `[B, GH]` with mean 0 and variance 1 over the units of each gate, times a scale `[GH]`;
    in float32."""
    rows = ops.reshape(ops.cast(sums, "float32"), (-1, gates, sums.shape[-1] // gates))
    centred = rows - ops.mean(rows, axis=-1, keepdims=True)
    variance = ops.mean(centred * centred, axis=-1, keepdims=True)
    normal = ops.reshape(centred * ops.rsqrt(variance + EPSILON), (-1, sums.shape[-1]))
    return ops.cast(normal, sums.dtype) * scale


def _product(state: Tensor, weights: CellWeights, columns: slice) -> Tensor:
    """The recurrent product with some gates' columns of the kernel, normalized where the cell is,
    and its bias."""
    whole = columns == slice(
        0, weights.kernel.shape[-1]
    )  # a slice of all of it is still an operation
    kernel, bias = (
        (weights.kernel, weights.bias)
        if whole
        else (weights.kernel[:, columns], weights.bias[columns])
    )
    product = ops.matmul(state, kernel)
    if weights.scales is not None:
        gates = kernel.shape[-1] // kernel.shape[0]
        product = normalize_gates(product, weights.scales[1][columns], gates)
    return product + bias
