"""A small stand-in for TensorFlow Serving, for development and tests: `python -m serving.server
--model-dir DIR`.

Production runs the real TensorFlow Serving. This server exists for machines without it: it speaks
the same gRPC services (PredictionService: Predict, GetModelMetadata; ModelService: GetModelStatus;
grpc.health.v1), loads a SavedModel along the same path, and answers mistakes with the same status
codes and messages, so that an export which works here works there. Reloading of versions,
batching, TLS, REST and metrics are left to TensorFlow Serving.
"""

import dataclasses
import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import grpc
import tensorflow as tf
import tyro
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from .servable import DEFAULT_SIGNATURE, RequestError, Servable, invalid, latest_version

_LOGGER = logging.getLogger(__name__)
_SIGNATURE_DEF = "signature_def"


@dataclasses.dataclass(frozen=True)
class ServerConfig:
    """What to serve, and where.

    Raises:
        ValueError: A number out of its range, or an empty name.
    """

    model_dir: Path
    """Folder of numbered version folders; the latest is served."""
    name: str = "nmt"
    """The model's name in requests."""
    host: str = "127.0.0.1"
    """Address to listen on; the default can be reached from this machine only."""
    port: int = 8500
    """Port to listen on; 0 picks a free one."""
    max_workers: int = 4
    """Requests that run at the same time; others wait."""
    max_message_bytes: int = 64 * 2**20
    """The largest request, in bytes."""
    grace_s: float = 30.0
    """How long running requests may take to finish after SIGTERM or SIGINT, in seconds."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name must not be empty")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be in 0..65535. Received: {self.port}")
        for field, least in (("max_workers", 1), ("max_message_bytes", 1), ("grace_s", 0)):
            if getattr(self, field) < least:
                raise ValueError(
                    f"{field} must be at least {least}. Received: {getattr(self, field)}"
                )


def _answer(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """Turn a method of a request into one of gRPC: what it raises becomes a status, never a
    traceback."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        if not context.is_active():  # its client gave up while it waited for a worker
            context.abort(grpc.StatusCode.CANCELLED, "The client has gone")
        try:
            return method(self, request)
        except RequestError as error:
            status = error
        except Exception as error:
            _LOGGER.exception("%s failed", method.__qualname__)
            status = RequestError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
        return context.abort(status.code, status.message)

    return answer


@_answer
def _not_here(_self: object, _request: object) -> NoReturn:
    raise RequestError(
        grpc.StatusCode.UNIMPLEMENTED, "Not part of this stand-in: use TensorFlow Serving"
    )


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """tensorflow.serving.PredictionService for one servable: Predict and GetModelMetadata."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    @_answer
    def Predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:  # noqa: N802
        """Run a signature of the model."""
        _check_model_spec(self._servable, request)
        signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        outputs = self._servable.predict(request.inputs, signature_name, request.output_filter)
        spec = _model_spec(self._servable)
        spec.signature_name = signature_name
        return predict_pb2.PredictResponse(outputs=outputs, model_spec=spec)

    @_answer
    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Describe the signatures: the one metadata field there is, "signature_def"."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid(f"Metadata field {field} is not supported")
        _check_model_spec(self._servable, request)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=self._servable.signatures)
        response = get_model_metadata_pb2.GetModelMetadataResponse(
            model_spec=_model_spec(self._servable)
        )
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
        return response

    Classify = Regress = MultiInference = _not_here


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """tensorflow.serving.ModelService for one servable: GetModelStatus."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    @_answer
    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Say that the one version is available."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        spec, servable = request.model_spec, self._servable
        _check_no_label(spec)
        if spec.HasField("version") and (spec.name, spec.version.value) != (
            servable.name,
            servable.version,
        ):
            message = f"Could not find version {spec.version.value} of model {spec.name}"
            raise RequestError(grpc.StatusCode.NOT_FOUND, message)
        if spec.name != servable.name:
            raise RequestError(
                grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}"
            )
        status = get_model_status_pb2.ModelVersionStatus(
            version=servable.version, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
        )
        status.status.SetInParent()
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[status])

    HandleReloadConfigRequest = _not_here


def _check_model_spec(servable: Servable, request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    _check_no_label(spec)
    specific = spec.HasField("version")
    if spec.name != servable.name or (specific and spec.version.value != servable.version):
        wanted = (
            f"Specific({spec.name}, {spec.version.value})" if specific else f"Latest({spec.name})"
        )
        raise RequestError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")


def _check_no_label(spec: model_pb2.ModelSpec) -> None:
    """Labels are given in TensorFlow Serving's configuration file; here is none, so that every
    label is unknown."""
    if spec.WhichOneof("version_choice") == "version_label":
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")


def _model_spec(servable: Servable) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=servable.name)
    spec.version.value = servable.version
    return spec


class RunningServer(NamedTuple):
    """A started server.

    Attributes:
        server: gRPC's.
        address: Where it listens, as `host:port`.
        servable: What it serves.
        health: What answers grpc.health.v1.
    """

    server: grpc.Server
    address: str
    servable: Servable
    health: health.HealthServicer

    def stop(self, grace_s: float = 0.0) -> None:
        """Take no more requests, let running ones finish for `grace_s` seconds, and free the
        model."""
        self.health.enter_graceful_shutdown()
        self.server.stop(grace_s).wait()
        self.servable.close()


def serve(config: ServerConfig) -> RunningServer:
    """Load the latest version and start to answer.

    Raises:
        OSError: There is no model in `config.model_dir`, or the address is taken.
        RuntimeError: The SavedModel has no graph to serve.
        tf.errors.OpError: The SavedModel cannot be initialized.
    """
    version, folder = latest_version(config.model_dir)
    servable = Servable(config.name, version, folder)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=config.max_workers, thread_name_prefix="serving"),
        # Without so_reuseport=0 a second server would quietly share the port of a first.
        options=[
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(servable), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(servable), server)
    health_service = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    host = f"[{config.host}]" if ":" in config.host else config.host
    try:
        port = server.add_insecure_port(f"{host}:{config.port}")
    except RuntimeError as error:
        servable.close()
        raise OSError(f"cannot listen at {host}:{config.port}: {error}") from error
    server.start()
    for service in ("", *_service_names()):
        health_service.set(service, health_pb2.HealthCheckResponse.SERVING)
    return RunningServer(server, f"{host}:{port}", servable, health_service)


def _service_names() -> list[str]:
    files = (prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR)
    return [service.full_name for file in files for service in file.services_by_name.values()]


def main(args: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 then, and 1 if there is nothing to
    serve."""
    tf.get_logger().setLevel(logging.ERROR)  # or it warns of the v1 loader, which is the point here
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = tyro.cli(
            ServerConfig, args=args, prog="python -m serving.server", description=__doc__
        )
        running = serve(config)
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"Serving {config.name} version {running.servable.version} at {running.address}", flush=True
    )
    stop.wait()
    running.stop(config.grace_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
