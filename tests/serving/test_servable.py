"""`serving.servable`: malformed tensors, versions, warm-up."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.servable import Servable, latest_version
from tests.serving.conftest import VERSION
from tests.serving.messages import failure, request, strings, tensor_proto, translations

MALFORMED = {
    "no type": tensor_proto(types_pb2.DT_INVALID, [1], string_val=[b"a"]),
    "unknown type": tensor_proto(9999, [1], string_val=[b"a"]),
    "resource": tensor_proto(types_pb2.DT_RESOURCE, [1], string_val=[b"a"]),
    "too few values": strings("a", "b", shape=[3]),
    "too many values": strings("a", "b", shape=[1]),
    "no values": strings(shape=[2]),
    "values for an empty tensor": strings("a", "b", shape=[0]),
    "negative size": strings("a", shape=[-1]),
    "overflowing size": strings("a", shape=[2**62, 2**62]),
    "a value for a huge tensor": strings("a", shape=[2**40]),
    "a long value for a large tensor": strings("a" * 65_536, shape=[2**20]),
    "values of another type": tensor_proto(types_pb2.DT_STRING, [1], float_val=[1.0]),
    "packed strings": tensor_proto(types_pb2.DT_STRING, [1], tensor_content=b"\1a"),
    "packed bytes of another size": tensor_proto(types_pb2.DT_FLOAT, [2], tensor_content=b"12345"),
    "value out of range": tensor_proto(types_pb2.DT_INT8, [1], int_val=[1000]),
    "unknown rank": tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_shape={"unknown_rank": True}, string_val=[b"a"]
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_tensors_are_invalid_arguments(service: Any, kind: str) -> None:
    code, details = failure(service.Predict, request(MALFORMED[kind]))
    assert (code, details[:27]) == (StatusCode.INVALID_ARGUMENT, "tensor parsing error: text:")
    assert translations(service, "hello") == [b"bonjour"]


def warm_up(message: predict_pb2.PredictRequest) -> bytes:
    return prediction_log_pb2.PredictionLog(predict_log={"request": message}).SerializeToString()


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (warm_up(request(strings("5"), signature_name="count")), None),
        (warm_up(request(strings("x"), signature_name="count")), "StringToNumberOp"),
        (b"\xff", "Error parsing message"),
    ],
)
def test_warm_up_requests_are_run(
    model_dir: Path, tmp_path: Path, record: bytes, error: str | None
) -> None:
    folder = tmp_path / "1"
    shutil.copytree(model_dir / str(VERSION), folder)
    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(
        str(folder / "assets.extra" / "tf_serving_warmup_requests")
    ) as records:
        records.write(warm_up(request()))
        records.write(record)
    if error is None:
        Servable("nmt", 1, folder).close()
    else:
        with pytest.raises(RuntimeError, match=f"warm-up request 2 of .* failed: .*{error}"):
            Servable("nmt", 1, folder)


def test_the_latest_version_is_the_highest_number(tmp_path: Path) -> None:
    for name in ("9", "0010", "2"):
        (tmp_path / name).mkdir()
    assert latest_version(tmp_path) == (10, tmp_path / "0010")
