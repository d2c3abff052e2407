"""The services of TensorFlow Serving, and health, for one servable on a port."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NamedTuple, NoReturn

import grpc
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

from .servable import DEFAULT_SIGNATURE, Servable
from .tensors import RequestError, invalid

_LOGGER = logging.getLogger(__name__)
_SIGNATURE_DEF = "signature_def"
_SPARE_THREADS = 4
"""Threads for requests that no model runs for, such as those of health, and for refusals."""


def _answer(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """Turns a method of a request into one of gRPC.

    What it raises becomes a status, never a traceback.
    """

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


class _Queue:
    """The requests that run a model, and those that wait for it.

    Others, such as those of health, have no part in it: a server with much to do is a healthy one.

    Args:
        max_workers: the number of requests that run at the same time.
        max_waiting: the most requests that wait for those.
    """

    def __init__(self, max_workers: int, max_waiting: int) -> None:
        self._places = threading.BoundedSemaphore(max_workers + max_waiting)
        self._workers = threading.BoundedSemaphore(max_workers)

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Waits until the block may run.

        Raises:
            RequestError: RESOURCE_EXHAUSTED, as many as may wait do so.
        """
        if not self._places.acquire(blocking=False):
            message = "Concurrent RPC limit exceeded!"  # gRPC's own
            raise RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        try:
            with self._workers:
                yield
        finally:
            self._places.release()


def _queued(
    method: Callable[[Any, Any, grpc.ServicerContext], Any],
) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """Makes requests of a method wait in the queue of its service."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._queue.worker())
            except RequestError as error:
                context.abort(error.code, error.message)
            return method(self, request, context)

    return answer


@_answer
def _not_here(_self: object, _request: object) -> NoReturn:
    message = "Not part of this stand-in: use TensorFlow Serving"
    raise RequestError(grpc.StatusCode.UNIMPLEMENTED, message)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """tensorflow.serving.PredictionService for one servable: Predict and GetModelMetadata.

    Args:
        servable: what answers.
        max_workers: the number of Predict that run at the same time.
        max_waiting: the most of them that wait; one more is answered with RESOURCE_EXHAUSTED.
    """

    def __init__(self, servable: Servable, *, max_workers: int, max_waiting: int) -> None:
        self._servable = servable
        self._queue = _Queue(max_workers, max_waiting)

    @_queued
    @_answer
    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest
    ) -> predict_pb2.PredictResponse:
        """Runs a signature of the model."""
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
        """Describes the signatures: the one metadata field there is, "signature_def"."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        if not request.metadata_field:
            message = "GetModelMetadataRequest must specify at least one metadata_field"
            raise invalid(message)
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise invalid(f"Metadata field {field} is not supported")
        _check_model_spec(self._servable, request)

        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=self._servable.signatures)
        spec = _model_spec(self._servable)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
        return response

    Classify = _not_here
    Regress = _not_here
    MultiInference = _not_here


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """tensorflow.serving.ModelService for one servable: GetModelStatus."""

    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    @_answer
    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Says that the one version is available."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        spec = request.model_spec
        _check_no_label(spec)

        servable = self._servable
        there = (spec.name, spec.version.value) == (servable.name, servable.version)
        if spec.HasField("version") and not there:
            message = f"Could not find version {spec.version.value} of model {spec.name}"
            raise RequestError(grpc.StatusCode.NOT_FOUND, message)
        if spec.name != servable.name:
            message = f"Could not find any versions of model {spec.name}"
            raise RequestError(grpc.StatusCode.NOT_FOUND, message)

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
    other_version = specific and spec.version.value != servable.version
    if spec.name != servable.name or other_version:
        wanted = f"Latest({spec.name})"
        if specific:
            wanted = f"Specific({spec.name}, {spec.version.value})"
        message = f"Servable not found for request: {wanted}"
        raise RequestError(grpc.StatusCode.NOT_FOUND, message)


def _check_no_label(spec: model_pb2.ModelSpec) -> None:
    """Refuses any label: TensorFlow Serving's configuration file gives them, and here is none."""
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
        address: where it listens, as `host:port`.
        servable: what it serves.
        health: what answers grpc.health.v1.
    """

    server: grpc.Server
    address: str
    servable: Servable
    health: health.HealthServicer

    def stop(self, grace_s: float = 0.0) -> None:
        """Takes no more requests, lets running ones finish, and frees the model.

        Args:
            grace_s: the time that running requests have, in seconds.
        """
        self.health.enter_graceful_shutdown()
        self.server.stop(grace_s).wait()
        self.servable.close()


def start(
    servable: Servable,
    host: str,
    port: int,
    *,
    max_workers: int,
    max_waiting: int,
    max_message_bytes: int,
) -> RunningServer:
    """Starts to answer requests.

    Args:
        servable: what to serve; it is closed if the address is taken.
        host: the address to listen on.
        port: the port; 0 picks a free one.
        max_workers: the number of Predict that run at the same time.
        max_waiting: the most Predict that wait for those; one more is answered with
            RESOURCE_EXHAUSTED, and other requests are answered beside them.
        max_message_bytes: the size of the largest request.

    Raises:
        OSError: the address is taken.
    """
    # A Predict that waits holds a thread and its message: `max_message_bytes` at most each.
    threads = max_workers + max_waiting + _SPARE_THREADS
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=threads, thread_name_prefix="serving"),
        options=[
            ("grpc.max_receive_message_length", max_message_bytes),
            # Otherwise a second server would quietly share the port of a first.
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(servable, max_workers=max_workers, max_waiting=max_waiting), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(servable), server)
    health_service = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)

    host = f"[{host}]" if ":" in host else host
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        servable.close()
        raise OSError(f"cannot listen at {host}:{port}: {error}") from error

    server.start()
    for service in ("", *_service_names()):
        health_service.set(service, health_pb2.HealthCheckResponse.SERVING)
    return RunningServer(
        server=server, address=f"{host}:{port}", servable=servable, health=health_service
    )


def _service_names() -> list[str]:
    names = []
    for file in (prediction_service_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR):
        names += [service.full_name for service in file.services_by_name.values()]
    return names
