"""The messages of TensorFlow Serving that a text client needs, without TensorFlow.

`tensorflow-serving-api` imports all of TensorFlow, which takes seconds and hundreds of megabytes.
A server reads field numbers and types only, so these few messages, declared here under names of
their own, are read by every server. Their numbers are those of
`tensorflow_serving/apis/predict.proto`, `get_model_status.proto` and `model.proto`, and of
`tensorflow/core/framework/tensor.proto` and `tensor_shape.proto`; the tests compare them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT_METHOD = "/tensorflow.serving.PredictionService/Predict"
MODEL_STATUS_METHOD = "/tensorflow.serving.ModelService/GetModelStatus"
AVAILABLE = 30
DT_FLOAT = 1
DT_STRING = 7
DT_BOOL = 10

_PACKAGE = "attention_nmt.wire"
_MESSAGES = {
    # message: {field: (number, type)}; a type in brackets is repeated, and a map is a list of its
    # entries.
    "Int64": {"value": (1, "int64")},
    "Dim": {"size": (1, "int64")},
    "Shape": {"dim": (2, "[Dim]")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "string_val": (8, "[bytes]"),
        "bool_val": (11, "[bool]"),
    },
    "NamedTensor": {"key": (1, "string"), "value": (2, "Tensor")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Int64"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "[NamedTensor]")},
    "PredictResponse": {"outputs": (1, "[NamedTensor]"), "model_spec": (2, "ModelSpec")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32")},
    "GetModelStatusResponse": {"model_version_status": (1, "[ModelVersionStatus]")},
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3"
    )
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            declared.field.append(_field(name, number, kind))
    return file


def _field(name: str, number: int, kind: str) -> descriptor_pb2.FieldDescriptorProto:
    field = descriptor_pb2.FieldDescriptorProto(name=name, number=number)
    field.label = field.LABEL_REPEATED if kind.startswith("[") else field.LABEL_OPTIONAL
    kind = kind.strip("[]")
    if kind in _MESSAGES:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    else:
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
    return field


def _messages() -> dict[str, Any]:
    # A pool of its own, so that a program may import TensorFlow's messages as well.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())

    classes = {}
    for name in _MESSAGES:
        descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        classes[name] = message_factory.GetMessageClass(descriptor)
    return classes


_CLASSES = _messages()

Tensor: Any = _CLASSES["Tensor"]
PredictRequest: Any = _CLASSES["PredictRequest"]
PredictResponse: Any = _CLASSES["PredictResponse"]
GetModelStatusRequest: Any = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse: Any = _CLASSES["GetModelStatusResponse"]


class WireTranslation(NamedTuple):
    """One translation of a response."""

    text: str
    score: float
    truncated: bool


def predict_request(name: str, texts: Sequence[str | bytes]) -> Any:
    """Makes a `PredictRequest` for the signature `serving_default`.

    Args:
        name: the model's name.
        texts: its input `text`; bytes are sent as they are.

    Raises:
        ValueError: a text holds a lone surrogate, which UTF-8 cannot express.
    """
    request = PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"

    tensor = request.inputs.add(key="text").value
    tensor.dtype = DT_STRING
    tensor.tensor_shape.dim.add(size=len(texts))
    tensor.string_val.extend(t.encode("utf-8") if isinstance(t, str) else t for t in texts)
    return request


def model_status_request(name: str) -> Any:
    """Makes a `GetModelStatusRequest` for all versions of the model of a name."""
    request = GetModelStatusRequest()
    request.model_spec.name = name
    return request


def is_available(response: Any) -> bool:
    """Some version of a `GetModelStatusResponse` is loaded, and answers requests."""
    return any(version.state == AVAILABLE for version in response.model_version_status)


def read_translations(response: Any, count: int) -> list[WireTranslation]:
    """Reads the outputs `translation`, `score` and, if a model gives it, `truncated`.

    Args:
        response: a `PredictResponse`.
        count: the number of texts that were sent.

    Raises:
        ValueError: it does not hold `count` of each.
    """
    outputs = {output.key: output.value for output in response.outputs}
    received = {alias: tensor.dtype for alias, tensor in outputs.items()}
    expected = {"translation": DT_STRING, "score": DT_FLOAT}
    if not expected.items() <= received.items():
        wanted = f"the model must give outputs of the data types {expected}"
        raise ValueError(f"{wanted}. Received: {received}")

    texts = [text.decode("utf-8", "replace") for text in outputs["translation"].string_val]
    scores = _floats(outputs["score"])
    truncated = [False] * count
    if received.get("truncated") == DT_BOOL:
        truncated = _switches(outputs["truncated"])

    if not len(texts) == len(scores) == len(truncated) == count:
        marks = f"{len(scores)} scores and {len(truncated)} times `truncated`"
        raise ValueError(f"expected {count} translations. Received: {len(texts)}, with {marks}")
    rows = zip(texts, scores, truncated, strict=True)
    return [WireTranslation(*row) for row in rows]


def _floats(tensor: Any) -> list[float]:
    """The numbers of a tensor, which come in either of two fields."""
    content = tensor.tensor_content
    if not content:
        return list(tensor.float_val)
    if len(content) % 4:
        raise ValueError(f"scores must have 4 bytes each. Received: {len(content)} bytes")
    return [score for (score,) in struct.iter_unpack("<f", content)]


def _switches(tensor: Any) -> list[bool]:
    """The truth values of a tensor, which come in either of two fields."""
    return list(tensor.bool_val) or [byte != 0 for byte in tensor.tensor_content]
