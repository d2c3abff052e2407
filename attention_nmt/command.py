"""What the command lines of evaluations share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

Config = TypeVar("Config")


def command(
    kind: type[Config], prog: str, arguments: Sequence[str] | None, act: Callable[[Config], object]
) -> int:
    """Reads a config from the command line and acts on it; the exit status, 1 with one line on
    what is at fault."""
    try:
        act(tyro.cli(kind, prog=prog, args=arguments))
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
