"""The messages of TensorFlow Serving that a text client needs, without TensorFlow.

`tensorflow-serving-api` imports all of TensorFlow, which takes seconds and hundreds of megabytes.
What travels between a client and a server depends on field numbers and types only, so these few
messages, declared here under names of their own, are read by every server. Their numbers are those
of `tensorflow_serving/apis/predict.proto` and `model.proto`, and of
`tensorflow/core/framework/tensor.proto` and `tensor_shape.proto`; the tests compare them.
"""

import struct
from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT_METHOD = "/tensorflow.serving.PredictionService/Predict"
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
    "ModelSpec": {"name": (1, "string"), "version": (2, "Int64"), "signature_name": (3, "string")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "[NamedTensor]")},
    "PredictResponse": {"outputs": (1, "[NamedTensor]"), "model_spec": (2, "ModelSpec")},
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3"
    )
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            declared.field.append(_field(field, number, kind))
    return file


def _field(name: str, number: int, kind: str) -> descriptor_pb2.FieldDescriptorProto:
    field = descriptor_pb2.FieldDescriptorProto(name=name, number=number)
    field.label = field.LABEL_REPEATED if kind.startswith("[") else field.LABEL_OPTIONAL
    kind = kind.strip("[]")
    if kind in _MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
    return field


def _messages() -> dict[str, Any]:
    pool = (
        descriptor_pool.DescriptorPool()
    )  # its own, so that a program may import TensorFlow's messages as well
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _messages()
Tensor: Any = _CLASSES["Tensor"]
PredictRequest: Any = _CLASSES["PredictRequest"]
PredictResponse: Any = _CLASSES["PredictResponse"]


def predict_request(name: str, texts: Sequence[str]) -> Any:
    """A `PredictRequest` for the signature `serving_default` of the model `name`, with `texts` as
    its input `text`.

    Raises:
        ValueError: A text holds a lone surrogate, which UTF-8 cannot express.
    """
    request = PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"
    tensor = request.inputs.add(key="text").value
    tensor.dtype = DT_STRING
    tensor.tensor_shape.dim.add(size=len(texts))
    tensor.string_val.extend(text.encode("utf-8") for text in texts)
    return request


def read_translations(response: Any, count: int) -> list[tuple[str, float, bool]]:
    """The outputs `translation`, `score` and, where a model gives it, `truncated` of a
    `PredictResponse`, in triples.

    Raises:
        ValueError: It does not hold `count` of each.
    """
    outputs = {output.key: output.value for output in response.outputs}
    expected = {"translation": DT_STRING, "score": DT_FLOAT}
    received = {alias: tensor.dtype for alias, tensor in outputs.items()}
    if not expected.items() <= received.items():
        raise ValueError(
            f"the model must give outputs of the data types {expected}. Received: {received}"
        )
    texts = [text.decode("utf-8", "replace") for text in outputs["translation"].string_val]
    scores = list(outputs["score"].float_val)
    if content := outputs["score"].tensor_content:  # numbers come in either field
        if len(content) % 4:
            raise ValueError(f"scores must have 4 bytes each. Received: {len(content)} bytes")
        scores = [score for (score,) in struct.iter_unpack("<f", content)]
    truncated = [False] * count
    if received.get("truncated") == DT_BOOL:
        truncated = list(outputs["truncated"].bool_val) or [
            byte != 0 for byte in outputs["truncated"].tensor_content
        ]
    if not len(texts) == len(scores) == len(truncated) == count:
        numbers = f"{len(texts)}, with {len(scores)} scores and {len(truncated)} times `truncated`"
        raise ValueError(f"expected {count} translations. Received: {numbers}")
    return list(zip(texts, scores, truncated, strict=True))
