"""Checks that everything uses: of values, and of packages that an extra brings."""

from __future__ import annotations

import os

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
