"""Checks that everything uses: of values, and of packages that an extra brings."""

from __future__ import annotations

import os
from typing import Any

LONGEST_RECEIVED = 200
"""The most characters of a value in a message."""

_EXTRAS = {
    "tensorflow": "tensorflow",
    "tensorflow_text": "tensorflow",
    "jax": "jax",
    "tyro": "training",
    "tensorflow_datasets": "training",
    "sacrebleu": "training",
    "sacremoses": "training",
    "tensorboard": "training",
    "matplotlib": "plots",
    "grpc": "serving",
    "google": "serving",
    "grpc_health": "serving",
    "tensorflow_serving": "serving",
    "ai_edge_litert": "litert",
    "tf2onnx": "onnx",
    "onnxruntime": "onnx",
    "huggingface_hub": "hub",
    "kagglehub": "hub",
    "keras_hub": "keras-hub",
    "zstandard": "zstd",
    "apache_beam": "beam",
}
"""The extras that bring packages, by the names of their modules."""


def require(condition: bool, name: str, expected: str, received: object) -> None:
    """Raises the `ValueError` that every config and layer uses, unless a condition holds.

    Args:
        condition: what must hold.
        name: the argument that is at fault if it does not.
        expected: what the argument must be.
        received: what it is.

    Raises:
        ValueError: the condition does not hold; the message has all three.
    """
    if not condition:
        raise ValueError(f"`{name}` must be {expected}. Received: {received!r}.")


def require_type(condition: bool, name: str, expected: str, received: object) -> None:
    """Raises the `TypeError` for an argument of another kind, unless a condition holds.

    Args:
        condition: what must hold.
        name: the argument that is at fault if it does not.
        expected: what the argument must be.
        received: what it is.

    Raises:
        TypeError: the condition does not hold; the message has all three.
    """
    if not condition:
        raise TypeError(f"`{name}` must be {expected}. Received: {_described(received)}.")


def require_axes(name: str, tensor: Any, axes: str) -> None:
    """Makes sure that a tensor has the axes that are expected, no more and no fewer.

    Args:
        name: the argument.
        tensor: a tensor of any backend, or an array.
        axes: their names as docstrings have them, such as `[B, S, D]`.

    Raises:
        TypeError: it is no tensor.
        ValueError: it has more axes or fewer.
    """
    require_type(hasattr(tensor, "shape"), name, f"a tensor {axes}", tensor)

    shape = tensor.shape
    rank = shape.rank if hasattr(shape, "rank") else len(shape)
    if rank is None:  # in a graph of TensorFlow it may be unknown
        return
    require(rank == axes.count(",") + 1, name, f"of shape {axes}", tuple(shape))


def missing_package(error: ModuleNotFoundError) -> str:
    """Says which package is missing and which pip command brings it."""
    module = (error.name or "").partition(".")[0]
    if module == "torch":
        return "`KERAS_BACKEND` must be 'tensorflow' or 'jax'. PyTorch is not supported."

    extra = _EXTRAS.get(module)
    if extra is None:
        return str(error)
    message = f"{module} is not installed: pip install 'attention-nmt[{extra}]'"
    if module == "tensorflow" and os.environ.get("KERAS_BACKEND") != "jax":
        message += ", or use Keras on JAX where TensorFlow is not needed: KERAS_BACKEND=jax"
    return message


def require_ids(name: str, ids: Any, axes: str) -> None:
    """Makes sure that a tensor holds ids.

    Args:
        name: the argument.
        ids: a tensor of any backend, or an array.
        axes: see `require_axes`.

    Raises:
        TypeError: it is no tensor, or one of something else than integers.
        ValueError: it has more axes or fewer.
    """
    require_axes(name, ids, axes)
    kind = getattr(ids.dtype, "name", str(ids.dtype))
    require_type("int" in kind, name, f"a tensor {axes} of ids, which are integers", kind)


def _described(value: object) -> str:
    """A value for a message: a tensor by its shape, anything else in at most some characters."""
    shape = getattr(value, "shape", ())
    if shape != ():
        return f"{type(value).__name__} of shape {shape}"

    text = repr(value)
    return text if len(text) <= LONGEST_RECEIVED else f"{text[:LONGEST_RECEIVED]}..."
