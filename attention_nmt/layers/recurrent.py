"""Keras layers that hold the weights of recurrent cells, and read whole sequences with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from attention_nmt.checks import require
from attention_nmt.config import CellConfig, from_dict
from attention_nmt.layers.cells import CellWeights
from attention_nmt.layers.recurrence import unroll
from attention_nmt.types import Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class StackedOrthogonal(keras.initializers.Initializer):
    """Orthogonal blocks side by side: each gate's recurrent kernel `[H, H]` is orthogonal by
    itself.

    Source: Bahdanau et al. (2015), appendix B.1.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, int], dtype: str | None = None) -> Tensor:
        """A kernel `[H, n * H]`."""
        # One generator for all blocks: the same integer seed for each would make equal gates.
        generator = keras.random.SeedGenerator(self.seed)
        block = keras.initializers.Orthogonal(seed=generator)
        return ops.concatenate(
            [block((shape[0], shape[0]), dtype) for _ in range(shape[1] // shape[0])], axis=1
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"seed": self.seed}


class CellLayer(keras.layers.Layer):
    """What layers of a recurrent cell share: its weights, and what of them a step takes.

    Weights: `kernel` `[E, GH]`, `input_bias` `[GH]`, `recurrent_kernel` `[H, GH]`,
    `recurrent_bias` `[GH]`, columns in Keras' order of gates: update, reset, candidate of a GRU,
    input, forget, candidate, output of an LSTM; with layer normalization `scales` `[2, GH]`, of
    inputs and of recurrent products.

    Args:
        units: `H`.
        cell: which cell; a GRU that resets after the recurrent product, if none is given.
    """

    def __init__(
        self, units: int, cell: CellConfig | dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        self.units = units
        self.cell = (
            from_dict(CellConfig, cell, "cell") if isinstance(cell, dict) else cell or CellConfig()
        )
        require(
            isinstance(self.cell, CellConfig), "cell", "a CellConfig, its fields, or None", cell
        )

    @property
    def columns(self) -> int:
        """`GH`."""
        return self.cell.gates * self.units

    def add_cell(self, depth: int) -> None:
        """Makes the weights of a cell that reads inputs of `depth` units; an LSTM starts with its
        forget gate open.

        Source of the open forget gate: Jozefowicz et al. (2015), section 2.2: a bias of 1.
        """
        units, columns = self.units, self.columns
        self.kernel = self.add_weight((depth, columns), name="kernel")
        self.input_bias = self.add_weight((columns,), initializer="zeros", name="input_bias")
        self.recurrent_kernel = self.add_weight(
            (units, columns), initializer=StackedOrthogonal(), name="recurrent_kernel"
        )
        gates = [
            1.0 if self.cell.kind == "lstm" and gate == 1 else 0.0
            for gate in range(self.cell.gates)
        ]
        bias = lambda shape, dtype=None: ops.repeat(ops.array(gates, dtype), shape[0] // len(gates))  # noqa: E731
        self.recurrent_bias = self.add_weight((columns,), initializer=bias, name="recurrent_bias")
        if self.cell.layer_normalization:
            self.scales = self.add_weight((2, columns), initializer="ones", name="scales")

    def cell_weights(self) -> CellWeights:
        """Tensors, because a gradient of one's own takes tensors: to an eager tape a variable is
        none.

        To be called within a layer's `call`, whose dtype policy then holds here.
        """
        scales = ops.copy(self.scales) if self.cell.layer_normalization else None
        return CellWeights(ops.copy(self.recurrent_kernel), ops.copy(self.recurrent_bias), scales)

    def read(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        initial: Tensor | None = None,
        reverse: bool = False,
        keep_tape: bool = True,
    ) -> Tensor:
        """The hidden state after each position `[T, B, H]` of time-major inputs `[T, B, E]`; see
        `recurrence.unroll`.

        To be called within a layer's `call`, whose dtype policy then holds here.
        """
        projected = ops.matmul(inputs, self.kernel) + self.input_bias
        shape, dtype = ops.shape(projected), projected.dtype
        mask = ops.ones(shape[:2], dtype) if mask is None else ops.cast(mask, dtype)
        if initial is None:
            initial = ops.zeros((shape[1], self.cell.states * self.units), dtype)
        states = unroll(
            self.cell,
            projected,
            ops.expand_dims(mask, -1),
            initial,
            self.cell_weights(),
            reverse,
            keep_tape,
        )
        return hidden(states, self.units)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "cell": dataclasses.asdict(self.cell)}


@keras.saving.register_keras_serializable("attention_nmt")
class Recurrent(CellLayer):
    """A gated cell over time-major sequences; `cells` holds its equations, `CellLayer` names its
    weights.

    Args:
        units, cell: see `CellLayer`.
        reverse: read from the last position to the first.
    """

    def __init__(
        self,
        units: int,
        cell: CellConfig | dict[str, Any] | None = None,
        reverse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, cell, **kwargs)
        self.reverse = reverse

    def build(self, inputs_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002 - Keras' contract
        """Makes the weights for inputs `[S, B, E]`."""
        self.add_cell(inputs_shape[-1])

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        initial: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """The hidden state after each position `[S, B, H]`.

        Args:
            inputs: `[S, B, E]`.
            mask: True on words `[S, B]`; without it all positions are words.
            initial: the state before the first position, zeros if it is not given; `[B, H]` or, of
            an LSTM, `[B, 2H]`.
        """
        return self.read(inputs, mask, initial, self.reverse, keep_tape=training)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """The mask is used, and none is handed on: what comes behind is given one by its caller."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "reverse": self.reverse}


def hidden(state: Tensor, units: int) -> Tensor:
    """The hidden state `[..., H]` of a cell's state, without an LSTM's memory."""
    return state if state.shape[-1] == units else state[..., :units]
