"""`serving.client`: against `serving.server`, against scripted servers, and as a command."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving import wire
from serving.client import Client, ClientConfig, ClientError, ClientTranslation, main, run, translate_lines
from tests.serving.conftest import ENVIRONMENT, ROOT, ServerProcess

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
        service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": method})
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0)


def response(texts: Sequence[str], scores: Sequence[float] | None = None) -> predict_pb2.PredictResponse:
    values = [0.0] * len(texts) if scores is None else scores
    return predict_pb2.PredictResponse(
        outputs={
            "translation": tf.make_tensor_proto(list(texts), tf.string, [len(texts)]),
            "score": tf.make_tensor_proto(list(values), tf.float32, [len(values)]),
        }
    )


def command(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "serving.client", *args],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


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

    def answer(request: predict_pb2.PredictRequest, _context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        requests.append(request)
        texts = [text.decode() for text in request.inputs["text"].string_val]
        return response([text * 2 for text in texts], [float(text) for text in texts])

    with Client(scripted(answer), "model", batch_size=3) as client:
        translations = client.translate([str(number) for number in range(7)])
    assert translations == [(str(number) * 2, float(number)) for number in range(7)]
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

    def answer(request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        attempts.append(request)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "loading")
        return response(["ok"])

    with Client(scripted(answer)) as client:
        assert client.translate(["a"])[0].text == "ok"
    assert len(attempts) == 3


def test_other_errors_are_not_tried_again(scripted: Callable[[Answer], str]) -> None:
    attempts = []

    def answer(request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        attempts.append(request)
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")
        raise AssertionError

    address = scripted(answer)
    with Client(address) as client, pytest.raises(ClientError, match="INVALID_ARGUMENT: bad") as raised:
        client.translate(["a"])
    assert (raised.value.address, raised.value.code, len(attempts)) == (address, "INVALID_ARGUMENT", 1)


def test_a_slow_server_is_given_up(scripted: Callable[[Answer], str]) -> None:
    def answer(_request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(timeout=20)
        return response(["late"])

    with Client(scripted(answer), timeout_s=0.3) as client, pytest.raises(ClientError, match="DEADLINE_EXCEEDED"):
        client.translate(["a"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (response(["a", "b"]), "expected 1 translations. Received: 2, with 2 scores"),
        (response(["a"], []), "Received: 1, with 0 scores"),
        (predict_pb2.PredictResponse(), "the model must give outputs"),
        (
            predict_pb2.PredictResponse(outputs={name: tf.make_tensor_proto([1]) for name in ("translation", "score")}),
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
    with Client(DEAD) as client, pytest.raises(ClientError, match=r"UNAVAILABLE: no server within 0.3 s"):
        client.wait(0.3)


def test_a_dead_address_names_itself() -> None:
    with Client(DEAD) as client, pytest.raises(ClientError, match=f"{DEAD}: UNAVAILABLE: ") as raised:
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
    with Client(server.address, tls=True, timeout_s=10) as client, pytest.raises(ClientError, match="UNAVAILABLE"):
        client.translate(["a"])


class Shouting:
    """Stands in for a `Client` and notes what it is sent."""

    batch_size = 2

    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def translate(self, texts: list[str]) -> list[ClientTranslation]:
        self.sent.append(texts)
        return [ClientTranslation(f"{text}!\r\n!", 0.0) for text in texts]


def test_lines_are_read_a_batch_at_a_time_and_stay_lines() -> None:
    client = Shouting()
    read = []
    lines = (read.append(line) or line for line in ["a", "", " \t", "", "b", "c", "d"])  # type: ignore[func-returns-value]
    translated = translate_lines(cast(Client, client), lines)
    assert next(translated) == "a! !"
    assert read == ["a", ""]
    assert list(translated) == ["", "", "", "b! !", "c! !", "d! !"]
    assert client.sent == [["a"], [], ["b", "c"], ["d"]]


def test_command_line_with_texts(server: ServerProcess) -> None:
    done = command("--address", server.address, "hello", "a\u2028ß", "", "dog")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "bonjour\nA\u2028ß\n\nchien\n"


def test_command_line_with_standard_input(server: ServerProcess) -> None:
    stdin = "hello\n\na\u2028b\u0085c\r\n  \ndog\ncat".encode() + b"\xff"
    done = command("--address", server.address, "--batch-size", "2", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "bonjour\n\nA\u2028B\u0085C\n\nchien\nCAT\ufffd\n"


def test_command_line_with_files(server: ServerProcess, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("hello\ndog\n" * 50, encoding="utf-8")
    target.write_text("old", encoding="utf-8")
    assert main(["--address", server.address, "--input", str(source), "--output", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == "bonjour\nchien\n" * 50
    assert main(["--address", server.address, "--input", str(source), "--output", str(source)]) == 0
    assert source.read_text(encoding="utf-8") == "bonjour\nchien\n" * 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\n\n"])
def test_nothing_to_translate_needs_no_server(stdin: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(stdin)
    run(ClientConfig(address=DEAD, input=source, output=target))
    assert target.read_bytes() == stdin


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--address", DEAD, "a"], f"error: {DEAD}: UNAVAILABLE: "),
        (["--address", "SERVER", "--name", "no", "a"], "NOT_FOUND: Servable not found for request: Latest(no)"),
        (["--input", "/no/such/file"], "/no/such/file"),
        (["--batch-size", "0", "a"], "batch_size must be at least 1"),
        (["--tls", "--root-certificates", "/no/such/file", "a"], "/no/such/file"),
    ],
)
def test_errors_are_one_line(
    server: ServerProcess, tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    output = tmp_path / "output"
    flags = [server.address if flag == "SERVER" else flag for flag in flags]
    assert main([*flags, "--output", str(output)]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_failure_keeps_the_old_output(server: ServerProcess, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("hello\n" * 40 + "x" * 3_000_000, encoding="utf-8")
    target.write_text("old", encoding="utf-8")
    with pytest.raises(ClientError, match="RESOURCE_EXHAUSTED"):
        run(ClientConfig(address=server.address, input=source, output=target))
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_texts_and_input_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either texts or input"):
        ClientConfig(texts=("a",), input=tmp_path)


def test_the_client_needs_no_tensorflow() -> None:
    code = "import sys, serving.client; sys.exit(any(name.partition('.')[0] == 'tensorflow' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (wire.PredictRequest, predict_pb2.PredictRequest),
        (wire.PredictResponse, predict_pb2.PredictResponse),
        (wire.Tensor, tensor_pb2.TensorProto),
    ],
)
def test_our_messages_are_a_part_of_the_originals(ours: Any, theirs: Any) -> None:
    compare(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def compare(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        kind = other.TYPE_INT32 if other.type == other.TYPE_ENUM else other.type
        assert (field.number, field.type, field.is_repeated) == (other.number, kind, other.is_repeated)
        if field.message_type:
            compare(field.message_type, other.message_type)
