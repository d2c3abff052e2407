"""`serving.server` starts and stops: settings, addresses, signals."""

import dataclasses
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server import ServerConfig, main, serve
from tests.serving.conftest import ServerProcess
from tests.serving.messages import failure, fill_spec, request, strings


def test_sigterm_lets_a_running_request_finish(start_server: Callable[..., ServerProcess]) -> None:
    process, address, log = start_server("--max-workers", "1", "--grace-s", "50")
    with grpc.insecure_channel(address) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        service.Predict(request(), timeout=20)
        running = service.Predict.future(
            request(strings("300000"), signature_name="count"), timeout=60
        )
        time.sleep(0.3)
        assert not running.done()
        process.send_signal(signal.SIGTERM)
        assert running.result().outputs["counted"].int_val == [300_000]
        assert process.wait(timeout=60) == 0
        assert failure(service.Predict, request())[0] == grpc.StatusCode.UNAVAILABLE
    assert "Traceback" not in log.read_text()


def test_more_requests_than_may_wait_are_refused_at_once(
    start_server: Callable[..., ServerProcess],
) -> None:
    """One runs, one waits; both are answered, and so is the next one behind them."""
    _, address, log = start_server("--max-workers", "1", "--max-waiting", "1")
    with grpc.insecure_channel(address) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        running = service.Predict.future(
            request(strings("300000"), signature_name="count"), timeout=60
        )
        time.sleep(0.3)
        waiting = service.Predict.future(request(), timeout=60)
        time.sleep(0.2)
        assert not running.done()
        assert failure(service.Predict, request()) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Concurrent RPC limit exceeded!",
        )
        assert running.result().outputs["counted"].int_val == [300_000]
        assert waiting.result().outputs["translation"] == strings("bonjour")
        assert service.Predict(request(), timeout=20).outputs["translation"] == strings("bonjour")
    assert "Traceback" not in log.read_text()


def test_an_overloaded_server_is_healthy(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its health and the status of its model are answered while a Predict is refused."""
    running = serve(ServerConfig(model_dir=model_dir, port=0, max_workers=1, max_waiting=2))
    begun, refusals, go_on = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    predict = running.servable.predict

    def slow(*arguments: Any) -> Any:
        begun.release()
        assert go_on.wait(timeout=60)
        return predict(*arguments)

    monkeypatch.setattr(running.servable, "predict", slow)
    with grpc.insecure_channel(running.address) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        queued = [service.Predict.future(request(), timeout=60) for _ in range(20)]
        for call in queued:
            call.add_done_callback(lambda _: refusals.release())
        assert begun.acquire(timeout=20)
        assert all(refusals.acquire(timeout=20) for _ in range(17))

        assert failure(service.Predict, request()) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Concurrent RPC limit exceeded!",
        )
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=20).status == 1  # SERVING
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        message = fill_spec(get_model_status_pb2.GetModelStatusRequest())
        (status,) = models.GetModelStatus(message, timeout=20).model_version_status
        assert status.state == status.AVAILABLE

        assert not begun.acquire(blocking=False)  # one at a time
        go_on.set()
        found = [call.exception(timeout=20) or call.result() for call in queued]
    running.stop()

    refused = [answer.code() for answer in found if isinstance(answer, grpc.RpcError)]
    assert refused == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 17
    answers = [answer for answer in found if not isinstance(answer, grpc.RpcError)]
    assert [answer.outputs["translation"] for answer in answers] == [strings("bonjour")] * 3


def test_a_message_of_more_than_4_mib_is_refused_by_default(model_dir: Path) -> None:
    running = serve(ServerConfig(model_dir=model_dir, port=0))
    with grpc.insecure_channel(running.address) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        code, details = failure(service.Predict, request(strings("x" * 2**22)))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in details
    running.stop()


def test_a_taken_port_is_an_error(server: ServerProcess, model_dir: Path) -> None:
    with pytest.raises(OSError, match="cannot listen at 127"):
        serve(ServerConfig(model_dir=model_dir, port=int(server.address.rpartition(":")[2])))


def test_serve_in_this_process_on_any_port(model_dir: Path) -> None:
    running = serve(ServerConfig(model_dir=model_dir, name="other", port=0))
    with grpc.insecure_channel(running.address) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert service.Predict(request(name="other"), timeout=20).outputs["translation"] == strings(
            "bonjour"
        )
    running.stop()


@pytest.mark.parametrize("names", [None, [], ["tmp-1", "1x", "-1", "²"]])
def test_no_version_is_a_clear_error(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    names: list[str] | None,
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    folder = tmp_path / "models"
    for name in names or []:
        (folder / name).mkdir(parents=True)
    if names == []:
        folder.mkdir()
    assert main(["--model-dir", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: model_dir must ")
    assert str(folder) in error


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(OSError, match="SavedModel"):
        serve(ServerConfig(model_dir=tmp_path, port=0))


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"port": -1},
        {"port": 65536},
        {"max_workers": 0},
        {"max_waiting": -1},
        {"grace_s": -1},
    ],
)
def test_config_is_checked(change: dict[str, Any]) -> None:
    config = ServerConfig(model_dir=Path("models"))
    assert config.host == "127.0.0.1"
    with pytest.raises(ValueError, match=next(iter(change))):
        dataclasses.replace(config, **change)
