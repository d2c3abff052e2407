"""A bound on the speed of a training step: the time of its matrix products alone: `bound`.

They are measured at their shapes, on this machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import PARTS, ModelConfig

from ..timing import median_seconds

if TYPE_CHECKING:
    from attention_nmt.types import Tensor


class Shape(NamedTuple):
    """The shape of a batch."""

    rows: int  # B
    source: int  # S
    target: int  # T


class Product(NamedTuple):
    """Products one after another, each of `[rows, inner]` and `[inner, columns]`."""

    repeats: int
    rows: int
    inner: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class BoundConfig:
    """Times the matrix products of a training step alone, at their shapes.

    Attributes:
        batch_size: pairs in the batch.
        source_length: pieces of its sources.
        target_length: pieces of its targets.
        dtype: of the products: `float32`, `bfloat16`, ...
        jit_compile: compile by XLA; on JAX they always are.
        model: the model.

    Raises:
        ValueError: the batch has no pair, or the pairs no piece; or as `check_known`.
    """

    batch_size: int = 64
    source_length: int = 20
    target_length: int = 20
    dtype: str = "float32"
    jit_compile: bool = True
    model: Annotated[ModelConfig, NO_PREFIX] = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        for name in ("batch_size", "source_length", "target_length"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        check_known(self.model)


def check_known(config: ModelConfig) -> None:
    """Makes sure that the products of a model are known here.

    Raises:
        ValueError: its encoder is a pretrained one.
    """
    known = config.encoder in PARTS
    require(known, "encoder", f"one of {PARTS}, whose products are known here", config.encoder)


def products(config: ModelConfig, shape: Shape) -> list[Product]:
    """The products of one step on a batch, forward and backward.

    Backward, a product has one for the gradient of its input, at each position where it stands in
    a recurrence, and one for the gradient of its kernel, over all positions at once. Products
    without a kernel are not counted: the weighted sums of attention, and the energies of a
    Transformer's.
    """
    forward = _encoder_products(config, shape) + _decoder_products(config, shape)
    inputs = [_product(p.repeats, p.rows, p.columns, p.inner) for p in forward]
    kernels = [_product(1, p.inner, p.repeats * p.rows, p.columns) for p in forward]
    return forward + inputs + kernels


def _product(repeats: int, rows: int, inner: int, columns: int) -> Product:
    return Product(repeats=repeats, rows=rows, inner=inner, columns=columns)


def _encoder_products(config: ModelConfig, shape: Shape) -> list[Product]:
    from attention_nmt.layers.cells import make_cell

    if config.encoder == "transformer":
        words = shape.source * shape.rows
        size = config.embedding_size
        own = _heads_products(config, words, words, size)
        return config.encoder_layers * [*own, *_hidden_products(config, words)]

    directions = 1 if config.attention == "none" else 2
    units = config.encoder_units
    columns = make_cell(config.cell).gates * units

    found = []
    for layer in range(config.encoder_layers):
        size = config.embedding_size if layer == 0 else directions * units
        inputs = _product(1, shape.source * shape.rows, size, columns)
        recurrent = _product(shape.source, shape.rows, units, columns)
        found += [inputs, recurrent] * directions
    return found


def _heads_products(config: ModelConfig, words: int, attended: int, depth: int) -> list[Product]:
    """Of an attention of many heads, by words to others of some depth."""
    size = config.embedding_size
    queries_and_outputs = 2 * [_product(1, words, size, size)]
    return [*queries_and_outputs, _product(1, attended, depth, 2 * size)]


def _hidden_products(config: ModelConfig, words: int) -> list[Product]:
    """Of a feed-forward network."""
    size = config.embedding_size
    hidden = config.transformer.feed_forward_units
    return [_product(1, words, size, hidden), _product(1, words, hidden, size)]


def _depth(config: ModelConfig) -> int:
    """The columns of an annotation."""
    if config.encoder == "transformer":
        return config.embedding_size
    return config.encoder_units * (1 if config.attention == "none" else 2)


def _decoder_products(config: ModelConfig, shape: Shape) -> list[Product]:
    if config.decoder == "rnn":
        return _recurrent_decoder_products(config, shape)

    words = shape.target * shape.rows
    annotations = shape.source * shape.rows
    size = config.embedding_size
    layer = [
        *_heads_products(config, words, words, size),
        *_heads_products(config, words, annotations, _depth(config)),
        *_hidden_products(config, words),
    ]
    output = _product(1, words, size, config.target_vocabulary_size)
    return [*config.decoder_layers * layer, output]


def _recurrent_decoder_products(config: ModelConfig, shape: Shape) -> list[Product]:
    from attention_nmt.layers.cells import make_cell

    additive = config.attention == "bahdanau"
    previous = config.query == "previous"
    depth = _depth(config)
    hidden = config.decoder_units
    size = config.embedding_size
    columns = make_cell(config.cell).gates * hidden

    def at_once(inner: int, columns: int) -> Product:
        """Of all target positions together."""
        return _product(1, shape.target * shape.rows, inner, columns)

    def in_turn(inner: int, columns: int) -> Product:
        """Of one target position after the other."""
        return _product(shape.target, shape.rows, inner, columns)

    found = []
    keys = {"bahdanau": config.attention_units, "luong_general": hidden}.get(config.attention, 0)
    if keys:
        found.append(_product(1, shape.source * shape.rows, depth, keys))

    word_queries = config.attention_units if config.word_query else 0
    found.append(at_once(size, columns + word_queries))
    queries = config.attention_units if additive and previous else 0
    found.append(in_turn(hidden, columns + queries))

    if previous:
        found.append(in_turn(depth, columns))
    if config.input_feeding:
        found.append(in_turn(config.readout_units, columns))
    if additive and not previous:
        found.append(at_once(hidden, config.attention_units))

    for _ in range(1, config.decoder_layers):
        found += [at_once(hidden, columns), in_turn(hidden, columns)]
    found.append(at_once(hidden + size + depth, 2 * config.readout_units))
    found.append(at_once(config.readout_units, config.target_vocabulary_size))
    return found


def seconds(product: Product, dtype: str, jit_compile: bool) -> float:
    """The median time of a product, compiled as the step is.

    Repeated ones are added up, or they would be left out.
    """
    from keras import ops

    from attention_nmt import backend

    random = np.random.default_rng(0)
    left_shape = (product.repeats, product.rows, product.inner)
    left = ops.cast(random.standard_normal(left_shape, np.float32), dtype)
    right_shape = (product.inner, product.columns)
    right = ops.cast(random.standard_normal(right_shape, np.float32), dtype)

    def all_products(left: Tensor, right: Tensor) -> Tensor:
        if product.repeats == 1:
            return ops.matmul(left[0], right)

        def add(index: Tensor, total: Tensor) -> Tensor:
            return total + ops.matmul(left[index], right)

        total = ops.zeros((product.rows, product.columns), dtype)
        return ops.fori_loop(0, product.repeats, add, total)

    run = backend.compiled(all_products, jit_compile=jit_compile)
    return median_seconds(lambda: float(run(left, right)[0, 0]))  # waits for the result


def step_seconds(config: ModelConfig, shape: Shape, dtype: str, jit_compile: bool) -> float:
    """The time of all products of a step, without that of calling each of them."""
    call = seconds(_product(1, 1, 1, 1), dtype, jit_compile)
    total = 0.0
    for product, count in Counter(products(config, shape)).items():
        total += count * max(0.0, seconds(product, dtype, jit_compile) - call)
    return total


def run(config: BoundConfig) -> None:
    """Prints the time of each product of a step, and that of all of them."""
    shape = Shape(rows=config.batch_size, source=config.source_length, target=config.target_length)
    print(f"{'products':>8} {'rows':>7} {'inner':>7} {'columns':>7} {'ms':>9}")
    for product, count in Counter(products(config.model, shape)).items():
        ms = 1e3 * count * seconds(product, config.dtype, config.jit_compile)
        repeats = count * product.repeats
        print(f"{repeats:>8} {product.rows:>7} {product.inner:>7} {product.columns:>7} {ms:>9.2f}")

    total = step_seconds(config.model, shape, config.dtype, config.jit_compile)
    print(f"A step of them takes {1e3 * total:.1f} ms, without the calls.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        BoundConfig,
        run,
        arguments,
        prog="attention-nmt bound",
        imports=["keras"],
    )


if __name__ == "__main__":
    sys.exit(main())
