"""What every module speaks of: tensors of any Keras backend, and the ids of special pieces."""

from typing import Any, NamedTuple, TypeAlias

Tensor: TypeAlias = Any
"""A `KerasTensor`, a backend's tensor, or something a backend turns into one. Shapes stand in
docstrings."""


class SpecialIds(NamedTuple):
    """The ids of the four special pieces; a tokenizer says which they are."""

    pad: int = 0
    unknown: int = 1
    start: int = 2
    end: int = 3


SPECIAL = SpecialIds()
"""The ids of every vocabulary that this package trains."""
