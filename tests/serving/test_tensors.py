"""Tensors on the wire, and errors."""

import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode

from serving.tensors import RequestError, from_proto, to_proto


@pytest.mark.parametrize(
    "name", ["float32", "float64", "float16", "bfloat16", "int8", "int64", "uint32", "bool"]
)
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_numbers_survive_the_wire(name: str, shape: tuple[int, ...]) -> None:
    dtype = tf.dtypes.as_dtype(name)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype.as_numpy_dtype)
    read = from_proto("x", to_proto(array, dtype.as_datatype_enum))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    np.testing.assert_array_equal(from_proto("x", tf.make_tensor_proto(array)), array)


def test_an_error_keeps_to_the_size_of_a_status() -> None:
    assert len(RequestError(StatusCode.INTERNAL, "x" * 5000).message) == 500
