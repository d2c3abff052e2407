"""`serving.client`: against `serving.server` and against scripted servers."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from serving.client import (
    MAXIMUM_REQUEST_BYTES,
    Client,
    ClientError,
    ClientTranslation,
    is_loopback,
    main,
    translate_accepted,
)
from tests.serving.conftest import ServerProcess

DEAD = "127.0.0.1:1"
Answer = Callable[[predict_pb2.PredictRequest, grpc.ServicerContext], predict_pb2.PredictResponse]


@contextlib.contextmanager
def scripted_servers(
    service: str, method: str, request: Any, answer_type: Any
) -> Iterator[Callable[[Callable], str]]:
    """Starts servers that answer a method with a function; gives the address of each."""
    servers = []

    def start(answer: Callable) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request.FromString,
            response_serializer=answer_type.SerializeToString,
        )
        handlers = grpc.method_handlers_generic_handler(
            f"tensorflow.serving.{service}", {method: handler}
        )
        server.add_generic_rpc_handlers((handlers,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0)


@pytest.fixture
def scripted() -> Iterator[Callable[[Answer], str]]:
    """Start a server that answers Predict with a function; gives its address."""
    types = (predict_pb2.PredictRequest, predict_pb2.PredictResponse)
    with scripted_servers("PredictionService", "Predict", *types) as start:
        yield start


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
        assert client.translate(("x" * 60_000,))[0].text == "X" * 60_000


def test_a_long_text_is_cut_before_it_is_sent(server: ServerProcess) -> None:
    """The server takes 2 MB in a message."""
    long = "ä" * 5_000_000
    with Client(server.address) as client:
        short, cut, whole = client.translate(["dog", long, "ä" * 32_768])
    assert short == ClientTranslation("chien", 1.5)
    assert (cut.text, cut.truncated) == ("ä" * 32_768, True)
    assert (whole.text, whole.truncated) == ("ä" * 32_768, False)


def test_long_texts_are_sent_in_several_requests(scripted: Callable[[Answer], str]) -> None:
    sizes = []

    def answer(
        request: predict_pb2.PredictRequest, _context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        sizes.append(request.ByteSize())
        return response(["ok"] * len(request.inputs["text"].string_val))

    with Client(scripted(answer), batch_size=100) as client:
        assert len(client.translate(["x" * 70_000] * 100)) == 100
    assert len(sizes) == 4
    assert max(sizes) < MAXIMUM_REQUEST_BYTES + 1_000 < 4 * 2**20


@pytest.mark.parametrize(
    ("bad", "error"), [(float("nan"), TypeError), ("\udcff", ValueError)], ids=["nan", "surrogate"]
)
def test_a_text_that_is_none_is_named_before_anything_is_sent(
    bad: Any, error: type[Exception], scripted: Callable[[Answer], str]
) -> None:
    requests = []

    def answer(
        request: predict_pb2.PredictRequest, _context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        requests.append(request)
        return response(["ok"] * len(request.inputs["text"].string_val))

    with (
        Client(scripted(answer)) as client,
        pytest.raises(error, match=r"`texts\[5000\]` must be a string"),
    ):
        client.translate(["ok"] * 5000 + [bad])
    assert requests == []


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


def test_an_overloaded_server_is_asked_again(scripted: Callable[[Answer], str]) -> None:
    attempts = []

    def answer(
        request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        attempts.append(request)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        return response(["ok"])

    with Client(scripted(answer)) as client:
        assert client.translate(["a"])[0].text == "ok"
    assert len(attempts) == 3


def test_a_message_that_is_too_large_is_halved_at_once(
    scripted: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not sent again: it would be as large."""
    sizes = []

    def answer(
        request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        texts = [text.decode() for text in request.inputs["text"].string_val]
        sizes.append(len(texts))
        if len(texts) > 1:
            message = "Received message larger than max (5000000 vs. 4194304)"
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        return response([text.upper() for text in texts])

    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("no pause is needed"))
    with Client(scripted(answer)) as client:
        found = translate_accepted(client, ["a", "b", "c", "d"])
    assert [translation.text for translation in found] == ["A", "B", "C", "D"]
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_many_refusals_in_a_row_are_not_multiplied(
    scripted: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four attempts for the first text, and one for each when the server stays overloaded."""
    attempts = []

    def answer(
        request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        attempts.append(request)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        raise AssertionError

    pauses = list[float]()
    monkeypatch.setattr(time, "sleep", pauses.append)
    counts = []
    with Client(scripted(answer)) as client:
        for _ in range(4):
            with pytest.raises(ClientError, match="Concurrent RPC limit"):
                client.translate(["a"])
            counts.append(len(attempts))
    assert counts == [4, 6, 7, 8]
    for pause, expected in zip(pauses, [0.25, 0.5, 1.0, 0.25], strict=True):
        assert 0.8 * expected <= pause <= 1.2 * expected


def test_retries_end_with_the_time_of_a_request(scripted: Callable[[Answer], str]) -> None:
    def answer(_request: object, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many requests at a time")
        raise AssertionError

    began = time.monotonic()
    with (
        Client(scripted(answer), timeout_s=0.15) as client,
        pytest.raises(ClientError, match="Too many requests"),
    ):
        client.translate(["a"])
    assert time.monotonic() - began < 2


def refuse(
    request: predict_pb2.PredictRequest, context: grpc.ServicerContext
) -> predict_pb2.PredictResponse:
    """Refuses texts with an X."""
    texts = [text.decode() for text in request.inputs["text"].string_val]
    if any("X" in text for text in texts):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no X")
    return response([text.upper() for text in texts])


def test_a_line_that_the_server_refuses_is_named_and_the_rest_goes_on(
    scripted: Callable[[Answer], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("a\nb\nX\nc\n\nd X\ne\n", encoding="utf-8")
    address = scripted(refuse)
    flags = ["--address", address, "--batch-size", "4", "--quiet"]
    assert main([*flags, "--input", str(source), "--output", str(target)]) == 1
    assert target.read_text(encoding="utf-8") == "A\nB\n\nC\n\n\nE\n"
    assert capsys.readouterr().err.splitlines() == [
        "warning: line 3 was refused, and is left empty: INVALID_ARGUMENT: no X",
        "warning: line 6 was refused, and is left empty: INVALID_ARGUMENT: no X",
        f"error: {address}: the server refused 2 of the texts: their translations are empty",
    ]


def test_a_sentence_that_the_server_refuses_is_left_out(
    scripted: Callable[[Answer], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its line is named once, and not said to be empty."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("Go. X one! Now! X two!\nStay.\n", encoding="utf-8")
    address = scripted(refuse)
    flags = ["--address", address, "--document", "--quiet"]
    assert main([*flags, "--input", str(source), "--output", str(target)]) == 1
    written = target.read_text(encoding="utf-8").splitlines()
    assert [line.split() for line in written] == [["GO.", "NOW!"], ["STAY."]]
    lacks = "lacks 2 of its 4 sentences, which were refused"
    assert capsys.readouterr().err.splitlines() == [
        f"warning: line 1 {lacks}: INVALID_ARGUMENT: no X",
        f"error: {address}: the server refused 2 of the sentences: their translations are empty",
    ]


def test_a_server_that_refuses_every_text_ends_a_file(
    scripted: Callable[[Answer], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not the lines that are at fault: no file of empty lines is written."""

    def answer(_request: object, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signature")
        raise AssertionError

    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("b\nc\n", encoding="utf-8")
    address = scripted(answer)
    assert main(["--address", address, "--input", str(source), "--output", str(target)]) == 1
    assert "error: 127.0.0.1" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("INVALID_ARGUMENT", "no X", True),
        ("OUT_OF_RANGE", "too far", True),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (5000000 vs. 4194304)", True),
        ("RESOURCE_EXHAUSTED", "Concurrent RPC limit exceeded!", False),
        ("UNAVAILABLE", "no server", False),
        ("NOT_FOUND", "Servable not found for request: Latest(no)", False),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", False),
    ],
)
def test_no_text_is_at_fault_for_an_overloaded_server(
    code: str, message: str, expected: bool
) -> None:
    assert ClientError(DEAD, code, message).may_be_of_a_text == expected


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("localhost:8500", True),
        ("127.0.0.1:8500", True),
        ("127.3.2.1:8500", True),
        ("[::1]:8500", True),
        ("0.0.0.0:8500", True),
        ("dns:///localhost:8500", True),
        ("ipv4:127.0.0.1:8500", True),
        ("ipv6:[::1]:8500", True),
        ("nmt.localhost", True),
        ("localhost.example.org:8500", False),
        ("nmt.example.org:8500", False),
        ("10.0.0.7:8500", False),
        ("dns://10.0.0.1/nmt:8500", False),
        ("[2001:db8::1]:8500", False),
    ],
)
def test_an_address_of_this_machine(address: str, here: bool) -> None:
    assert is_loopback(address) == here


def test_a_proxy_in_the_environment_is_not_asked_for_localhost(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://{DEAD}")
    port = server.address.rpartition(":")[2]
    for address in (server.address, f"localhost:{port}"):
        with Client(address, timeout_s=20) as client:
            assert client.translate(["dog"])[0].text == "chien"


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


class ScriptedStatus:
    """A server that answers GetModelStatus with one answer after another, and then with the last.

    An answer is a state of the model, or a status of gRPC.
    """

    def __init__(self, answers: Sequence[int | grpc.StatusCode]) -> None:
        self.answers = list(answers)
        self.asked = list[str]()

    def __call__(
        self,
        request: get_model_status_pb2.GetModelStatusRequest,
        context: grpc.ServicerContext,
    ) -> get_model_status_pb2.GetModelStatusResponse:
        self.asked.append(request.model_spec.name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "TensorFlow Serving does not answer")
        status = get_model_status_pb2.ModelVersionStatus(version=1, state=cast(Any, answer))
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[status])


@pytest.fixture
def status_server() -> Iterator[Callable[[ScriptedStatus], str]]:
    """Start a server that answers GetModelStatus with a script; gives its address."""
    types = (
        get_model_status_pb2.GetModelStatusRequest,
        get_model_status_pb2.GetModelStatusResponse,
    )
    with scripted_servers("ModelService", "GetModelStatus", *types) as start:
        yield start


STATES = get_model_status_pb2.ModelVersionStatus


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([grpc.StatusCode.UNAVAILABLE, STATES.LOADING, STATES.AVAILABLE], 3),
        ([grpc.StatusCode.RESOURCE_EXHAUSTED, STATES.AVAILABLE], 2),
        ([grpc.StatusCode.UNIMPLEMENTED], 1),
        ([grpc.StatusCode.NOT_FOUND], 1),
    ],
    ids=["loading behind a proxy", "too many requests", "no such service", "no such model"],
)
def test_waits_until_the_model_is_loaded(
    answers: list[int | grpc.StatusCode],
    asked: int,
    status_server: Callable[[ScriptedStatus], str],
) -> None:
    """A proxy's connection is ready at once, before TensorFlow Serving is."""
    script = ScriptedStatus(answers)
    with Client(status_server(script), "model") as client:
        client.wait(20)
    assert script.asked == ["model"] * asked


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (STATES.LOADING, "it is not loaded"),
        (STATES.END, "it is not loaded"),
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE: TensorFlow Serving does not answer"),
    ],
)
def test_a_model_that_does_not_come_is_named(
    answer: int | grpc.StatusCode,
    message: str,
    status_server: Callable[[ScriptedStatus], str],
) -> None:
    address = status_server(ScriptedStatus([answer]))
    expected = f"{address}: UNAVAILABLE: no model 'nmt' within 0.6 s: {message}"
    with Client(address) as client, pytest.raises(ClientError, match=f"^{expected}$"):
        client.wait(0.6)


def test_waits_for_the_local_server(server: ServerProcess) -> None:
    with Client(server.address) as client:
        client.wait(20)
        assert client.translate(["dog"])[0].text == "chien"


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
        with pytest.raises(TypeError, match=r"`texts\[1\]` must be a string. Received: nan"):
            client.translate(["a", cast(Any, float("nan"))])
        with pytest.raises(ValueError, match=r"`texts\[1\]` must .*surrogates not allowed"):
            client.translate(["a", "\ud800"])


def test_tls_is_not_spoken_in_clear(server: ServerProcess) -> None:
    with (
        Client(server.address, tls=True, timeout_s=10) as client,
        pytest.raises(ClientError, match="UNAVAILABLE"),
    ):
        client.translate(["a"])
