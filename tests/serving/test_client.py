"""`serving.client`: against `serving.server` and against scripted servers."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any, cast

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

from serving.client import Client, ClientError, ClientTranslation
from tests.serving.conftest import ServerProcess

DEAD = "127.0.0.1:1"
Answer = Callable[[predict_pb2.PredictRequest, grpc.ServicerContext], predict_pb2.PredictResponse]


@pytest.fixture
def scripted() -> Iterator[Callable[[Answer], str]]:
    """Start a server that answers Predict with a function; gives its address."""
    servers = []

    def start(answer: Answer) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(2))
        method = grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=predict_pb2.PredictRequest.FromString,
            response_serializer=predict_pb2.PredictResponse.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService", {"Predict": method}
        )
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0)


def response(
    texts: Sequence[str], scores: Sequence[float] | None = None
) -> predict_pb2.PredictResponse:
    values = [0.0] * len(texts) if scores is None else scores
    return predict_pb2.PredictResponse(
        outputs={
            "translation": tf.make_tensor_proto(list(texts), tf.string, [len(texts)]),
            "score": tf.make_tensor_proto(list(values), tf.float32, [len(values)]),
        }
    )


def packed_response(score: bytes, truncated: bytes) -> predict_pb2.PredictResponse:
    packed = response(["a"])
    packed.outputs["score"].CopyFrom(TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=score))
    packed.outputs["truncated"].CopyFrom(
        TensorProto(dtype=types_pb2.DT_BOOL, tensor_content=truncated)
    )
    return packed


def test_a_text_that_was_cut_is_marked(scripted: Callable[[Answer], str]) -> None:
    """In either field of a tensor, or not at all by a model that does not say so."""
    plain = response(["a", "b"])
    plain.outputs["truncated"].CopyFrom(tf.make_tensor_proto([False, True]))
    answers = iter([plain, packed_response(b"\0\0\0\0", b"\1"), response(["a"])])
    with Client(scripted(lambda *_: next(answers))) as client:
        assert [t.truncated for t in client.translate(["x", "y"])] == [False, True]
        assert client.translate(["x"]) == [ClientTranslation("a", 0.0, True)]
        assert client.translate(["x"]) == [ClientTranslation("a", 0.0, False)]


def test_translate_gives_texts_and_scores(server: ServerProcess) -> None:
    with Client(server.address) as client:
        assert client.translate(["hello", "", "é\n"]) == [
            ClientTranslation("bonjour", 2.5),
            ClientTranslation("", 0.0),
            ClientTranslation("é\n", 1.5),
        ]
        assert client.translate([]) == []
        assert client.translate(("x" * 100_000,))[0].text == "X" * 100_000


def test_requests_hold_at_most_batch_size_texts(scripted: Callable[[Answer], str]) -> None:
    requests = []

    def answer(
        request: predict_pb2.PredictRequest, _context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        requests.append(request)
        texts = [text.decode() for text in request.inputs["text"].string_val]
        return response([text * 2 for text in texts], [float(text) for text in texts])

    with Client(scripted(answer), "model", batch_size=3) as client:
        translations = client.translate([str(number) for number in range(7)])
    assert translations == [(str(number) * 2, float(number), False) for number in range(7)]
    assert [list(request.inputs["text"].string_val) for request in requests] == [
        [b"0", b"1", b"2"],
        [b"3", b"4", b"5"],
        [b"6"],
    ]
    assert requests[0].model_spec.name == "model"
    assert requests[0].model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(requests[0].inputs["text"]).tolist() == [b"0", b"1", b"2"]


def test_unavailable_is_tried_again(scripted: Callable[[Answer], str]) -> None:
    attempts = []

    def answer(
        request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        attempts.append(request)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "loading")
        return response(["ok"])

    with Client(scripted(answer)) as client:
        assert client.translate(["a"])[0].text == "ok"
    assert len(attempts) == 3


def test_other_errors_are_not_tried_again(scripted: Callable[[Answer], str]) -> None:
    attempts = []

    def answer(
        request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        attempts.append(request)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")
        raise AssertionError

    address = scripted(answer)
    with (
        Client(address) as client,
        pytest.raises(ClientError, match="INVALID_ARGUMENT: bad") as raised,
    ):
        client.translate(["a"])
    assert (raised.value.address, raised.value.code, len(attempts)) == (
        address,
        "INVALID_ARGUMENT",
        1,
    )


def test_a_slow_server_is_given_up(scripted: Callable[[Answer], str]) -> None:
    def answer(
        _request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(timeout=20)
        return response(["late"])

    with (
        Client(scripted(answer), timeout_s=0.3) as client,
        pytest.raises(ClientError, match="DEADLINE_EXCEEDED"),
    ):
        client.translate(["a"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (response(["a", "b"]), "expected 1 translations. Received: 2, with 2 scores"),
        (response(["a"], []), "Received: 1, with 0 scores"),
        (packed_response(b"12345", b"\1"), "scores must have 4 bytes each. Received: 5 bytes"),
        (packed_response(b"1234", b""), "Received: 1, with 1 scores and 0 times `truncated`"),
        (predict_pb2.PredictResponse(), "the model must give outputs"),
        (
            predict_pb2.PredictResponse(
                outputs={name: tf.make_tensor_proto([1]) for name in ("translation", "score")}
            ),
            "the model must give outputs",
        ),
    ],
)
def test_answers_that_are_no_translations(
    scripted: Callable[[Answer], str], answer: predict_pb2.PredictResponse, message: str
) -> None:
    with Client(scripted(lambda *_: answer)) as client, pytest.raises(ClientError, match=message):
        client.translate(["a"])


def test_waits_for_a_server_that_starts_later() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = grpc.server(futures.ThreadPoolExecutor(1))

    def start() -> None:
        server.add_insecure_port(address)
        server.start()

    starting = threading.Timer(0.5, start)
    starting.start()
    with Client(address) as client:
        client.wait(20)
        with pytest.raises(ClientError, match="UNIMPLEMENTED"):  # there, and without a model
            client.translate(["a"])
    starting.join()
    server.stop(0)


def test_waits_no_longer_than_told() -> None:
    with (
        Client(DEAD) as client,
        pytest.raises(ClientError, match=r"UNAVAILABLE: no server within 0.3 s"),
    ):
        client.wait(0.3)


def test_a_dead_address_names_itself() -> None:
    with (
        Client(DEAD) as client,
        pytest.raises(ClientError, match=f"{DEAD}: UNAVAILABLE: ") as raised,
    ):
        client.translate(["a"])
    assert raised.value.code == "UNAVAILABLE"


def test_arguments_are_checked() -> None:
    for arguments in ({"timeout_s": 0.0}, {"batch_size": 0}, {"root_certificates": b"x"}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            Client(DEAD, **cast(Any, arguments))
    with Client(DEAD) as client:
        with pytest.raises(TypeError, match="one string: 'hello'"):
            client.translate("hello")
        with pytest.raises(ValueError, match="surrogates not allowed"):
            client.translate(["\ud800"])


def test_tls_is_not_spoken_in_clear(server: ServerProcess) -> None:
    with (
        Client(server.address, tls=True, timeout_s=10) as client,
        pytest.raises(ClientError, match="UNAVAILABLE"),
    ):
        client.translate(["a"])
