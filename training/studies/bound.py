"""How fast a training step could be: the time of its matrix products alone, at their shapes, on
this machine."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np
from keras import ops

from attention_nmt.config import ModelConfig
from attention_nmt.types import Tensor

from ..build import compiled

READINGS = 5


class Product(NamedTuple):
    """`repeats` products one after another, each of `[rows, inner]` and `[inner, columns]`."""

    repeats: int
    rows: int
    inner: int
    columns: int


def products(config: ModelConfig, batch: int, source: int, target: int) -> list[Product]:
    """The products of one step on a batch of `B` pairs of `S` and `T` positions, forward and
    backward.

    Backward, a product has one for the gradient of its input, at each position where it stands in
    a recurrence, and one for the gradient of its kernel, over all positions at once. The weighted
    sums of attention are not counted.
    """
    forward = _encoder_products(config, batch, source) + _decoder_products(
        config, batch, source, target
    )
    inputs = [Product(p.repeats, p.rows, p.columns, p.inner) for p in forward]
    kernels = [Product(1, p.inner, p.repeats * p.rows, p.columns) for p in forward]
    return forward + inputs + kernels


def _encoder_products(config: ModelConfig, batch: int, source: int) -> list[Product]:
    directions, units, gates = (
        (1 if config.attention == "none" else 2),
        config.encoder_units,
        config.cell_config.gates,
    )
    found = []
    for layer in range(config.encoder_layers):
        size = directions * units if layer else config.embedding_size
        one = [
            Product(1, source * batch, size, gates * units),
            Product(source, batch, units, gates * units),
        ]
        found += one * directions
    return found


def _decoder_products(config: ModelConfig, batch: int, source: int, target: int) -> list[Product]:
    depth = config.encoder_units * (1 if config.attention == "none" else 2)
    hidden, size, columns = (
        config.decoder_units,
        config.embedding_size,
        config.cell_config.gates * config.decoder_units,
    )
    additive, previous, fed = (
        config.attention == "bahdanau",
        config.query == "previous",
        config.input_feeding,
    )
    keys = {"bahdanau": config.attention_units, "luong_general": hidden}.get(config.attention, 0)
    found = [Product(1, source * batch, depth, keys)] if keys else []
    found += [
        Product(
            1, target * batch, size, columns + (config.attention_units if config.word_query else 0)
        )
    ]
    queries = config.attention_units if additive and previous else 0
    found += [Product(target, batch, hidden, columns + queries)]
    found += [Product(target, batch, depth, columns)] if previous else []
    found += [Product(target, batch, config.readout_units, columns)] if fed else []
    found += (
        [Product(1, target * batch, hidden, config.attention_units)]
        if additive and not previous
        else []
    )
    above = [Product(1, target * batch, hidden, columns), Product(target, batch, hidden, columns)]
    found += above * (config.decoder_layers - 1)
    return [
        *found,
        Product(1, target * batch, hidden + size + depth, 2 * config.readout_units),
        Product(1, target * batch, config.readout_units, config.target_vocabulary_size),
    ]


def seconds(product: Product, dtype: str, jit_compile: bool) -> float:
    """The median time of a product, compiled as the step is; repeated ones are added up, or they
    would be left out."""
    random = np.random.default_rng(0)
    left, right = (
        ops.cast(random.standard_normal(shape, np.float32), dtype)
        for shape in (
            (product.repeats, product.rows, product.inner),
            (product.inner, product.columns),
        )
    )

    def all_products(left: Tensor, right: Tensor) -> Tensor:
        if product.repeats == 1:
            return ops.matmul(left[0], right)
        total = ops.zeros((product.rows, product.columns), dtype)
        return ops.fori_loop(
            0, product.repeats, lambda index, total: total + ops.matmul(left[index], right), total
        )

    run, times = compiled(all_products, jit_compile), []
    for _ in range(READINGS + 1):  # the first compiles
        began = time.perf_counter()
        float(run(left, right)[0, 0])  # waits for the result
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def step_seconds(
    config: ModelConfig, shape: tuple[int, int, int], dtype: str, jit_compile: bool
) -> float:
    """The time of all products of a step on a batch of the shape `(B, S, T)`, without that of
    calling each of them."""
    found, call = products(config, *shape), seconds(Product(1, 1, 1, 1), dtype, jit_compile)
    return sum(
        max(0.0, seconds(product, dtype, jit_compile) - call) * found.count(product)
        for product in set(found)
    )
