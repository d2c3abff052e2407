"""`serving.server` over real gRPC: what TensorFlow Serving answers, request by request."""

from concurrent import futures
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.conftest import MAX_MESSAGE_BYTES, VERSION, ServerProcess
from tests.serving.messages import failure, fill_spec, request, strings, tensor_proto, translations

Status = grpc.StatusCode


def test_predict_gives_typed_fields_and_the_version_that_answered(service: Any) -> None:
    response = service.Predict(request(strings("hello", "a cat", "dog")), timeout=20)
    assert sorted(response.outputs) == ["score", "translation"]
    assert response.outputs["translation"] == strings("bonjour", "A CAT", "chien")
    assert response.outputs["score"] == tensor_proto(
        types_pb2.DT_FLOAT, [3], float_val=[2.5, 2.5, 1.5]
    )
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (
        "nmt",
        VERSION,
        "serving_default",
    )


def test_predict_with_version_signature_filter_and_default(service: Any) -> None:
    message = request(strings("a", "bc"), version=VERSION, signature_name="join")
    assert service.Predict(message, timeout=20).outputs["joined"] == strings("a!", "bc!")
    message.inputs["mark"].CopyFrom(strings("?", shape=[]))
    message.output_filter.extend(["joined", "first"])
    response = service.Predict(message, timeout=20)
    assert dict(response.outputs) == {
        "joined": strings("a?", "bc?"),
        "first": strings("a", shape=[]),
    }
    assert response.model_spec.signature_name == "join"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ([""], [b""]),
        (["x" * 100_000], [b"X" * 100_000]),
        ([b"\xff\xfea"], [b"\xff\xfeA"]),
        ([b"\0a\0"], [b"\0A\0"]),
        (["é\n\u2028日本"], ["é\n\u2028日本".encode()]),
    ],
    ids=["no text", "empty text", "100,000 characters", "no UTF-8", "null bytes", "other scripts"],
)
def test_predict_takes_every_string(
    service: Any, texts: list[str | bytes], expected: list[bytes]
) -> None:
    assert translations(service, *texts) == expected


def test_one_value_may_stand_for_a_whole_tensor(service: Any) -> None:
    response = service.Predict(request(strings("dog", shape=[3])), timeout=20)
    assert response.outputs["translation"] == strings("chien", "chien", "chien")


MISTAKES: dict[str, tuple[predict_pb2.PredictRequest, grpc.StatusCode, str]] = {
    "no model spec": (predict_pb2.PredictRequest(), Status.INVALID_ARGUMENT, "Missing ModelSpec"),
    "no name": (request(name=""), Status.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    "unknown model": (
        request(name="x"),
        Status.NOT_FOUND,
        "Servable not found for request: Latest(x)",
    ),
    "unknown model and version": (
        request(name="x", version=7),
        Status.NOT_FOUND,
        "Servable not found for request: Specific(x, 7)",
    ),
    "version not loaded": (
        request(version=1),
        Status.NOT_FOUND,
        "Servable not found for request: Specific(nmt, 1)",
    ),
    "version 0": (
        request(version=0),
        Status.NOT_FOUND,
        "Servable not found for request: Specific(nmt, 0)",
    ),
    "unknown label": (
        request(version_label="stable"),
        Status.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    ),
    "unknown signature": (
        request(signature_name="zz"),
        Status.FAILED_PRECONDITION,
        'Serving signature key "zz" not found.',
    ),
    "signature that only initializes": (
        request(signature_name="__saved_model_init_op"),
        Status.INTERNAL,
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, ",
    ),
    "no input": (
        fill_spec(predict_pb2.PredictRequest()),
        Status.INVALID_ARGUMENT,
        "input size does not match signature: 0!=1 len({}) != len({text}). Sent extra: {}. "
        "Missing but required: {text}.",
    ),
    "extra input": (
        fill_spec(predict_pb2.PredictRequest(inputs={"text": strings("a"), "b": strings("a")})),
        Status.INVALID_ARGUMENT,
        "input size does not match signature: 2!=1 len({b,text}) != len({text}). Sent extra: {b}. ",
    ),
    "wrong input name": (
        fill_spec(predict_pb2.PredictRequest(inputs={"texts": strings("a")})),
        Status.INVALID_ARGUMENT,
        "Signature input alias: text(feed name: serving_default_text:0) not found in request and "
        "no default value provided. Inputs expected to be in the request {texts}",
    ),
    "wrong name beside a default": (
        fill_spec(
            predict_pb2.PredictRequest(inputs={"text": strings("a"), "b": strings("a")}),
            signature_name="join",
        ),
        Status.INVALID_ARGUMENT,
        "Inputs contains invalid name.",
    ),
    "long input name": (
        fill_spec(predict_pb2.PredictRequest(inputs={"é" * 100_000: strings("a")})),
        Status.INVALID_ARGUMENT,
        "Signature input alias: text",
    ),
    "wrong dtype": (
        request(tensor_proto(types_pb2.DT_FLOAT, [1], float_val=[1.0])),
        Status.INVALID_ARGUMENT,
        "Expects arg[0] to be string but float is provided",
    ),
    "rank 0": (request(strings("a", shape=[])), Status.INVALID_ARGUMENT, "Shape of tensor "),
    "rank 2": (
        request(strings("a", "b", shape=[2, 1])),
        Status.INVALID_ARGUMENT,
        "Shape of tensor ",
    ),
    "failing op": (
        request(strings("x"), signature_name="count"),
        Status.INVALID_ARGUMENT,
        "StringToNumberOp could not correctly convert string: x",
    ),
    "unknown output": (
        request(outputs=("zz",)),
        Status.INVALID_ARGUMENT,
        "output tensor alias not found in signature: zz Outputs expected to be in the set "
        "{score,translation}.",
    ),
    "output twice": (
        request(outputs=("score", "score")),
        Status.INVALID_ARGUMENT,
        "duplicate output tensor alias: score",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_the_status_of_tensorflow_serving(service: Any, mistake: str) -> None:
    message, code, details = MISTAKES[mistake]
    received = failure(service.Predict, message)
    assert received[0] == code
    assert received[1].startswith(details)
    assert "Traceback" not in received[1]
    assert translations(service, "hello") == [b"bonjour"]


def test_bytes_that_are_no_request(channel: grpc.Channel, service: Any) -> None:
    predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert failure(predict, b"\xff" * 50)[0] == Status.INTERNAL
    assert failure(predict, b"")[0] == Status.INVALID_ARGUMENT
    assert translations(service, "hello") == [b"bonjour"]


def test_a_message_over_the_limit_is_refused(service: Any) -> None:
    code, _ = failure(service.Predict, request(strings("x" * MAX_MESSAGE_BYTES)))
    assert code == Status.RESOURCE_EXHAUSTED
    assert translations(service, "hello") == [b"bonjour"]


def test_concurrent_clients_get_their_own_answers(server: ServerProcess) -> None:
    def translate(client: int) -> list[bytes]:
        with grpc.insecure_channel(server.address, options=[("client", client)]) as channel:
            service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            return [
                text for turn in range(10) for text in translations(service, f"c{client} t{turn}")
            ]

    with futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(translate, range(8)))
    assert answers == [[f"C{client} T{turn}".encode() for turn in range(10)] for client in range(8)]


def test_metadata_holds_the_signatures(service: Any) -> None:
    message = fill_spec(
        get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    )
    response = service.GetModelMetadata(message, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "join", "count"} <= set(signatures.signature_def)
    assert signatures.signature_def["serving_default"].inputs["text"].dtype == types_pb2.DT_STRING
    assert (response.model_spec.name, response.model_spec.version.value) == ("nmt", VERSION)


@pytest.mark.parametrize(
    ("fields", "spec", "code", "details"),
    [
        (["signature_def"], None, Status.INVALID_ARGUMENT, "Missing ModelSpec"),
        (
            [],
            {},
            Status.INVALID_ARGUMENT,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (["zz"], {}, Status.INVALID_ARGUMENT, "Metadata field zz is not supported"),
        (
            ["signature_def"],
            {"name": "x"},
            Status.NOT_FOUND,
            "Servable not found for request: Latest(x)",
        ),
    ],
)
def test_metadata_mistakes(
    service: Any,
    fields: list[str],
    spec: dict[str, Any] | None,
    code: grpc.StatusCode,
    details: str,
) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if spec is not None:
        fill_spec(message, **spec)
    assert failure(service.GetModelMetadata, message) == (code, details)


@pytest.mark.parametrize("spec", [{}, {"version": VERSION}])
def test_status_of_the_model(models: Any, spec: dict[str, Any]) -> None:
    response = models.GetModelStatus(
        fill_spec(get_model_status_pb2.GetModelStatusRequest(), **spec), timeout=20
    )
    (status,) = response.model_version_status
    assert (status.version, status.state) == (
        VERSION,
        get_model_status_pb2.ModelVersionStatus.AVAILABLE,
    )
    assert (status.status.error_code, status.status.error_message) == (0, "")


@pytest.mark.parametrize(
    ("spec", "code", "details"),
    [
        (None, Status.INVALID_ARGUMENT, "Missing ModelSpec"),
        ({"name": "no"}, Status.NOT_FOUND, "Could not find any versions of model no"),
        ({"version": 7}, Status.NOT_FOUND, "Could not find version 7 of model nmt"),
        ({"version_label": "l"}, Status.INVALID_ARGUMENT, "Unrecognized servable version label: l"),
    ],
)
def test_status_mistakes(
    models: Any, spec: dict[str, Any] | None, code: grpc.StatusCode, details: str
) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    if spec is not None:
        fill_spec(message, **spec)
    assert failure(models.GetModelStatus, message) == (code, details)


def test_what_is_left_to_tensorflow_serving_is_unimplemented(service: Any, models: Any) -> None:
    assert (
        failure(service.Classify, classification_pb2.ClassificationRequest())[0]
        == Status.UNIMPLEMENTED
    )
    reload_request = model_management_pb2.ReloadConfigRequest()
    assert failure(models.HandleReloadConfigRequest, reload_request)[0] == Status.UNIMPLEMENTED


def test_health(channel: grpc.Channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    for name in ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"):
        assert check(health_pb2.HealthCheckRequest(service=name), timeout=20).status == 1
    assert failure(check, health_pb2.HealthCheckRequest(service="zz"))[0] == Status.NOT_FOUND


def test_the_server_wrote_no_traceback_until_here(server: ServerProcess) -> None:
    assert server.process.poll() is None
    written = server.log.read_text()
    assert "Traceback" not in written
    assert "failed\n" not in written
