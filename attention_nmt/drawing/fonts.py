"""Fonts for the labels of pictures: those installed that have the characters.

matplotlib draws a box for a character that no chosen font has, and warns of each.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

DEFAULT = "DejaVu Sans"
"""The font that comes with matplotlib; it has Latin, Greek, Cyrillic, Arabic and more."""

_PREFERRED = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans Arabic")

_REGULAR = ("normal", 400)
"""The style and the weight of fonts that labels are drawn in."""

_NOT_FOR_TEXT = ("cm", "STIX", "Last Resort")
"""How names of fonts begin that matplotlib brings for formulas and for boxes."""

_EAST_ASIAN = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "FULLWIDTH", "IDEOGRAPHIC", "BOPOMOFO")
"""How Unicode's names of Chinese, Japanese and Korean characters begin."""


class Labels(NamedTuple):
    """Labels that can be drawn."""

    source: list[str]
    target: list[str]
    fonts: list[str]  # families, in the order in which a character is looked for


def drawable(source_tokens: Sequence[str], target_tokens: Sequence[str]) -> Labels:
    """The tokens as labels, and fonts that have their characters.

    A token with characters that no installed font has is drawn as its number, from 1. Standard
    error names their script in one line, once.
    """
    texts = [*source_tokens, *target_tokens]
    needed = {character for text in texts for character in text if not character.isspace()}
    fonts, missing = _choose(needed)

    invisible = {character for character in missing if unicodedata.category(character)[0] == "C"}
    for script in sorted({_script(character) for character in missing - invisible}):
        _warn(script)
    return Labels(
        source=_labels(source_tokens, missing, invisible),
        target=_labels(target_tokens, missing, invisible),
        fonts=fonts,
    )


def _labels(tokens: Sequence[str], missing: set[str], invisible: set[str]) -> list[str]:
    labels = []
    for number, token in enumerate(tokens, 1):
        label = "".join(character for character in token if character not in invisible)
        labels.append(str(number) if missing & set(label) else label)
    return labels


def _choose(needed: set[str]) -> tuple[list[str], set[str]]:
    """Fonts that have the characters, and the characters that none has."""
    fonts = [DEFAULT]
    missing = needed - characters(DEFAULT)
    for font in _others():
        if not missing:
            break
        if missing & characters(font):
            fonts.append(font)
            missing -= characters(font)
    return fonts, missing


def _others() -> Iterator[str]:
    """Installed fonts but the default one, the preferred ones first."""
    from matplotlib import font_manager

    entries = font_manager.fontManager.ttflist
    regular = {entry.name for entry in entries if (entry.style, entry.weight) == _REGULAR}
    yield from (font for font in _PREFERRED if font in regular)
    for font in sorted(regular.difference(_PREFERRED, [DEFAULT])):
        if not font.startswith(_NOT_FOR_TEXT):
            yield font


@cache
def characters(font: str) -> frozenset[str]:
    """The characters that a font has; none, if it cannot be used, as one of coloured pictures."""
    from matplotlib import font_manager

    properties = font_manager.FontProperties(family=[font])
    try:
        path = font_manager.findfont(properties, fallback_to_default=False)
        face = font_manager.get_font(path)
        face.set_size(12, 100)
        codes: Iterable[int] = face.get_charmap()
    except (OSError, RuntimeError, ValueError):
        return frozenset()
    return frozenset(map(chr, codes))


def _script(character: str) -> str:
    words = unicodedata.name(character, "unknown").split()
    if words[0] in _EAST_ASIAN:
        return "Chinese, Japanese or Korean"
    return words[0].capitalize()


@cache
def _warn(script: str) -> None:
    message = f"no installed font has {script} characters: pictures number the tokens with them"
    print(f"warning: {message}. The Noto fonts have most scripts.", file=sys.stderr)
