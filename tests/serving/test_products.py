"""The share of matrix products in the time of a translation."""

from pathlib import Path

import pytest
import tensorflow as tf

from serving.products import PRODUCT, Products, milliseconds_of, products_time


class Multiplier(tf.Module):
    """Translates by a product of two large matrices, and by nothing else that takes time."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def translate(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        numbers = tf.fill([1000, 1000], tf.cast(tf.size(text), tf.float32))
        total = tf.linalg.matmul(numbers, numbers)[0, 0]
        return {"translation": tf.fill(tf.shape(text), tf.strings.as_string(total, precision=1))}


def test_a_product_is_found(tmp_path: Path) -> None:
    module = Multiplier()
    tf.saved_model.save(module, str(tmp_path), signatures=module.translate)
    found = products_time(tmp_path, ["a", "b"])
    assert found.products > 0
    assert found.whole > 0


def test_without_products_there_is_no_share(model_dir: Path) -> None:
    found = products_time(model_dir / "3", ["hello"])
    assert found.products == 0 < found.whole


def test_times_of_products_are_added_up() -> None:
    """Of a trace by hand: two products of 2 and 3 ms, another operation, one that moves data."""
    trace = tf.compat.v1.RunMetadata()
    device = trace.step_stats.dev_stats.add()
    labels = ["a = _MklMatMul(x, y)", "b/MatMul = Tanh(x)", "c = BatchMatMulV2(x, y)", "transfer"]
    for milliseconds, label in zip((2, 7, 3, 11), labels, strict=True):
        node = device.node_stats.add(timeline_label=label, op_start_rel_nanos=5000)
        node.op_end_rel_nanos = 5000 + milliseconds * 1_000_000
    assert milliseconds_of(trace, PRODUCT) == pytest.approx(5.0)


def test_the_share_is_that_of_the_whole() -> None:
    assert Products(whole=8.0, products=6.0).share == pytest.approx(0.75)
