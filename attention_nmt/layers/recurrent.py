"""Keras layers that hold the weights of recurrent cells, and read whole sequences with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
from keras import ops

from attention_nmt.checks import require, require_axes
from attention_nmt.config import CellConfig, from_dict
from attention_nmt.layers.cells import CellWeights, hidden, make_cell
from attention_nmt.layers.recurrence import unroll
from attention_nmt.types import Tensor


@keras.saving.register_keras_serializable("attention_nmt")
class StackedOrthogonal(keras.initializers.Initializer):
    """Orthogonal blocks side by side: each gate's recurrent kernel `[H, H]` is orthogonal.

    Source: Bahdanau et al. (2015), appendix B.1.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, int], dtype: str | None = None) -> Tensor:
        """A kernel `[H, n * H]`."""
        rows, columns = shape
        # One generator for all blocks: the same integer seed for each would make equal gates.
        generator = keras.random.SeedGenerator(self.seed)
        block = keras.initializers.Orthogonal(seed=generator)
        blocks = [block((rows, rows), dtype) for _ in range(columns // rows)]
        return ops.concatenate(blocks, axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"seed": self.seed}


class CellLayer(keras.layers.Layer):
    """A layer that holds the weights of a recurrent cell.

    Weights: `kernel` `[E, GH]`, `input_bias` `[GH]`, `recurrent_kernel` `[H, GH]`,
    `recurrent_bias` `[GH]`, columns in Keras' order of gates: update, reset, candidate of a GRU,
    input, forget, candidate, output of an LSTM; with layer normalization `scales` `[2, GH]`, of
    inputs and of recurrent products.

    Args:
        units: `H`.
        cell: the cell's config; a GRU that resets after the recurrent product, if none is given.
    """

    def __init__(
        self, units: int, cell: CellConfig | dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require(units >= 1, "units", "at least 1", units)
        if cell is None:
            cell = CellConfig()
        if isinstance(cell, dict):
            cell = from_dict(CellConfig, cell, "cell")
        require(isinstance(cell, CellConfig), "cell", "a CellConfig, its fields, or None", cell)
        self.units = units
        self.cell = make_cell(cell)

    @property
    def columns(self) -> int:
        """`GH`."""
        return self.cell.gates * self.units

    @property
    def state_units(self) -> int:
        """The width of a state."""
        return self.cell.states * self.units

    def add_cell(self, depth: int) -> None:
        """Makes the weights of a cell that reads inputs of `depth` units."""
        columns = self.columns
        self.kernel = self.add_weight((depth, columns), name="kernel")
        self.input_bias = self.add_weight((columns,), initializer="zeros", name="input_bias")
        self.recurrent_kernel = self.add_weight(
            (self.units, columns), initializer=StackedOrthogonal(), name="recurrent_kernel"
        )
        self.recurrent_bias = self.add_weight(
            (columns,), initializer=self._first_bias, name="recurrent_bias"
        )
        if self.cell.config.layer_normalization:
            self.scales = self.add_weight((2, columns), initializer="ones", name="scales")

    def _first_bias(self, shape: tuple[int], dtype: str | None = None) -> Tensor:  # noqa: ARG002
        return ops.repeat(ops.array(self.cell.first_bias, dtype), self.units)

    def cell_weights(self) -> CellWeights:
        """The cell's weights as tensors.

        A gradient of one's own takes tensors: to an eager tape a variable is none. To be called
        within a layer's `call`, whose dtype policy then holds here.
        """
        normalizes = self.cell.config.layer_normalization
        return CellWeights(
            kernel=ops.copy(self.recurrent_kernel),
            bias=ops.copy(self.recurrent_bias),
            scales=ops.copy(self.scales) if normalizes else None,
        )

    def read(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        initial: Tensor | None = None,
        *,
        reverse: bool = False,
        keep_tape: bool = True,
    ) -> Tensor:
        """Reads time-major inputs; see `recurrence.unroll`.

        To be called within a layer's `call`, whose dtype policy then holds here.

        Args:
            inputs: `[T, B, E]`.
            mask: True on words `[T, B]`; without it all positions are words.
            initial: the state before the first position, zeros if it is not given.
            reverse: read from the last position to the first.
            keep_tape: keep what a cell's own gradient needs.

        Returns:
            The hidden state after each position `[T, B, H]`.
        """
        projected = ops.matmul(inputs, self.kernel) + self.input_bias
        shape = ops.shape(projected)
        dtype = projected.dtype
        mask = ops.ones(shape[:2], dtype) if mask is None else ops.cast(mask, dtype)
        if initial is None:
            initial = ops.zeros((shape[1], self.state_units), dtype)

        states = unroll(
            self.cell,
            projected,
            ops.expand_dims(mask, -1),
            initial,
            self.cell_weights(),
            reverse=reverse,
            keep_tape=keep_tape,
        )
        return hidden(states, self.units)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        cell = dataclasses.asdict(self.cell.config)
        return {**super().get_config(), "units": self.units, "cell": cell}


@keras.saving.register_keras_serializable("attention_nmt")
class Recurrent(CellLayer):
    """A gated cell over time-major sequences.

    `cells` holds its equations, `CellLayer` names its weights.

    Args:
        units: see `CellLayer`.
        cell: see `CellLayer`.
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

    def build(self, inputs_shape: tuple, mask_shape: tuple | None = None) -> None:  # noqa: ARG002
        """Makes the weights for inputs `[S, B, E]`."""
        self.add_cell(inputs_shape[-1])

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        initial: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Reads time-major inputs.

        Args:
            inputs: `[S, B, E]`.
            mask: True on words `[S, B]`; without it all positions are words.
            initial: the state before the first position, zeros if it is not given; `[B, H]` or, of
                an LSTM, `[B, 2H]`.
            training: whether a gradient will be asked for.

        Returns:
            The hidden state after each position `[S, B, H]`.

        Raises:
            ValueError: a tensor has more axes or fewer.
        """
        require_axes("inputs", inputs, "[S, B, E]")
        if mask is not None:
            require_axes("mask", mask, "[S, B]")
        return self.read(inputs, mask, initial, reverse=self.reverse, keep_tape=training)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Hands no mask on: what comes behind is given one by its caller."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "reverse": self.reverse}
