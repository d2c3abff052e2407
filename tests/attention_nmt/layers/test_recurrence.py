"""The recurrences' own gradients are those that TensorFlow derives from the same step equations."""

import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.backend import in_lists, scan
from attention_nmt.config import CellConfig
from attention_nmt.layers.attending_gru import (
    AttendingOutputs,
    AttentionWeights,
    attending_gru,
    softmax,
)
from attention_nmt.layers.cells import CellWeights, make_cell
from attention_nmt.layers.recurrence import unroll

GRU = make_cell(CellConfig())

T, B, H, S, A, D = 6, 3, 5, 4, 3, 2
MASK = (np.arange(T)[:, None] < np.array([6, 3, 0])).astype(np.float32)[:, :, None]

Function = Callable[..., tf.Tensor | Sequence[tf.Tensor]]


def random(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng([*shape, 5]).normal(size=shape), tf.float32)


def values_and_gradients(
    function: Function,
    tensors: list[tf.Tensor],
    jit_compile: bool,
    wanted: Sequence[int] = (0, 1, 2),
) -> list[np.ndarray]:
    """What `function` gives, and the gradients by `tensors` of a random sum of its outputs number
    `wanted`."""

    @tf.function(jit_compile=jit_compile)
    def run(*tensors: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = tf.nest.flatten(function(*tensors))
            chosen = [outputs[i] for i in wanted if i < len(outputs)]
            loss = tf.add_n([tf.reduce_sum(output * random(*output.shape)) for output in chosen])
        return [*outputs, *tape.gradient(loss, tensors, unconnected_gradients="zero")]

    return [x.numpy() for x in run(*tensors)]


def assert_close(computed: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(computed) == len(expected)
    for one, other in zip(computed, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1, np.abs(other).max()))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradient_of_the_gru(reverse: bool, jit_compile: bool) -> None:
    """With a row of words, one with padding behind it and one of padding only."""

    def own(inputs: tf.Tensor, initial: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        return unroll(
            GRU, inputs, tf.constant(MASK), initial, CellWeights(*weights), reverse=reverse
        )

    def derived(inputs: tf.Tensor, initial: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        def step(state: tf.Tensor, xs: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            new = tf.where(xs[1] == 1, GRU.step(xs[0], state, CellWeights(*weights)), state)
            return new, new

        return scan(step, initial, (inputs, tf.constant(MASK)), reverse=reverse)[1]

    tensors = [random(T, B, 3 * H), random(B, H), random(H, 3 * H), random(3 * H)]
    computed = values_and_gradients(own, tensors, jit_compile)
    assert_close(computed, values_and_gradients(derived, tensors, jit_compile=False))
    states = computed[0]
    np.testing.assert_array_equal(
        states[:, 2], np.broadcast_to(tensors[1][2], (T, H))
    )  # all padding: never moves


def attending_tensors(read: int = 0) -> list[tf.Tensor]:
    """With `read` columns of the inputs for the queries."""
    own = [
        random(T, B, 3 * H + read),
        random(B, H),
        random(D, 3 * H),
        random(H, 3 * H),
        random(3 * H),
    ]
    return [*own, random(H, A), random(A), random(B, S, A), random(B, S, D)]


def own_attending(*tensors: tf.Tensor) -> AttendingOutputs:
    inputs, initial, context_kernel, *rest = tensors
    attention = AttentionWeights(*[*rest[2:], memory_bias()])
    weights = CellWeights(*rest[:2])
    return attending_gru(GRU, inputs, initial, context_kernel, weights, attention=attention)


def derived_attending(*tensors: tf.Tensor) -> AttendingOutputs:
    """The same recurrence, its attention written once more."""
    inputs, initial, context_kernel, kernel, bias, query_kernel, scale, keys, annotations = tensors

    def step(state: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, AttendingOutputs]:
        x, words = x[:, : 3 * H], x[:, 3 * H :]
        query = state @ query_kernel + (words if words.shape[1] else 0)
        energies = tf.einsum("bsa,a->bs", tf.tanh(query[:, None] + keys), scale)
        alignment = tf.nn.softmax(energies + memory_bias())
        context = tf.einsum("bs,bsd->bd", alignment, annotations)
        state = GRU.step(x + context @ context_kernel, state, CellWeights(kernel, bias))
        return state, AttendingOutputs(state, context, alignment)

    return scan(step, initial, inputs)[1]


def memory_bias() -> tf.Tensor:
    words = np.arange(S) < np.array([[4], [2], [0]])
    return tf.constant(np.where(words, 0, -1e38), tf.float32)


@pytest.mark.parametrize("read", [0, A])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradient_of_the_attending_gru(jit_compile: bool, read: int) -> None:
    """Through states, contexts and alignments at once, by the inputs, the first state, the memory
    and all weights."""
    computed = values_and_gradients(own_attending, attending_tensors(read), jit_compile)
    assert_close(
        computed,
        values_and_gradients(derived_attending, attending_tensors(read), jit_compile=False),
    )


@pytest.mark.parametrize("output", [0, 1, 2], ids=AttendingOutputs._fields)
def test_gradient_of_the_attending_gru_through_one_output(output: int) -> None:
    computed = values_and_gradients(own_attending, attending_tensors(), False, wanted=[output])
    assert_close(
        computed,
        values_and_gradients(derived_attending, attending_tensors(), False, wanted=[output]),
    )


@pytest.mark.parametrize("lists", [False, True])
def test_scan_stacks_outputs_in_the_order_of_the_inputs(lists: bool) -> None:
    numbers = tf.range(1, 5)
    kinds: set[str] = set()

    @tf.function(autograph=False)
    def scanned(numbers: tf.Tensor, reverse: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with in_lists(lists):
            found = scan(step, tf.constant(0), numbers, reverse=reverse)
        kinds.update(node.type for node in tf.compat.v1.get_default_graph().get_operations())
        return found

    def step(total: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return total + x, {"total": total + x, "double": 2 * x}

    last, outputs = scanned(numbers, reverse=False)
    assert last == 10
    np.testing.assert_array_equal(outputs["total"], [1, 3, 6, 10])
    np.testing.assert_array_equal(outputs["double"], [2, 4, 6, 8])
    last, outputs = scanned(numbers, reverse=True)
    assert last == 10
    np.testing.assert_array_equal(outputs["total"], [10, 9, 7, 4])
    np.testing.assert_array_equal(outputs["double"], [2, 4, 6, 8])
    assert ("TensorListReserve" in kinds) == lists


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_softmax_keeps_the_dtype_and_bears_padding(dtype: str) -> None:
    from attention_nmt.layers.attention import mask_bias

    energies = keras.ops.cast([[1.0, 1.0, 5.0], [2.0, -3.0, 0.0]], dtype)
    bias = mask_bias(np.array([[True, True, False], [False, False, False]]), dtype)
    weights = softmax(energies + bias)
    assert keras.backend.standardize_dtype(weights.dtype) == dtype
    weights = np.asarray(keras.ops.cast(weights, "float32"))
    np.testing.assert_allclose(weights[0], [0.5, 0.5, 0], atol=1e-3)
    assert np.isfinite(weights[1]).all()
    assert weights[1].sum() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_softmax_over_one_position_is_1_without_a_warning(dtype: str) -> None:
    """With a gradient of 0, not without one."""
    energies = tf.cast(tf.constant([[[7.0]], [[-3e4]]]), dtype)
    with warnings.catch_warnings(), tf.GradientTape() as tape:
        warnings.simplefilter("error")
        tape.watch(energies)
        found = softmax(energies)
    assert found.dtype == dtype
    np.testing.assert_array_equal(tf.cast(found, "float32"), np.ones((2, 1, 1)))
    np.testing.assert_array_equal(
        tf.cast(tape.gradient(found, energies), "float32"), np.zeros((2, 1, 1))
    )
