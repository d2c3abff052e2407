"""The names of a LiteRT model's signatures."""

from __future__ import annotations

SIGNATURE = "translate"
"""The one signature of a model whose lengths are dynamic."""


def signature_of(length: int) -> str:
    """The signature for sources of a length, of a model whose lengths are fixed."""
    return f"{SIGNATURE}_{length}"
