"""A translation as HTML, whose words light up what was read for them.

It needs no script, which notebooks keep back: a style sheet of its own lights words up.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence

import numpy as np

from attention_nmt.data.normalization import SPACE

_LEAST_SHARE = 0.02
"""Smaller shares of what was read are not lit up."""

_STYLE = """\
#{name} {{ font: 1rem/1.8 system-ui, sans-serif; }}
#{name} p {{ margin: 0.2rem 0; }}
#{name} span {{ border-radius: 0.2rem; cursor: default; padding: 0.1rem 0; white-space: pre; }}
#{name} .target span:hover {{ outline: 2px solid currentColor; }}
"""


def translation_html(
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    alignment: np.ndarray | None,
) -> str:
    """Both sentences; pointing at a piece of the lower one lights up what was read for it.

    Args:
        source_tokens: `S` pieces.
        target_tokens: `T` pieces.
        alignment: `[T, S]`, or None.
    """
    # Two systems' translations may have the same pieces, and have read others.
    read = None if alignment is None else np.asarray(alignment).tolist()
    about = repr((source_tokens, target_tokens, read)).encode(errors="replace")
    name = f"translation-{hashlib.sha256(about).hexdigest()[:12]}"
    rules = [_STYLE.format(name=name)]
    if alignment is not None:
        rules += [_rule(name, t, s, share) for (t, s), share in np.ndenumerate(alignment)]

    style = "".join(rules)
    source = _line("source", "s", source_tokens)
    target = _line("target", "t", target_tokens)
    return f'<div id="{name}"><style>\n{style}</style>\n{source}\n{target}\n</div>'


def _rule(name: str, target: int, source: int, share: float) -> str:
    """Lights a piece of the source up while a piece of the target is pointed at."""
    if share < _LEAST_SHARE:
        return ""
    pointed = f"#{name}:has(.t{target}:hover) .s{source}"
    return f"{pointed} {{ background: rgba(255, 170, 0, {share:.2f}); }}\n"


def _line(side: str, letter: str, tokens: Sequence[str]) -> str:
    spans = [
        f'<span class="{letter}{index}">{html.escape(_shown(token))}</span>'
        for index, token in enumerate(tokens)
    ]
    return f'<p class="{side}" dir="auto">{"".join(spans)}</p>'


def _shown(token: str) -> str:
    """A piece as a reader knows it, with a space before a word."""
    return token.replace(SPACE, " ")
