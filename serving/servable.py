"""Runs a SavedModel as TensorFlow Serving does: by its v1 loader, in a session.

`Servable.predict` takes and gives `TensorProto`s, and raises `RequestError` with the status code
and the message that TensorFlow Serving answers with. Nothing here knows about gRPC servers;
`services` puts it on a port.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the tokenizers' ops, as in the official server
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from attention_nmt.files import read_record

from .tensors import RequestError, from_proto, invalid, to_proto

DEFAULT_SIGNATURE = "serving_default"

WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"
"""The file of warm-up requests in the folder of a version, by TensorFlow Serving's convention."""

MODEL_CARD = "assets.extra/model_card.json"
"""The model card in the folder of a version, where `export` has made it."""

_METHODS = tuple(f"tensorflow/serving/{kind}" for kind in ("predict", "classify", "regress"))
_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_MAXIMUM_WARM_UP = 1000

Tensors = Mapping[str, tensor_pb2.TensorProto]


def latest_version(model_dir: str | Path) -> tuple[int, Path]:
    """Gives the highest number of a folder in `model_dir`, and that folder.

    Other names, such as temporary ones, are passed over.

    Raises:
        FileNotFoundError: `model_dir` is no folder, or holds no numbered folder.
    """
    model_dir = Path(model_dir)
    if not model_dir.is_dir():
        expected = "model_dir must be a folder of numbered version folders"
        raise FileNotFoundError(f"{expected}. Received: {model_dir}")

    versions = {}
    for folder in model_dir.iterdir():
        if re.fullmatch(r"[0-9]+", folder.name) and folder.is_dir():
            versions[int(folder.name)] = folder
    if not versions:
        expected = f"model_dir must hold a numbered version folder such as {model_dir / '1'}"
        raise FileNotFoundError(f"{expected}: none found")
    return max(versions.items())


class Servable:
    """One version of a model, loaded and ready; safe to call from several threads.

    Args:
        name: the model's name in requests.
        version: its version.
        folder: its SavedModel, which is loaded into a session of its own, and whose warm-up
            requests are run.

    Attributes:
        name: the model's name in requests.
        version: its version.
        signatures: the model's SignatureDefs by name.

    Raises:
        OSError: there is no SavedModel in `folder`.
        RuntimeError: it has no graph with the tag "serve", its model card cannot be read, its
            tokenizers are not those of the card, or a warm-up request fails.
        tf.errors.OpError: it cannot be initialized.
    """

    def __init__(self, name: str, version: int, folder: str | Path) -> None:
        self.name = name
        self.version = version

        folder = Path(folder)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        self._callables: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        try:
            self.signatures = self._load(folder)
            self._warm_up(folder / WARM_UP_FILE)
        except BaseException:
            self.close()
            raise

    def predict(
        self,
        inputs: Tensors,
        signature_name: str = DEFAULT_SIGNATURE,
        output_filter: Sequence[str] = (),
    ) -> dict[str, tensor_pb2.TensorProto]:
        """Runs one signature.

        Args:
            inputs: the tensors by the signature's names; those with a default in the signature may
                be left out.
            signature_name: the signature.
            output_filter: the outputs wanted; all of them when empty.

        Returns:
            The outputs by the signature's names.

        Raises:
            RequestError: as TensorFlow Serving would answer.
        """
        signature = self._signature(signature_name)
        feeds = _feeds(signature, inputs)
        aliases = _fetches(signature, output_filter)
        fetches = tuple(signature.outputs[alias].name for alias in aliases)
        values = self._run(feeds, fetches)

        outputs = {}
        for alias, value in zip(aliases, values, strict=True):
            outputs[alias] = to_proto(value, signature.outputs[alias].dtype)
        return outputs

    def close(self) -> None:
        """Frees the session; `predict` fails from then on."""
        self._callables.clear()
        self._session.close()

    def _signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        signature = self.signatures.get(name)
        if signature is None:
            message = f'Serving signature key "{name}" not found.'
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, message)
        if signature.method_name not in _METHODS:
            kinds = ", ".join(_METHODS)
            expected = f"Expected prediction signature method_name to be one of {{{kinds}}}."
            message = f"{expected} Was: {signature.method_name}"
            raise RequestError(grpc.StatusCode.INTERNAL, message)
        return signature

    def _load(self, folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
        """Loads a SavedModel into the session, and gives its SignatureDefs by name."""
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        _check_tokenizers(loaded, folder / MODEL_CARD)
        return dict(loaded.signature_def)

    def _warm_up(self, path: Path) -> None:
        """Runs the requests in the TFRecords of `path`, if there are any.

        Raises:
            RuntimeError: one of them fails.
        """
        if not path.exists():
            return
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)), start=1):
            try:
                if number > _MAXIMUM_WARM_UP:
                    raise invalid(f"there must be at most {_MAXIMUM_WARM_UP}")
                log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
                request = log.predict_log.request
                self.predict(request.inputs, request.model_spec.signature_name or DEFAULT_SIGNATURE)
            except (RequestError, DecodeError) as error:
                message = f"warm-up request {number} of {path} failed: {error}"
                raise RuntimeError(message) from error

    def _run(self, feeds: Mapping[str, np.ndarray], fetches: tuple[str, ...]) -> list[Any]:
        """Runs the session with tensors by name.

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


def _check_tokenizers(loaded: meta_graph_pb2.MetaGraphDef, card: Path) -> None:
    """Compares the tokenizers of a graph with the sums in its model card, if there are any.

    Raises:
        RuntimeError: they differ, or the card cannot be read.
    """
    if not card.is_file():
        return
    expected = _tokenizer_sums(card)
    if not expected:
        return

    nodes = list(loaded.graph_def.node)
    for function in loaded.graph_def.library.function:
        nodes += function.node_def
    models = {node.attr["model"].s for node in nodes if node.op == "SentencepieceOp"}
    found = {hashlib.sha256(model).hexdigest() for model in models}
    if found != expected:
        fault = f"{card}: expected tokenizers of the SHA-256 {sorted(expected)}"
        raise RuntimeError(f"{fault}. The graph has: {sorted(found)}.")


def _tokenizer_sums(card: Path) -> set[str]:
    """The sums of tokenizers that a model card names.

    Raises:
        RuntimeError: the card, or what it says of tokenizers, is no record.
    """
    try:
        sums = read_record(card).get("tokenizers_sha256", {})
    except ValueError as error:
        raise RuntimeError(str(error)) from error

    if not isinstance(sums, dict) or not all(isinstance(text, str) for text in sums.values()):
        expected = "expected a record of sums as `tokenizers_sha256`"
        raise RuntimeError(f"{card}: {expected}. Received: {sums!r:.200}.")
    return set(sums.values())


def _feeds(signature: meta_graph_pb2.SignatureDef, inputs: Tensors) -> dict[str, np.ndarray]:
    """The values to feed by tensor name, in the order of the signature's input names."""
    _check_input_count(signature, inputs)
    feeds = {}
    for position, (alias, info) in enumerate(sorted(signature.inputs.items())):
        proto = inputs[alias] if alias in inputs else signature.defaults.get(alias)
        if proto is None:
            missing = f"Signature input alias: {alias}(feed name: {info.name}) not found in request"
            expected = f"Inputs expected to be in the request {_names(inputs)}"
            default = f"or default input alias set: {_names(signature.defaults)}"
            raise invalid(f"{missing} and no default value provided. {expected}, {default}")
        array = from_proto(alias, proto)
        if proto.dtype != info.dtype:
            types = f"{_type_name(info.dtype)} but {_type_name(proto.dtype)} is provided"
            raise invalid(f"Expects arg[{position}] to be {types}")
        feeds[info.name] = array

    unused = set(inputs) - set(signature.inputs)
    if unused:
        raise invalid(f"Inputs contains invalid name. Unused request inputs: {_names(unused)}")
    return feeds


def _check_input_count(signature: meta_graph_pb2.SignatureDef, inputs: Tensors) -> None:
    most = len(signature.inputs)
    least = most - len(signature.defaults)
    if least <= len(inputs) <= most:
        return
    extra = set(inputs) - set(signature.inputs)
    missing = set(signature.inputs) - set(inputs) - set(signature.defaults)
    raise invalid(
        f"input size does not match signature: {len(inputs)}!={most} len({_names(inputs)}) != "
        f"len({_names(signature.inputs)}). Sent extra: {_names(extra)}. "
        f"Missing but required: {_names(missing)}."
    )


def _fetches(signature: meta_graph_pb2.SignatureDef, output_filter: Sequence[str]) -> list[str]:
    """The outputs wanted, sorted: the order of a filter does not change the answer, a map."""
    for alias in output_filter:
        if alias not in signature.outputs:
            expected = f"Outputs expected to be in the set {_names(signature.outputs)}."
            raise invalid(f"output tensor alias not found in signature: {alias} {expected}")

    if len(set(output_filter)) != len(output_filter):
        aliases = list(output_filter)
        twice = next(alias for alias in aliases if aliases.count(alias) > 1)
        raise invalid(f"duplicate output tensor alias: {twice}")
    return sorted(output_filter or signature.outputs)


def _names(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _type_name(dtype: int) -> str:
    """The name of a type in TensorFlow's own messages: float, not float32."""
    name = tf.dtypes.as_dtype(dtype).name
    return {"float32": "float", "float64": "double"}.get(name, name)
