"""A server of an export owes this to its callers, whatever the model: a tiny or a trained one.

`ATTENTION_NMT_RUN` names the folder of a trained run; without it only the tiny one is tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from attention_nmt.translation.translator import Translator
from serving import export
from serving.client import Client
from serving.process import local_server
from serving.signatures import MAXIMUM_BATCH
from tests.serving.exported import SIGNATURES, TEXTS, string_proto

LENGTHS = [
    *TEXTS,
    "a man",
    "two young men are playing football on a green field",
    "dog " * 30,
    "x",
    "",
]
"""Mixed, from none to as many words as a batch of requests may bring together."""


@pytest.fixture(scope="module", params=["tiny", "trained"])
def run(request: pytest.FixtureRequest, run_dir: Path) -> Path:
    if request.param == "tiny":
        return run_dir
    if "ATTENTION_NMT_RUN" not in os.environ:
        pytest.skip("ATTENTION_NMT_RUN names no folder of a trained run")
    return Path(os.environ["ATTENTION_NMT_RUN"])


@pytest.fixture(scope="module", name="trained")
def load(run: Path) -> Translator:
    return Translator.from_run(run)


@pytest.fixture(scope="module")
def address(
    run: Path, run_dir: Path, version: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server in a process of its own; if it is not there any more when all tests are done, that
    is an error."""
    output = version.parent
    if run != run_dir:
        output = tmp_path_factory.mktemp("contract") / "nmt"
        assert export.main(["--run-dir", str(run), "--output", str(output)]) == 0
    with local_server(output) as server:
        yield server.address


def predict(
    address: str, signature: str, **inputs: tensor_pb2.TensorProto
) -> dict[str, np.ndarray]:
    message = predict_pb2.PredictRequest(inputs=inputs)
    message.model_spec.name, message.model_spec.signature_name = "nmt", signature
    with grpc.insecure_channel(address) as channel:
        outputs = (
            prediction_service_pb2_grpc.PredictionServiceStub(channel)
            .Predict(message, timeout=60)
            .outputs
        )
    return {name: tf.make_ndarray(proto) for name, proto in outputs.items()}


def translate(address: str, text: tensor_pb2.TensorProto) -> dict[str, np.ndarray]:
    return predict(address, "serving_default", text=text)


def same(signature: str, texts: list[str]) -> dict[str, tensor_pb2.TensorProto]:
    """The same texts for every input of a signature."""
    return dict.fromkeys(
        ("source", "target") if signature == "score_pairs" else ("text",), string_proto(texts)
    )


def test_translations_are_those_of_the_library(trained: Translator, address: str) -> None:
    expected = trained(LENGTHS)
    together = translate(address, string_proto(LENGTHS))
    assert [text.decode() for text in together["translation"]] == [t.text for t in expected]
    np.testing.assert_allclose(together["score"], [t.score for t in expected], atol=1e-4)
    assert len({t.text for t in expected}) > 5
    with Client(address, "nmt", batch_size=5) as client:
        assert [t.text for t in client.translate(LENGTHS)] == [t.text for t in expected]


@pytest.mark.parametrize("signature", sorted(SIGNATURES))
def test_each_text_of_a_batch_gets_what_it_gets_alone(signature: str, address: str) -> None:
    """TensorFlow Serving's batching concatenates requests and cuts the answers apart."""
    requests = [
        LENGTHS[:2],
        LENGTHS[5:6],
        LENGTHS[-5:],
        ["A b c d e f g h i j k l m n o p.", "the"],
    ]
    together = predict(
        address, signature, **same(signature, [text for texts in requests for text in texts])
    )
    begin = 0
    for texts in requests:
        for name, values in predict(address, signature, **same(signature, texts)).items():
            part = together[name][begin : begin + len(texts)][
                tuple(slice(size) for size in values.shape)
            ]
            if values.dtype in (object, bool):
                np.testing.assert_array_equal(part, values)
            else:
                np.testing.assert_allclose(part, values, atol=1e-4)
        begin += len(texts)


@pytest.mark.parametrize("signature", sorted(SIGNATURES))
def test_an_empty_batch(signature: str, address: str) -> None:
    assert {
        len(values) for values in predict(address, signature, **same(signature, [])).values()
    } == {0}


def test_an_empty_text(address: str) -> None:
    found = translate(address, string_proto([""]))
    assert (
        found["translation"].tolist(),
        found["score"].tolist(),
        found["truncated"].tolist(),
    ) == (
        [b""],
        [0],
        [False],
    )


def test_bytes_that_are_no_text(address: str) -> None:
    found = translate(address, tf.make_tensor_proto([b"\xff\xfe the dog \xc3", b"\x00"], tf.string))
    assert [text.decode() for text in found["translation"]]  # valid UTF-8 comes back
    assert np.all(np.isfinite(found["score"]))


def test_a_hundred_thousand_characters(address: str) -> None:
    found = translate(address, string_proto(["the dog " * 12_500, "the dog"]))
    assert found["truncated"].tolist() == [True, False]
    np.testing.assert_array_equal(
        found["translation"][1:], translate(address, string_proto(["the dog"]))["translation"]
    )


def test_as_many_texts_as_allowed(address: str) -> None:
    alone = translate(address, string_proto(["dog"]))["translation"].tolist()
    assert (
        translate(address, string_proto(["dog"] * MAXIMUM_BATCH))["translation"].tolist()
        == alone * MAXIMUM_BATCH
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tf.make_tensor_proto(b"the dog"), "[] is not compatible with expected shape [?]"),
        (tf.make_tensor_proto([[b"the dog"]]), "[1,1] is not compatible with expected shape [?]"),
        (tf.make_tensor_proto([b"dog"] * (MAXIMUM_BATCH + 1)), "at most 256 texts"),
        (tf.make_tensor_proto(b"dog", shape=[1 << 20]), "at most 256 texts"),
        (tf.make_tensor_proto([1.0]), "to be string but float"),
    ],
    ids=["a scalar", "rank 2", "too many", "one for many", "numbers"],
)
def test_what_is_no_batch_of_texts(
    address: str, text: tensor_pb2.TensorProto, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        translate(address, text)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in raised.value.details()
    assert len(translate(address, string_proto(["the dog"]))["translation"]) == 1
