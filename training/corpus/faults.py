"""The faults of single pairs."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np

from .languages import Vocabulary, expected_scripts
from .reading import LONGEST
from .sides import Pairs

_UNEVEN = np.log(3)
"""How far a ratio of lengths may be from the median of all, both with ten characters more."""

_FOREIGN_LETTERS = 4
_FOREIGN_FACTOR = 10
"""Letters of another script for each own one, from which on a line has another script: a name in
Latin letters has many, and a word of Chinese has two."""

_FOREIGN = -6.0
"""The evidence (a logarithm) from which on a line is taken to be in the other language."""


class Fault(enum.Enum):
    """What is wrong with a pair; the value says it behind "pairs that"."""

    EMPTY = "have an empty side"
    LONG = f"have a line over {LONGEST:,} characters"
    UNEVEN = "have sides of very different lengths"
    COPY = "have a target that is a copy of the source"
    SWAPPED = "look swapped, each side in the other's language"
    SOURCE_LANGUAGE = "look as if the source were in the target's language"
    TARGET_LANGUAGE = "look as if the target were in the source's language"
    SCRIPT = "are written in another script than the rest"
    NUL = "hold a NUL character, which a training refuses"
    CONTROL = "hold control characters or damaged ones"
    MISREAD = "look like UTF-8 that was read as Latin-1"
    TAGS = "hold HTML tags"
    ENTITIES = "hold HTML entities such as &amp;"
    MISALIGNED = "stand in stretches where the sides do not belong together"
    DUPLICATE = "stand there before"
    LEAKED = "stand in another split, too"


class Reference(NamedTuple):
    """What is known of a split as a whole, which its pairs are compared with."""

    vocabulary: Vocabulary
    median: float
    """The median of `Pairs.log_ratios`."""
    scripts: tuple[frozenset[str], frozenset[str]]
    """The scripts of the sources and of the targets."""


def find(pairs: Pairs, reference: Reference) -> dict[Fault, np.ndarray]:
    """How bad each fault of each pair is, `[N]`; 0 where a pair does not have it.

    Those that show only in a split as a whole are not among them.
    """
    source, target = pairs.sides
    short = pairs.longer <= LONGEST
    from_source, from_target = reference.vocabulary.evidence(pairs)
    foreign_source = np.where(from_source < _FOREIGN, -from_source, 0)
    foreign_target = np.where(from_target < _FOREIGN, -from_target, 0)
    one_language = _one_language(reference)

    copies = (source.keys == target.keys) & ~pairs.empty & _with_letters(pairs)
    distance = np.abs(pairs.log_ratios - reference.median)
    uneven = (distance > _UNEVEN) & ~pairs.empty & short
    told = ~(copies | one_language)

    return {
        Fault.EMPTY: pairs.empty.astype(float),
        Fault.LONG: np.where(short, 0, pairs.longer),
        Fault.UNEVEN: np.where(uneven, distance, 0),
        Fault.COPY: np.where(copies, pairs.longer, 0),
        Fault.SWAPPED: np.minimum(foreign_source, foreign_target) * told,
        Fault.SOURCE_LANGUAGE: np.where((from_target > 0) & told, foreign_source, 0),
        Fault.TARGET_LANGUAGE: np.where((from_source > 0) & told, foreign_target, 0),
        Fault.SCRIPT: _foreign_letters(pairs, reference),
        Fault.NUL: source.nuls + target.nuls,
        Fault.CONTROL: source.controls + target.controls,
        Fault.MISREAD: (source.misread | target.misread).astype(float),
        Fault.TAGS: (source.tags | target.tags).astype(float),
        Fault.ENTITIES: (source.entities | target.entities).astype(float),
    }


def _one_language(reference: Reference) -> bool:
    """True where both sides have the same words, as in a corpus of paraphrases."""
    own, across = reference.vocabulary.likeness(reference.vocabulary)
    return across > 0.9 * own


def _with_letters(pairs: Pairs) -> np.ndarray:
    return pairs.source.letters.sum(axis=1) > 0


def _foreign_letters(pairs: Pairs, reference: Reference) -> np.ndarray:
    """The letters of other scripts than a side's, where a line has hardly any own ones, `[N]`."""
    worst = np.zeros(pairs.size)
    for side, scripts in zip(pairs.sides, reference.scripts, strict=True):
        own = side.letters_in(scripts)
        foreign = side.letters.sum(axis=1) - own
        hardly_own = (foreign >= _FOREIGN_LETTERS) & (foreign >= _FOREIGN_FACTOR * own)
        worst = np.maximum(worst, np.where(hardly_own, foreign, 0))
    return worst


def side_scripts(
    languages: tuple[str, str], totals: np.ndarray
) -> tuple[frozenset[str], frozenset[str]]:
    """The scripts of both sides.

    Args:
        languages: of the sources and the targets.
        totals: `[2, scripts]`: the letters that were seen.
    """
    source, target = totals.tolist()
    return expected_scripts(languages[0], source), expected_scripts(languages[1], target)
