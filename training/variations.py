"""Pairs as people type them: without the last stop, with other quotes, numbers and names."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .names import FIRST_NAMES, invented

Pair = tuple[str, str]

_STOP = re.compile(r"\s*[.!?…。！？](?=[\"”“»]?$)")
_NUMBER = re.compile(r"(?<![\w.,:])(?!1\b)[1-9][0-9]{0,4}(?![\w:]|[.,][0-9])")
"""Whole numbers but 1, behind which words are others."""
_QUOTED = re.compile(r'"([^"]+)"')
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_TYPOGRAPHIC = re.compile("[“”„«»‘’‚]")

QUOTES = {
    "en": ("“", "”"),
    "de": ("„", "“"),
    "fr": ("«\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE}»"),
    "es": ("«", "»"),
}
"""The marks around a quotation by the language that prints them so."""

_STRAIGHT = str.maketrans({**dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‘’‚", "'")})


class Variation(NamedTuple):
    """One way in which people type the same thing."""

    share: float
    """How many of the pairs that allow it have it."""
    vary: Callable[[Pair, random.Random], Pair]
    """Gives the pair itself where it does not allow it."""


def without_stop(pair: Pair) -> Pair:
    """Both sides without their last mark, if both have one, and without Spanish first ones."""
    bare = tuple(_STOP.sub("", side).lstrip("¿¡") for side in pair)
    both = all(_STOP.search(side) for side in pair) and all(bare)
    return (bare[0], bare[1]) if both else pair


def with_other_quotes(pair: Pair, draw: random.Random) -> Pair:
    """The source with typographic marks for straight ones, or the other way round."""
    source, target = pair
    if _TYPOGRAPHIC.search(source):
        return source.translate(_STRAIGHT), target

    return typographic(source, draw.choice(list(QUOTES.values()))), target


def typographic(text: str, quotes: tuple[str, str]) -> str:
    """A text with printers' quotes and apostrophes for straight ones."""
    opening, closing = quotes
    return _APOSTROPHE.sub("’", _QUOTED.sub(rf"{opening}\1{closing}", text))


def with_other_numbers(pair: Pair, draw: random.Random) -> Pair:
    """Other numbers of as many digits, where both sides have the same ones."""
    found = [_NUMBER.findall(side) for side in pair]
    if sorted(found[0]) != sorted(found[1]):
        return pair

    others = {}
    for number in sorted(set(found[0])):
        least = 10 ** (len(number) - 1)
        others[number] = str(draw.randrange(max(2, least), 10 * least))
    source, target = (_NUMBER.sub(lambda match: others[match[0]], side) for side in pair)
    return source, target


def with_other_names(pair: Pair, draw: random.Random) -> Pair:
    """Other first names, where both sides have the same ones; three of four are invented."""
    found = [_FIRST_NAME.findall(side) for side in pair]
    if sorted(found[0]) != sorted(found[1]):
        return pair

    others: dict[str, str] = {}
    for name in sorted(set(found[0])):
        other = name
        while other == name or other in others.values():
            other = draw.choice(FIRST_NAMES) if draw.random() < 0.25 else invented(draw)
        others[name] = other
    source, target = (_FIRST_NAME.sub(lambda match: others[match[0]], side) for side in pair)
    return source, target


_FIRST_NAME = re.compile(rf"\b(?:{'|'.join(FIRST_NAMES)})\b")

VARIATIONS = {
    "stop": Variation(0.15, lambda pair, _: without_stop(pair)),
    "quotes": Variation(0.5, with_other_quotes),
    "numbers": Variation(0.9, with_other_numbers),
    "names": Variation(0.9, with_other_names),
}
"""Every variation by its name, in the order in which a pair has them."""


NAMED = 2
"""How many varied forms a pair with first names has: few pairs have one, and names are many."""


def varied(pairs: Iterable[Pair], seed: int) -> Iterator[Pair]:
    """Varied forms of each pair that has one drawn: two of one with first names, else one.

    Args:
        pairs: the pairs.
        seed: of what is drawn.
    """
    draw = random.Random(seed)
    for pair in pairs:
        forms = NAMED if _FIRST_NAME.search(pair[0]) else 1
        for _ in range(forms):
            other = pair
            for variation in VARIATIONS.values():
                if draw.random() < variation.share:
                    other = variation.vary(other, draw)
            if other != pair:
                yield other
