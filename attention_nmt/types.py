"""The one alias for a tensor of any Keras backend."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A `KerasTensor`, a backend's tensor, or something a backend turns into one. Shapes stand in
docstrings."""
