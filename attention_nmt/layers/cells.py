"""Gated recurrent cells, each one class. Weights come in as tensors, and nothing is kept.

A cell's state is one tensor whose first `H` columns are the hidden state, so loops, masks and
searches are the same for all cells: `[B, H]` for a GRU, `[B, 2H]` for an LSTM, whose memory stands
behind its hidden state.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

from keras import ops

from attention_nmt.checks import require
from attention_nmt.config import CellConfig
from attention_nmt.types import Tensor

EPSILON = 1e-5
"""Added to variances in layer normalization."""


class CellWeights(NamedTuple):
    """The recurrent half of a cell of `G` gates, its candidate included."""

    kernel: Tensor  # [H, GH]: U_z, U_r, U of the paper, or those of the LSTM's gates
    bias: Tensor  # [GH], added to the recurrent product
    scales: Tensor | None = None  # [2, GH]: of the normalized inputs and of the normalized product


class Cell(abc.ABC):
    """A gated recurrent cell: how many gates and states it has, how it starts, and one step of it.

    A new cell is a subclass with `gates`, `states`, `first_bias` and `next_state`, which
    `register_cell` gives a name. One whose gradient is written by hand has `step_with_tape` and
    `step_gradient`, too, and says so in `has_own_gradient`.

    Attributes:
        gates: `G`, blocks of `H` columns in a kernel, the candidate's included.
        states: blocks of `H` columns in a state.
        first_bias: the initial recurrent bias of each gate.

    Args:
        config: the options of the cell.
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1
    first_bias: ClassVar[tuple[float, ...]]

    def __init__(self, config: CellConfig) -> None:
        self.config = config

    def step(self, inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
        """The state after one step.

        With layer normalization inputs and recurrent products are normalized gate by gate before
        they are added, and the recurrent bias is added after it.

        Args:
            inputs: projected inputs `[B, GH]`.
            state: `[B, H]`, or with more than one block of states as wide as they are.
            weights: of the cell.

        Returns:
            The next state, as wide as `state`.

        Source: Ba, Kiros and Hinton (2016), arXiv 1607.06450, section 3.1 and supplementary
        material. Departures from it: the gates are normalized each by itself, the memory of an LSTM
        is not; the inputs' bias is normalized with them.
        """
        if weights.scales is not None:
            inputs = normalize_gates(inputs, weights.scales[0], self.gates)
        return self.next_state(inputs, state, weights)

    @abc.abstractmethod
    def next_state(self, inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
        """The cell's equations; see `step`, which has normalized the inputs where it is to."""

    @property
    def has_own_gradient(self) -> bool:
        """Whether `step_with_tape` and `step_gradient` are there; the backend derives others."""
        return False

    def step_with_tape(self, inputs: Tensor, products: Tensor, state: Tensor) -> tuple[Tensor, Any]:
        """One step that keeps what its gradient needs.

        Args:
            inputs: projected inputs `[B, GH]`.
            products: recurrent products with their bias `[B, GH]`.
            state: `[B, H]`.

        Returns:
            The next state, and a structure of tensors `[B, ...]`, the tape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no gradient of its own")

    def step_gradient(
        self, gradient: Tensor, tape: Any, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradient of `step_with_tape`.

        Args:
            gradient: of the next state `[B, H]`.
            tape: from `step_with_tape`.
            state: the state before the step `[B, H]`.

        Returns:
            The gradients of inputs and products `[B, GH]` each, and of the state `[B, H]` but for
            what comes through the products.
        """
        raise NotImplementedError(f"{type(self).__name__} has no gradient of its own")


CELLS: dict[str, type[Cell]] = {}
"""Every cell by its name, which is a `CellConfig.kind`."""

CellClass = TypeVar("CellClass", bound=type[Cell])


def register_cell(name: str) -> Callable[[CellClass], CellClass]:
    """Decorates a cell's class with the name by which a `CellConfig` asks for it."""

    def register(cell: CellClass) -> CellClass:
        CELLS[name] = cell
        return cell

    return register


def make_cell(config: CellConfig) -> Cell:
    """The cell that a config asks for.

    Raises:
        ValueError: there is none of this name.
    """
    require(config.kind in CELLS, "kind", f"one of the cells {sorted(CELLS)}", config.kind)
    return CELLS[config.kind](config)


class GRUTape(NamedTuple):
    """What the gradient of one reset-after step needs."""

    update: Tensor  # [B, H]
    reset: Tensor  # [B, H]
    candidate: Tensor  # [B, H]
    recurrent: Tensor  # [B, H], the candidate's recurrent term before the reset


@register_cell("gru")
class GRU(Cell):
    """A gated recurrent unit.

        z = sigmoid(x_z + s U_z)    r = sigmoid(x_r + s U_r)
        n = tanh(x_n + r * (s U))   or, with `reset_after=False` as in the paper,
        n = tanh(x_n + (r * s) U)
        s' = z * s + (1 - z) * n

    Its columns are those of the update gate, the reset gate and the candidate. The one that resets
    after the recurrent product, without layer normalization, has a gradient of its own.

    Source: Bahdanau et al. (2015), appendix A.1.1.
    Departures from the paper: `z` is its `1 - z_i`, as in Keras and cuDNN.
    """

    gates = 3
    first_bias = (0.0, 0.0, 0.0)

    @property
    def has_own_gradient(self) -> bool:
        """True of the cell that resets after the product and normalizes nothing."""
        return self.config.reset_after and not self.config.layer_normalization

    def next_state(self, inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
        """`s'` `[B, H]` of inputs `x` `[B, 3H]` and `s` `[B, H]`."""
        units = state.shape[-1]
        if self.config.reset_after:
            products = recurrent_product(state, weights)
            return self.step_with_tape(inputs, products, state)[0]

        sums = inputs[:, : 2 * units] + recurrent_product(state, weights, slice(0, 2 * units))
        update, reset = ops.split(ops.sigmoid(sums), 2, axis=-1)
        recurrent = recurrent_product(reset * state, weights, slice(2 * units, 3 * units))
        candidate = ops.tanh(inputs[:, 2 * units :] + recurrent)
        return update * state + (1 - update) * candidate

    def step_with_tape(
        self, inputs: Tensor, products: Tensor, state: Tensor
    ) -> tuple[Tensor, GRUTape]:
        """One step of the cell that resets after the product; see `Cell`."""
        units = state.shape[-1]
        gates = ops.sigmoid(inputs[:, : 2 * units] + products[:, : 2 * units])
        update = gates[:, :units]
        reset = gates[:, units:]
        recurrent = products[:, 2 * units :]
        candidate = ops.tanh(inputs[:, 2 * units :] + reset * recurrent)

        tape = GRUTape(update=update, reset=reset, candidate=candidate, recurrent=recurrent)
        return update * state + (1 - update) * candidate, tape

    def step_gradient(
        self, gradient: Tensor, tape: GRUTape, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradient of `step_with_tape`; the state's is what comes through the update gate."""
        candidate = gradient * (1 - tape.update) * (1 - tape.candidate * tape.candidate)
        update = gradient * (state - tape.candidate) * tape.update * (1 - tape.update)
        reset = candidate * tape.recurrent * tape.reset * (1 - tape.reset)

        inputs = ops.concatenate([update, reset, candidate], axis=-1)
        products = ops.concatenate([update, reset, candidate * tape.reset], axis=-1)
        return inputs, products, gradient * tape.update


@register_cell("lstm")
class LSTM(Cell):
    """A long short-term memory.

        i, f, o = sigmoid(x + s U)    g = tanh(x_g + s U_g)
        m' = f * m + i * g            s' = o * tanh(m')

    Its columns are those of the input gate, the forget gate, the candidate and the output gate; its
    state is `s` and `m` side by side. It starts with its forget gate open.

    Source: Hochreiter and Schmidhuber (1997); the forget gate is that of Gers et al. (2000), its
    bias of 1 that of Jozefowicz et al. (2015), section 2.2.
    """

    gates = 4
    states = 2
    first_bias = (0.0, 1.0, 0.0, 0.0)

    def next_state(self, inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
        """`s'` and `m'` `[B, 2H]` of inputs `x` `[B, 4H]` and `s` and `m` `[B, 2H]`."""
        units = state.shape[-1] // 2
        products = recurrent_product(state[:, :units], weights)
        sums = inputs + products

        before = sums[:, : 2 * units]
        behind = sums[:, 3 * units :]
        gates = ops.sigmoid(ops.concatenate([before, behind], axis=-1))
        input_gate = gates[:, :units]
        forget_gate = gates[:, units : 2 * units]
        output_gate = gates[:, 2 * units :]

        candidate = ops.tanh(sums[:, 2 * units : 3 * units])
        memory = forget_gate * state[:, units:] + input_gate * candidate
        return ops.concatenate([output_gate * ops.tanh(memory), memory], axis=-1)


def hidden(state: Tensor, units: int) -> Tensor:
    """The hidden state `[..., H]` of a cell's state, without what stands behind it."""
    if state.shape[-1] == units:
        return state
    return state[..., :units]


def recurrent_product(state: Tensor, weights: CellWeights, columns: slice | None = None) -> Tensor:
    """The product of a state with the kernel's columns of some gates, and their bias.

    With layer normalization the product is normalized before the bias is added.

    Args:
        state: `[B, H]`.
        weights: of the cell.
        columns: those of a whole number of gates; without it all.
    """
    kernel = weights.kernel
    bias = weights.bias
    scale = None if weights.scales is None else weights.scales[1]
    # A slice of all of a kernel is still an operation.
    if columns is not None:
        kernel = kernel[:, columns]
        bias = bias[columns]
        scale = None if scale is None else scale[columns]

    product = ops.matmul(state, kernel)
    if scale is not None:
        gates = kernel.shape[-1] // kernel.shape[0]
        product = normalize_gates(product, scale, gates)
    return product + bias


def normalize_gates(sums: Tensor, scale: Tensor, gates: int) -> Tensor:
    """Sums `[B, GH]` of mean 0 and variance 1 over the units of each gate, times a scale `[GH]`.

    It is computed in float32.
    """
    columns = sums.shape[-1]
    rows = ops.reshape(ops.cast(sums, "float32"), (-1, gates, columns // gates))
    centred = rows - ops.mean(rows, axis=-1, keepdims=True)
    variance = ops.mean(centred * centred, axis=-1, keepdims=True)
    normal = ops.reshape(centred * ops.rsqrt(variance + EPSILON), (-1, columns))
    return ops.cast(normal, sums.dtype) * scale
