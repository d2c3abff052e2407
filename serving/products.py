"""How much of a translation's time its matrix products take: the bound on its speed."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the tokenizers' ops

from .servable import DEFAULT_SIGNATURE

PRODUCT = re.compile("MatMul|Einsum|Conv2D")
"""What the names of the operations have that multiply matrices."""

CALLS = 5
"""Calls of which each time is the median."""


class Products(NamedTuple):
    """The time of one call, in milliseconds."""

    whole: float
    products: float  # those of kernels and of attention

    @property
    def share(self) -> float:
        """The part of the time that is in products; both are measured, of different calls."""
        return self.products / self.whole


def products_time(folder: Path, texts: Sequence[str]) -> Products:
    """Measures an export on one batch, an operation after the other on one thread.

    The whole is that of calls that nobody looks into; those whose operations are timed take longer
    for each of them.

    Args:
        folder: the SavedModel of `export`.
        texts: the batch.

    Raises:
        tf.errors.OpError: TensorFlow fails.
    """
    one_thread = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        use_per_session_threads=True,
    )
    with tf.compat.v1.Session(graph=tf.Graph(), config=one_thread) as session:
        graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
        signature = graph.signature_def[DEFAULT_SIGNATURE]
        output = signature.outputs["translation"].name
        inputs = {signature.inputs["text"].name: list(texts)}

        def call(**options: Any) -> float:
            began = time.perf_counter()
            session.run(output, inputs, **options)
            return 1e3 * (time.perf_counter() - began)

        call()
        whole = statistics.median(call() for _ in range(CALLS))
        found = []
        for _ in range(CALLS):
            trace = tf.compat.v1.RunMetadata()
            call(options=_timed(), run_metadata=trace)
            found.append(milliseconds_of(trace, PRODUCT))
        return Products(whole=whole, products=statistics.median(found))


def _timed() -> Any:
    """Options of a call that times each operation."""
    kind = tf.compat.v1.RunOptions
    return kind(trace_level=kind.FULL_TRACE)


def milliseconds_of(trace: Any, kind: re.Pattern[str]) -> float:
    """The time of the operations of a kind in the trace of a call."""
    return sum(ms for operation, ms in _operations(trace) if kind.search(operation))


def _operations(trace: Any) -> Iterable[tuple[str, float]]:
    """The kind of each operation that ran, and its time."""
    for device in trace.step_stats.dev_stats:
        for node in device.node_stats:
            # As in "encoder/MatMul = _FusedMatMul(x, kernel)".
            operation = node.timeline_label.partition(" = ")[2].partition("(")[0]
            yield operation, 1e-6 * (node.op_end_rel_nanos - node.op_start_rel_nanos)
