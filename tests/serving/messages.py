"""Requests as the tests build them."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2


def strings(*values: str | bytes, shape: list[int] | None = None) -> tensor_pb2.TensorProto:
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    return tensor_proto(
        types_pb2.DT_STRING, [len(values)] if shape is None else shape, string_val=encoded
    )


def tensor_proto(dtype: int, shape: list[int], **values: Any) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def request(
    text: tensor_pb2.TensorProto | None = None, *, outputs: tuple[str, ...] = (), **spec: Any
) -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest(output_filter=outputs)
    message.inputs["text"].CopyFrom(strings("hello") if text is None else text)
    fill_spec(message, **spec)
    return message


def fill_spec(message: Any, name: str = "nmt", version: int | None = None, **fields: str) -> Any:
    message.model_spec.name = name
    if version is not None:
        message.model_spec.version.value = version
    for field, value in fields.items():
        setattr(message.model_spec, field, value)
    return message


def failure(method: Callable[..., Any], message: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        method(message, timeout=20)
    return raised.value.code(), raised.value.details()


def translations(service: Any, *texts: str | bytes) -> list[bytes]:
    return list(
        service.Predict(request(strings(*texts)), timeout=20).outputs["translation"].string_val
    )
