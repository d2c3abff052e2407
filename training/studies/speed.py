"""The speed of training steps, and of the batches alone."""

from __future__ import annotations

import statistics
import time
from typing import Any

import keras
import numpy as np

from attention_nmt.config import ModelConfig

from .bound import Shape, step_seconds
from .memory import peak_mb, resident_mb
from .streams import Batch, Stream


def measure(model: keras.Model, config: ModelConfig, stream: Stream, steps: int) -> dict[str, Any]:
    """Times steps on batches, in their order, while the pipeline makes them; without callbacks.

    Args:
        model: a compiled model.
        config: its sizes, for the time of its matrix products.
        stream: the batches.
        steps: how many are timed.

    Returns:
        Target tokens (padding not counted) per second, the share of the time that the matrix
        products of the steps alone would take, the most memory, milliseconds a step, seconds and
        number of compilations, and the shares of target positions and of all positions that are
        padding.
    """
    by_shape = {_shape(batch): batch for batch in stream(steps + 1)}
    began = time.perf_counter()
    for batch in by_shape.values():
        model.train_on_batch(*batch)
    compile_s = time.perf_counter() - began

    times: list[float] = []
    shapes: list[Shape] = []
    target_tokens = 0.0
    source_tokens = 0
    for batch in stream(steps + 1):
        inputs, labels, weights = batch
        model.train_on_batch(inputs, labels, weights)
        times.append(time.perf_counter())
        # The clock starts when the first step ends: the pipeline is running then.
        if len(times) > 1:
            shapes.append(_shape(batch))
            target_tokens += float(np.sum(weights))
            source_tokens += int(np.count_nonzero(inputs["source"]))

    elapsed = times[-1] - times[0]
    peak = peak_mb()
    bounds = {
        shape: step_seconds(config, shape, model.compute_dtype, model.jit_compile)
        for shape in set(shapes)
    }
    target_positions = sum(rows * target for rows, _, target in shapes)
    positions = sum(rows * (source + target) for rows, source, target in shapes)
    return {
        "target_tokens_per_s": target_tokens / elapsed,
        "share_of_product_bound": sum(bounds[shape] for shape in shapes) / elapsed,
        "peak_memory_mb": peak,
        "ms_per_step": 1e3 * statistics.median(np.diff(times).tolist()),
        "compile_s": compile_s,
        "shapes": len(by_shape),
        "target_padding": 1 - target_tokens / target_positions,
        "padding": 1 - (target_tokens + source_tokens) / positions,
    }


def _shape(batch: Batch) -> Shape:
    inputs, labels, _ = batch
    return Shape(len(labels), inputs["source"].shape[1], labels.shape[1])


def measure_pipeline(stream: Stream, steps: int) -> dict[str, Any]:
    """Times the batches alone, without a model.

    Returns:
        Target tokens per second, and what the process holds after a tenth of the batches and after
        all.
    """
    tokens = 0.0
    early = 0.0
    batches = stream(steps + 1)
    next(batches)  # starts the pipeline

    began = time.perf_counter()
    for number, (_, _, weights) in enumerate(batches, 1):
        tokens += float(np.sum(weights))
        if number == max(1, steps // 10):
            early = resident_mb()
    elapsed = time.perf_counter() - began
    return {
        "pipeline_target_tokens_per_s": tokens / elapsed,
        "memory_mb_after_a_tenth": early,
        "memory_mb_at_the_end": resident_mb(),
    }
