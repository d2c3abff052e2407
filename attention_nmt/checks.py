"""The check that every config and layer uses."""

from __future__ import annotations


def require(condition: bool, name: str, expected: str, received: object) -> None:
    """Raises the `ValueError` every config and layer uses: the argument, what was expected, what
    was received."""
    if not condition:
        raise ValueError(f"`{name}` must be {expected}. Received: {received!r}.")
