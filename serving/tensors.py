"""Tensors as TensorFlow Serving reads and writes them, and the errors that it answers with."""

from __future__ import annotations

import math
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2

# Status messages travel in HTTP/2 trailers, of which clients accept some 8 KB: a longer one would
# hide the status. A character takes up to 12 bytes there.
_MAXIMUM_MESSAGE = 500
# One value may stand for a whole tensor; these bound the time and the memory that such a short
# request can claim.
_MAXIMUM_REPEATED = 1 << 20
_MAXIMUM_REPEATED_BYTES = 1 << 26

_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_UINT8: "int_val",
}


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        code: the status for the client.
        message: one for the client, shortened to what fits beside a status.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        if len(message) > _MAXIMUM_MESSAGE:
            message = message[: _MAXIMUM_MESSAGE - 3] + "..."
        self.code = code
        self.message = message
        super().__init__(f"{code.name}: {message}")


def invalid(message: str) -> RequestError:
    """Makes a `RequestError` with INVALID_ARGUMENT, the status of most mistakes in a request."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def from_proto(alias: str, proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Reads the array in `proto`, of the proto's shape and type.

    The number of values must be that of the shape, or 1 for a tensor of equal values. (TensorFlow
    Serving cuts or pads values that do not fit; here the mistake is named.)

    Args:
        alias: the input's name, for messages.
        proto: the tensor.

    Raises:
        RequestError: INVALID_ARGUMENT, for a proto that is no tensor.
    """
    field = _FIELDS.get(proto.dtype)
    fault = f"tensor parsing error: {alias}"
    if field is None:
        raise invalid(f"{fault}: data type {proto.dtype} is not supported")

    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise invalid(f"{fault}: the shape must be known. Received: {sizes}")

    count = math.prod(sizes)
    values = len(getattr(proto, field))
    small = count <= _MAXIMUM_REPEATED and count * proto.ByteSize() <= _MAXIMUM_REPEATED_BYTES
    fits = values == count or (values == 1 and small)
    if not proto.tensor_content and not fits:
        raise invalid(f"{fault}: shape {sizes} needs {count} values. Received: {values}")

    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(f"{fault}: {error}") from error


def to_proto(value: Any, dtype: int) -> tensor_pb2.TensorProto:
    """Writes a tensor as TensorFlow Serving sends it: in a typed field, not as packed bytes.

    Args:
        value: an array, or the bytes of a string of rank 0.
        dtype: its `DataType`.
    """
    field = _FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(value)

    array = np.asarray(value, dtype=object if dtype == types_pb2.DT_STRING else None)
    if field == "half_val":  # holds the bits
        array = array.view(np.uint16)

    shape = tensor_shape_pb2.TensorShapeProto()
    for size in array.shape:
        shape.dim.add(size=size)
    values: dict[str, Any] = {field: array.ravel().tolist()}
    return tensor_pb2.TensorProto(dtype=dtype, tensor_shape=shape, **values)
