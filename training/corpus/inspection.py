"""One pass over each split of a corpus: what is in it, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..scoring.languages import spaced
from .characters import SCRIPTS
from .faults import Fault, Reference, find, side_scripts
from .keys import Keys, Overlap
from .languages import Vocabulary, script_totals
from .matching import Fit, fit, runs
from .reading import BLOCK, Chunk, Split
from .report import Found, OverlapReport, SideReport, SplitReport, Stretch
from .sides import Pairs, Side

EXAMPLES = 5
"""The most line numbers that are given for a fault, the worst ones first."""

LONGEST_COUNTED = 1000
"""The words from which on lengths are counted as one."""

_RATIO_BINS = 401
_RATIO_LIMIT = 4.0
"""Logarithms of ratios are counted in bins from minus this number to this number."""

_SWAPPED_LIKENESS = 1.25
"""How much more alike a split and a swapped one are; both ways, where a language is one's own."""

_STRETCHES = 100
"""The most points of a figure along a file."""


class Inspection:
    """The findings of one split, which grow with each chunk of pairs.

    Args:
        split: what is read.

    Attributes:
        split: the same.
        pairs: the pairs so far.
        vocabulary: the words of both sides.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self.vocabulary = Vocabulary()
        self.pairs = 0
        self.sides = (_SideCount(split.languages[0]), _SideCount(split.languages[1]))
        self.scripts = np.zeros((2, len(SCRIPTS)), np.int64)
        self.ratios = np.zeros(_RATIO_BINS, np.int64)
        self.worst = {fault: _Worst() for fault in Fault}
        self.repeated = {name: Keys() for name in ("pairs", "sources", "targets")}
        self._fits: list[Fit] = []
        self._blocks: list[np.ndarray] = []

    def add(self, pairs: Pairs) -> None:
        """Looks at some more pairs."""
        self.pairs += pairs.size
        self.vocabulary.add(pairs)
        for number, (count, side) in enumerate(zip(self.sides, pairs.sides, strict=True)):
            count.add(side)
            self.scripts[number] += script_totals(side)

        both = ~pairs.empty
        bins = np.round((pairs.log_ratios[both] / _RATIO_LIMIT + 1) * (_RATIO_BINS // 2))
        clipped = np.clip(bins, 0, _RATIO_BINS - 1).astype(np.int64)
        self.ratios += np.bincount(clipped, minlength=_RATIO_BINS)

        for fault, severity in find(pairs, self.reference()).items():
            self.worst[fault].add(severity, pairs.first)

        self.repeated["pairs"].add(pairs.keys, pairs.first)
        self.repeated["sources"].add(pairs.source.keys, pairs.first)
        self.repeated["targets"].add(pairs.target.keys, pairs.first)
        self._fits.append(fit(pairs, self.median))
        self._blocks.append(_along(pairs))

    @property
    def median(self) -> float:
        """The median of the pairs' `log_ratios` so far."""
        middle = np.searchsorted(np.cumsum(self.ratios), self.ratios.sum() / 2)
        return float((middle / (_RATIO_BINS // 2) - 1) * _RATIO_LIMIT)

    def reference(self) -> Reference:
        """What is known of the split so far."""
        return Reference(
            vocabulary=self.vocabulary,
            median=self.median,
            scripts=side_scripts(self.split.languages, self.scripts),
        )

    def fits(self) -> Fit:
        """The sign tests of all blocks."""
        return Fit(*(np.concatenate(parts) for parts in zip(*self._fits, strict=True)))

    def report(self, swapped_with: tuple[str, ...] = ()) -> SplitReport:
        """All that was found.

        Args:
            swapped_with: splits whose sides are those of this one swapped.
        """
        misaligned = runs(self.fits(), self.pairs) if self.pairs else []
        faults = {fault: worst.found() for fault, worst in self.worst.items() if worst.pairs}
        if misaligned:
            faults[Fault.MISALIGNED] = Found(
                pairs=sum(run.pairs for run in misaligned),
                lines=tuple(run.first for run in misaligned[:EXAMPLES]),
            )

        repeated = {name: keys.repeated(EXAMPLES) for name, keys in self.repeated.items()}
        if repeated["pairs"].lines:
            again = repeated["pairs"]
            faults[Fault.DUPLICATE] = Found(pairs=again.lines, lines=again.examples)

        return SplitReport(
            name=self.split.name,
            pairs=self.pairs,
            lines=self.split.lines,
            sides=(self.sides[0].report(), self.sides[1].report()),
            ratios=tuple(self.ratios.tolist()),
            ratio_median=float(np.exp(self.median)),
            faults=faults,
            misaligned=tuple(misaligned[:EXAMPLES]),
            repeated=repeated,
            exact=self.repeated["pairs"].exact,
            languages=(self._other_language(0), self._other_language(1)),
            swapped_with=swapped_with,
            stretches=self._stretches(),
        )

    def _other_language(self, side: int) -> str | None:
        return self.vocabulary.other_language(side, self.split.languages[side])

    def _stretches(self) -> tuple[Stretch, ...]:
        """The file in at most `_STRETCHES` parts of equal size."""
        if not self.pairs:
            return ()

        blocks = np.concatenate(self._blocks)
        size = -(-len(blocks) // _STRETCHES)
        sums = np.add.reduceat(blocks, np.arange(0, len(blocks), size))
        ends = np.cumsum(sums[:, 0]).astype(int)

        return tuple(
            Stretch(
                last=int(end),
                ratio=float(targets / max(sources, 1)),
                shared=float(shared / max(words, 1)),
            )
            for end, (_, sources, targets, shared, words) in zip(ends, sums, strict=True)
        )


def _along(pairs: Pairs) -> np.ndarray:
    """Sums of each block of pairs, `[M, 5]`.

    They are of pairs, characters of both sides, shared words and words of the source.
    """
    numbers = np.stack(
        [
            np.ones(pairs.size),
            pairs.source.characters,
            pairs.target.characters,
            pairs.shared,
            pairs.source.tokens.counts,
        ],
        axis=1,
    )
    return np.add.reduceat(numbers, np.arange(0, pairs.size, BLOCK))


class _SideCount:
    """The words and characters of one side."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.spaced = spaced(language)
        self.words = 0
        self.characters = 0
        self.longest = 0
        self.longest_line = 0
        self.lengths = np.zeros(LONGEST_COUNTED + 1, np.int64)
        self._read = 0

    def add(self, side: Side) -> None:
        """Counts some lines."""
        words = side.spaced_words if self.spaced else side.solid
        self.words += int(words.sum())
        self.characters += int(side.characters.sum())
        clipped = np.minimum(words, LONGEST_COUNTED)
        self.lengths += np.bincount(clipped, minlength=LONGEST_COUNTED + 1)

        longest = int(side.characters.argmax())
        if side.characters[longest] > self.longest:
            self.longest = int(side.characters[longest])
            self.longest_line = self._read + longest + 1
        self._read += len(side.characters)

    def report(self) -> SideReport:
        """What was counted."""
        return SideReport(
            language=self.language,
            unit="words" if self.spaced else "characters",
            words=self.words,
            characters=self.characters,
            longest=self.longest,
            longest_line=self.longest_line,
            lengths=tuple(np.trim_zeros(self.lengths, "b").tolist()),
        )


class _Worst:
    """The number of the pairs that have a fault, and the numbers of the worst."""

    def __init__(self) -> None:
        self.pairs = 0
        self._lines: list[tuple[float, int]] = []

    def add(self, severity: np.ndarray, first: int) -> None:
        """Counts some pairs.

        Args:
            severity: `[N]`, above 0 where a pair has the fault.
            first: the number of the first pair.
        """
        found = np.flatnonzero(severity)
        self.pairs += len(found)
        worst = found[np.argsort(-severity[found], kind="stable")[:EXAMPLES]]
        self._lines += [(-float(severity[index]), first + int(index)) for index in worst]
        self._lines = sorted(self._lines)[:EXAMPLES]

    def found(self) -> Found:
        """What was counted."""
        return Found(pairs=self.pairs, lines=tuple(line for _, line in self._lines))


class SplitKeys:
    """The hashes of a split's lines, 16 bytes a pair."""

    def __init__(self) -> None:
        self._pairs: list[np.ndarray] = []
        self._sources: list[np.ndarray] = []

    def add(self, pairs: Pairs) -> None:
        """Keeps some pairs'."""
        self._pairs.append(pairs.keys)
        self._sources.append(pairs.source.keys)

    @property
    def pairs(self) -> np.ndarray:
        """`[N]` uint64: those of the pairs."""
        return np.concatenate([np.zeros(0, np.uint64), *self._pairs])

    @property
    def sources(self) -> np.ndarray:
        """`[N]` uint64: those of the sources."""
        return np.concatenate([np.zeros(0, np.uint64), *self._sources])


class _Beside:
    """The lines of a split that was read, looked for in one that is being read."""

    def __init__(self, split: str, keys: SplitKeys) -> None:
        self._split = split
        self._pairs = Overlap(keys.pairs)
        self._sources = Overlap(keys.sources)

    def look(self, pairs: Pairs) -> None:
        """Looks for them among some pairs."""
        self._pairs.look(pairs.keys)
        self._sources.look(pairs.source.keys)

    def report(self, other: str) -> OverlapReport:
        """What was found."""
        return OverlapReport(
            split=self._split,
            other=other,
            size=self._pairs.size,
            pairs=self._pairs.count,
            sources=self._sources.count,
            lines=self._pairs.examples(EXAMPLES),
        )


class Inspected(NamedTuple):
    """What is left of having read all splits."""

    inspections: list[Inspection]
    overlaps: tuple[OverlapReport, ...]
    keys: list[SplitKeys]
    """Of all splits but the last, or of all."""

    def reports(self) -> tuple[SplitReport, ...]:
        """The findings of each split."""
        return tuple(
            inspection.report(swapped_with=self._swapped_with(index))
            for index, inspection in enumerate(self.inspections)
        )

    def _swapped_with(self, index: int) -> tuple[str, ...]:
        """The last split, if another one's sides are its sides swapped."""
        last = self.inspections[-1]
        inspection = self.inspections[index]
        own, across = inspection.vocabulary.likeness(last.vocabulary)
        return (last.split.name,) if across > _SWAPPED_LIKENESS * own else ()


def inspect(
    splits: Sequence[Split],
    *,
    keep_keys: bool = False,
    each: Callable[[Chunk], None] = lambda _: None,
) -> Inspected:
    """Reads splits once each.

    Args:
        splits: the one that is trained on is the last one.
        keep_keys: keep the hashes of the last split, too.
        each: called with each chunk of the last split.

    Raises:
        ValueError: the data is at fault.
    """
    inspections: list[Inspection] = []
    overlaps: list[OverlapReport] = []
    all_keys: list[SplitKeys] = []

    for split in splits:
        last = split is splits[-1]
        inspection = Inspection(split)
        before = zip(inspections, all_keys, strict=True)
        beside = [_Beside(other.split.name, keys) for other, keys in before]
        keys = SplitKeys()

        for chunk in split.chunks():
            pairs = Pairs.of(chunk)
            inspection.add(pairs)
            for other in beside:
                other.look(pairs)
            if keep_keys or not last:
                keys.add(pairs)
            if last:
                each(chunk)

        inspections.append(inspection)
        all_keys.append(keys)
        overlaps += [other.report(split.name) for other in beside]
    return Inspected(inspections, tuple(overlaps), all_keys)
