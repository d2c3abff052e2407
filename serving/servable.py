"""Runs a SavedModel the way TensorFlow Serving does: its v1 loader, a session, the tensors of a
SignatureDef.

`Servable.predict` takes and gives `TensorProto`s and raises `RequestError` with the status code
and the message that TensorFlow Serving answers with. Nothing here knows about gRPC servers;
`serving.server` puts it on a port.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizers' ops, which the official server has linked in
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

DEFAULT_SIGNATURE = "serving_default"

_METHODS = tuple(f"tensorflow/serving/{kind}" for kind in ("predict", "classify", "regress"))
_STATUS = {code.value[0]: code for code in grpc.StatusCode}
# Status messages travel in HTTP/2 trailers, of which clients accept some 8 KB: a longer one would
# hide the status. A character takes up to 12 bytes there.
_MAX_MESSAGE_CHARS = 500
# One value may stand for a whole tensor; these bound the time and the memory that such a short
# request can claim.
_MAX_REPEATED = 1 << 20
_MAX_REPEATED_BYTES = 1 << 26
_MAX_WARM_UP = 1000
_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    **dict.fromkeys(
        (
            types_pb2.DT_INT32,
            types_pb2.DT_INT16,
            types_pb2.DT_INT8,
            types_pb2.DT_UINT16,
            types_pb2.DT_UINT8,
        ),
        "int_val",
    ),
}


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        code: The status for the client.
        message: One for the client, shortened to what fits beside a status.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        self.message = (
            message
            if len(message) <= _MAX_MESSAGE_CHARS
            else message[: _MAX_MESSAGE_CHARS - 3] + "..."
        )
        super().__init__(f"{code.name}: {self.message}")


def invalid(message: str) -> RequestError:
    """A `RequestError` with INVALID_ARGUMENT, the status of most mistakes in a request."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def latest_version(model_dir: Path) -> tuple[int, Path]:
    """The highest numbered folder in `model_dir` and its number; other names, such as temporary
    ones, are passed over.

    Raises:
        FileNotFoundError: `model_dir` is no folder, or holds no numbered folder.
    """
    if not model_dir.is_dir():
        raise FileNotFoundError(
            f"model_dir must be a folder of numbered version folders. Received: {model_dir}"
        )
    folders = (
        folder
        for folder in model_dir.iterdir()
        if re.fullmatch(r"[0-9]+", folder.name) and folder.is_dir()
    )
    versions = {int(folder.name): folder for folder in folders}
    if not versions:
        raise FileNotFoundError(
            f"model_dir must hold a numbered version folder such as {model_dir / '1'}: none found"
        )
    return max(versions.items())


class Servable:
    """One version of a model, loaded and ready; safe to call from several threads.

    Attributes:
        name: The model's name in requests.
        version: Its version.
        signatures: The model's SignatureDefs by name.
    """

    def __init__(self, name: str, version: int, folder: Path) -> None:
        """Load the SavedModel in `folder` into a session of its own, and replay its warm-up
        requests.

        Raises:
            OSError: There is no SavedModel in `folder`.
            RuntimeError: It has no graph with the tag "serve", or a warm-up request fails.
            tf.errors.OpError: It cannot be initialized.
        """
        self.name = name
        self.version = version
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
        self._callables: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        self._warm_up(folder / "assets.extra" / "tf_serving_warmup_requests")

    def predict(
        self,
        inputs: Mapping[str, tensor_pb2.TensorProto],
        signature_name: str = DEFAULT_SIGNATURE,
        output_filter: Sequence[str] = (),
    ) -> dict[str, tensor_pb2.TensorProto]:
        """Run one signature.

        Args:
            inputs: The tensors by the signature's names; those with a default in the signature may
            be left out. signature_name: Which signature.
            output_filter: The outputs wanted; all of them when empty.

        Raises:
            RequestError: As TensorFlow Serving would answer.
        """
        signature = self.signatures.get(signature_name)
        if signature is None:
            message = f'Serving signature key "{signature_name}" not found.'
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, message)
        if signature.method_name not in _METHODS:
            expected = (
                f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}."
            )
            raise RequestError(grpc.StatusCode.INTERNAL, f"{expected} Was: {signature.method_name}")
        feeds = _feeds(signature, inputs)
        aliases = _fetches(signature, output_filter)
        values = self._run(feeds, tuple(signature.outputs[alias].name for alias in aliases))
        return {
            alias: to_proto(value, signature.outputs[alias].dtype)
            for alias, value in zip(aliases, values, strict=True)
        }

    def close(self) -> None:
        """Free the session; `predict` fails from then on."""
        self._callables.clear()
        self._session.close()

    def _warm_up(self, path: Path) -> None:
        """Run the requests in the TFRecords of `path`, if there are any: one that fails makes the
        load fail."""
        if not path.exists():
            return
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)), start=1):
            try:
                if number > _MAX_WARM_UP:
                    raise invalid(f"there must be at most {_MAX_WARM_UP}")
                request = prediction_log_pb2.PredictionLog.FromString(
                    record.numpy()
                ).predict_log.request
                self.predict(request.inputs, request.model_spec.signature_name or DEFAULT_SIGNATURE)
            except (RequestError, DecodeError) as error:
                raise RuntimeError(f"warm-up request {number} of {path} failed: {error}") from error

    def _run(self, feeds: Mapping[str, np.ndarray], fetches: tuple[str, ...]) -> list[Any]:
        """Run the session with tensors by name.

        `Session.run` would refuse a wrong shape before any op sees it, and so hide a missing guard
        that the real server needs. A callable hands tensors on as they are, and is made once for
        each set of names.
        """
        key = (tuple(feeds), fetches)
        try:
            if key not in self._callables:
                options = config_pb2.CallableOptions(feed=key[0], fetch=key[1])
                self._callables[key] = self._session._make_callable_from_options(options)
            return self._callables[key](*feeds.values())
        except tf.errors.OpError as error:
            raise RequestError(_STATUS[error.error_code], error.message) from error


def from_proto(alias: str, proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The array in `proto`, of the proto's shape and type.

    The number of values must be that of the shape, or 1 for a tensor of equal values. (TensorFlow
    Serving cuts or pads values that do not fit; here the mistake is named.)

    Raises:
        RequestError: INVALID_ARGUMENT, for a proto that is no tensor.
    """
    field = _FIELDS.get(proto.dtype)
    if field is None:
        raise invalid(f"tensor parsing error: {alias}: data type {proto.dtype} is not supported")
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise invalid(f"tensor parsing error: {alias}: the shape must be known. Received: {sizes}")
    count = math.prod(sizes)
    values = len(getattr(proto, field))
    repeated = (
        values == 1 and count <= _MAX_REPEATED and count * proto.ByteSize() <= _MAX_REPEATED_BYTES
    )
    fits = values == count or repeated
    if not proto.tensor_content and not fits:
        raise invalid(
            f"tensor parsing error: {alias}: shape {sizes} needs {count} values. Received: {values}"
        )
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(f"tensor parsing error: {alias}: {error}") from error


def to_proto(value: Any, dtype: int) -> tensor_pb2.TensorProto:
    """`value` as TensorFlow Serving sends it: in the typed field of its `dtype`, not as packed
    bytes.

    Args:
        value: An array, or the bytes of a string of rank 0.
        dtype: Its `DataType`.
    """
    field = _FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(value)
    array = np.asarray(value, dtype=object if dtype == types_pb2.DT_STRING else None)
    if field == "half_val":  # holds the bits
        array = array.view(np.uint16)
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in array.shape]
    )
    return tensor_pb2.TensorProto(
        dtype=dtype, tensor_shape=shape, **{field: array.ravel().tolist()}
    )


def _feeds(
    signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, tensor_pb2.TensorProto]
) -> dict[str, np.ndarray]:
    """What to feed by tensor name, in the order of the signature's input names."""
    _check_input_count(signature, inputs)
    feeds = {}
    for position, (alias, info) in enumerate(sorted(signature.inputs.items())):
        proto = inputs[alias] if alias in inputs else signature.defaults.get(alias)
        if proto is None:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {_names(inputs)}, or default input alias set: "
                f"{_names(signature.defaults)}"
            )
        array = from_proto(alias, proto)
        if proto.dtype != info.dtype:
            expected, received = (
                tf.dtypes.as_dtype(dtype).name for dtype in (info.dtype, proto.dtype)
            )
            raise invalid(
                f"Expects arg[{position}] to be {_cpp(expected)} but {_cpp(received)} is provided"
            )
        feeds[info.name] = array
    if unused := set(inputs) - set(signature.inputs):
        raise invalid(f"Inputs contains invalid name. Unused request inputs: {_names(unused)}")
    return feeds


def _check_input_count(
    signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, tensor_pb2.TensorProto]
) -> None:
    most = len(signature.inputs)
    if most - len(signature.defaults) <= len(inputs) <= most:
        return
    extra = set(inputs) - set(signature.inputs)
    missing = set(signature.inputs) - set(inputs) - set(signature.defaults)
    raise invalid(
        f"input size does not match signature: {len(inputs)}!={most} len({_names(inputs)}) != "
        f"len({_names(signature.inputs)}). Sent extra: {_names(extra)}. Missing but required: {_names(missing)}."
    )


def _fetches(signature: meta_graph_pb2.SignatureDef, output_filter: Sequence[str]) -> list[str]:
    """The outputs wanted, sorted: the order of a filter makes no difference to the answer, which
    is a map."""
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_names(signature.outputs)}."
            )
    if len(set(output_filter)) != len(output_filter):
        twice = next(alias for alias in output_filter if list(output_filter).count(alias) > 1)
        raise invalid(f"duplicate output tensor alias: {twice}")
    return sorted(output_filter or signature.outputs)


def _names(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _cpp(dtype: str) -> str:
    """The name of a type in TensorFlow's own messages: float, not float32."""
    return {"float32": "float", "float64": "double"}.get(dtype, dtype)
