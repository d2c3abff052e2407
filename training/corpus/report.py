"""What was found in a corpus, as records, as text and as warnings of one line each."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .faults import Fault
from .keys import Repeated
from .matching import Run

_SHARES = {
    Fault.EMPTY: 0.01,
    Fault.LONG: 0.0,
    Fault.UNEVEN: 0.02,
    Fault.COPY: 0.02,
    Fault.SWAPPED: 0.01,
    Fault.SOURCE_LANGUAGE: 0.02,
    Fault.TARGET_LANGUAGE: 0.02,
    Fault.SCRIPT: 0.01,
    Fault.NUL: 0.0,
    Fault.CONTROL: 0.005,
    Fault.MISREAD: 0.005,
    Fault.TAGS: 0.01,
    Fault.ENTITIES: 0.01,
    Fault.DUPLICATE: 0.1,
}
"""The share of the pairs from which on a fault is warned of."""

_COMMON = 0.05
"""The share of the pairs from which on it is warned of one line."""

_COMMON_LINES = 20

_OVERLAP = 0.05
"""The share of a split's pairs in another split from which on it is warned of."""

_DROPPED = 0.2
"""The share of the pairs, dropped by a training, from which on it is warned of."""


class Found(NamedTuple):
    """The pairs that have a fault."""

    pairs: int
    lines: tuple[int, ...]
    """The numbers of some of them, from 1, the worst first."""


class SideReport(NamedTuple):
    """One side of a split."""

    language: str
    unit: str
    """What `words` and `lengths` count: `words`, or `characters` where no spaces separate them."""
    words: int
    characters: int
    longest: int
    """The characters of the longest line."""
    longest_line: int
    lengths: tuple[int, ...]
    """The number of lines with 0, 1, 2, ... words; the last one may stand for more, too."""

    def quantile(self, share: float) -> int:
        """The length that a share of the lines does not exceed."""
        counts = np.cumsum(self.lengths)
        return int(np.searchsorted(counts, share * counts[-1])) if len(counts) else 0


class Stretch(NamedTuple):
    """A part of a file."""

    last: int
    """The number of its last pair."""
    ratio: float
    """Characters of the targets for each one of the sources."""
    shared: float
    """The share of the sources' words that stand in their targets."""


class SplitReport(NamedTuple):
    """What was found in a split."""

    name: str
    pairs: int
    lines: tuple[int, int]
    """The lines of each side."""
    sides: tuple[SideReport, SideReport]
    ratios: tuple[int, ...]
    """The number of pairs by the logarithm of their ratio of lengths, from -4 to 4."""
    ratio_median: float
    faults: Mapping[Fault, Found]
    misaligned: tuple[Run, ...]
    """The longest stretches that are out of step."""
    repeated: Mapping[str, Repeated]
    """Of `pairs`, `sources` and `targets`."""
    exact: bool
    """False if what is repeated is an estimate."""
    languages: tuple[str | None, str | None]
    """The language that each side looks like, if it is surely not its own."""
    swapped_with: tuple[str, ...]
    """Splits whose sides are those of this one swapped."""
    stretches: tuple[Stretch, ...]


class OverlapReport(NamedTuple):
    """The pairs of one split that stand in another one, too."""

    split: str
    other: str
    size: int
    """The pairs of `split`."""
    pairs: int
    """Those that stand in `other`, both sides the same."""
    sources: int
    """Those whose source stands in `other`, whatever its target."""
    lines: tuple[int, ...]
    """The numbers of some of those pairs in `split`, from 1."""


class DroppedReport(NamedTuple):
    """What a training would drop, of a sample of its pairs."""

    pairs: int
    """The pairs of the sample."""
    whole: bool
    """True if these are all pairs."""
    kept: int
    empty: int
    too_long: int
    uneven: int
    note: str
    """What kept it from being found; empty if nothing did."""

    def reasons(self) -> dict[str, int]:
        """The pairs that are dropped, by the reason."""
        return {
            "empty": self.empty,
            "too long": self.too_long,
            "of too unequal lengths": self.uneven,
        }


class CorpusReport(NamedTuple):
    """What was found in a corpus."""

    dataset: str
    languages: tuple[str, str]
    splits: tuple[SplitReport, ...]
    overlaps: tuple[OverlapReport, ...]
    dropped: DroppedReport | None

    def warnings(self) -> list[str]:
        """One line for each thing that is likely not as it should be."""
        found = [line for split in self.splits for line in _split_warnings(self, split)]
        found += [line for overlap in self.overlaps for line in _overlap_warnings(overlap)]
        if self.dropped is not None:
            name = self.splits[-1].name
            found += [f"{name}: {line}" for line in _dropped_warnings(self.dropped)]
        return found

    def to_json(self) -> dict[str, Any]:
        """All of it in types of JSON."""
        return {**_plain(self), "warnings": self.warnings()}


def dropped_warning(kept: int, dropped: Mapping[str, int]) -> str | None:
    """A line, if a training drops most of its pairs.

    Args:
        kept: the pairs that are trained on.
        dropped: the pairs that are not, by the reason.
    """
    lost = sum(dropped.values())
    if lost < _DROPPED * (kept + lost) or not lost:
        return None
    return f"{_share(lost, kept + lost)} of the pairs are dropped: {_reasons(kept, dropped)}"


def _split_warnings(corpus: CorpusReport, split: SplitReport) -> Iterator[str]:
    name = split.name
    if not split.pairs:
        yield f"{name}: no pairs"
    if split.lines[0] != split.lines[1]:
        counts = zip(corpus.languages, split.lines, strict=True)
        listed = " and ".join(f"{count:,} {language}" for language, count in counts)
        yield f"{name}: the sides have different numbers of lines: {listed}"

    yield from _language_warnings(corpus, split)
    yield from _matching_warnings(split)

    for fault, least in _SHARES.items():
        found = split.faults.get(fault)
        if found and found.pairs >= least * split.pairs:
            yield f"{name}: {_described(fault, found, split)}"

    for side in ("sources", "targets"):
        repeated = split.repeated[side]
        if repeated.most >= max(_COMMON * split.pairs, _COMMON_LINES):
            share = _share(repeated.most, split.pairs)
            yield f"{name}: {share} of the {side} are the same line, that of line {repeated.first}"


def _language_warnings(corpus: CorpusReport, split: SplitReport) -> Iterator[str]:
    for other in split.swapped_with:
        yield f"{split.name}: its sides look like those of {other} swapped"

    source, target = corpus.languages
    if split.languages == (target, source):
        yield f"{split.name}: the sides look swapped: {source} is {target}, {target} is {source}"
        return

    for language, found in zip(corpus.languages, split.languages, strict=True):
        if found is not None:
            yield f"{split.name}: the side of {language} looks like {found}"


def _matching_warnings(split: SplitReport) -> Iterator[str]:
    found = split.faults.get(Fault.MISALIGNED)
    if found is None:
        return

    run = split.misaligned[0]
    lines = f"lines {run.first:,} to {run.last:,}"
    if run.shift:
        place = f"{abs(run.shift)} line{'s' if abs(run.shift) > 1 else ''}"
        direction = "below" if run.shift > 0 else "above"
        what = f"the targets of {lines} stand {place} {direction} their sources"
    else:
        what = f"the sides of {lines} have nothing to do with each other"

    others = found.pairs - run.pairs
    more = f", and {others:,} pairs elsewhere do not fit" if others else ""
    yield f"{split.name}: {what}{more}"


def _described(fault: Fault, found: Found, split: SplitReport) -> str:
    about = "" if split.exact or fault != Fault.DUPLICATE else "about "
    lines = ", ".join(map(str, found.lines))
    share = _share(found.pairs, split.pairs)
    return f"pairs that {fault.value}: {about}{found.pairs:,} ({share}), lines {lines}"


def _overlap_warnings(overlap: OverlapReport) -> Iterator[str]:
    if overlap.pairs >= _OVERLAP * overlap.size and overlap.pairs:
        lines = ", ".join(map(str, overlap.lines))
        share = _share(overlap.pairs, overlap.size)
        what = f"pairs that stand in {overlap.other}, too"
        yield f"{overlap.split}: {what}: {overlap.pairs:,} ({share}), lines {lines}"


def _dropped_warnings(dropped: DroppedReport) -> list[str]:
    if dropped.note:
        return [dropped.note]
    line = dropped_warning(dropped.kept, dropped.reasons())
    return [line] if line else []


def text(report: CorpusReport) -> str:
    """The report for people."""
    lines: list[str] = []
    for split in report.splits:
        lines += [f"{report.dataset}, {split.name}: {split.pairs:,} pairs"]
        if not split.pairs:
            continue
        lines += [f"  {_side(side)}" for side in split.sides]
        source, target = report.languages
        ratio = f"{split.ratio_median:.2f}"
        lines += [f"  {target} has {ratio} times the characters of {source} (median)"]
        lines += [
            f"  {_described(fault, found, split)}"
            for fault, found in sorted(split.faults.items(), key=lambda item: -item[1].pairs)
        ]
        lines.append("")

    lines += [
        f"{overlap.split} in {overlap.other}: {overlap.pairs:,} pairs "
        f"({_share(overlap.pairs, overlap.size)}), {overlap.sources:,} sources "
        f"({_share(overlap.sources, overlap.size)})"
        for overlap in report.overlaps
    ]
    if report.dropped is not None:
        lines.append(_dropped_text(report.dropped))

    warnings = report.warnings()
    lines += [""] + [f"warning: {line}" for line in warnings]
    lines += [] if warnings else ["Nothing to warn of."]
    return "\n".join(lines)


def _side(side: SideReport) -> str:
    lines = max(1, sum(side.lengths))
    spread = ", ".join(f"{100 * share:g} %: {side.quantile(share)}" for share in (0.05, 0.5, 0.95))
    counted = f"{side.words:,} {side.unit}, {side.words / lines:.1f} a line ({spread})"
    longest = f"longest line {side.longest_line} of {side.longest:,} characters"
    return f"{side.language}: {counted}; {longest}"


def _dropped_text(dropped: DroppedReport) -> str:
    if dropped.note:
        return f"What a training drops was not found: {dropped.note}"
    of = f"{dropped.pairs:,} pairs" if dropped.whole else f"a sample of {dropped.pairs:,} pairs"
    return f"A training drops, of {of}: {_reasons(dropped.kept, dropped.reasons())}"


def _reasons(kept: int, dropped: Mapping[str, int]) -> str:
    pairs = kept + sum(dropped.values())
    parts = [f"{count:,} ({_share(count, pairs)}) {reason}" for reason, count in dropped.items()]
    return ", ".join(parts)


def _share(part: int, whole: int) -> str:
    """A share in percent, with a decimal only where it is small."""
    percent = 100 * part / max(whole, 1)
    return f"{percent:.2g} %" if 0 < percent < 1 else f"{percent:.0f} %"


def _plain(value: Any) -> Any:
    """Records as dictionaries, tuples as lists."""
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {_plain(name): _plain(one) for name, one in value.items()}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value
