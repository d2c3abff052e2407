"""A copy of a corpus without the pairs that have faults, and a list of what was left out."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np

from attention_nmt.checks import require
from attention_nmt.files import atomic_folder, one_line

from .faults import Fault, Reference, find
from .inspection import Inspected, Inspection
from .matching import runs
from .reading import BLOCK, Chunk, Split
from .sides import Pairs

_LEFT = (Fault.ENTITIES,)
"""Faults that are no reason to leave a pair out."""

_SHOWN = 200
"""The most characters of a line in the list of what was left out."""


def check_output(output: Path) -> None:
    """Makes sure that a folder is empty, or that there is none yet.

    Raises:
        ValueError: it holds something.
    """
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    require(empty, "clean", "an empty folder, or nothing yet", str(output))


def clean(splits: Sequence[Split], inspected: Inspected, output: Path) -> Counter[Fault]:
    """Writes a cleaned copy of the last split, and the others as they are.

    The folder is there when all of it is. `left_out.SPLIT.tsv` in it has a row for each pair that
    was left out: its line, the reason, and the start of both sides.

    Args:
        splits: those that were inspected.
        inspected: what was found in them, with the hashes of all.
        output: the folder.

    Returns:
        The number of pairs that were left out, by the reason; of several reasons the first counts.

    Raises:
        ValueError: the folder holds something, the sides of a split have different numbers of
            lines, or no pair would be left.
    """
    check_output(output)
    for inspection in inspected.inspections:
        _check_lines(inspection.split)
    output = output.resolve()

    with atomic_folder(output) as folder:
        for split in splits[:-1]:
            _copy(split, folder)

        reasons = _write_clean(splits[-1], inspected, folder)
        left = inspected.inspections[-1].pairs - sum(reasons.values())
        expected = "a corpus of which something is left without its faults"
        require(left > 0, "dataset", expected, splits[-1].dataset)
    return reasons


def _check_lines(split: Split) -> None:
    """Makes sure that a split has pairs: lines of which none is alone."""
    source, target = split.lines
    expected = f"a corpus whose split {split.name} has as many lines on both sides"
    require(source == target, "dataset", expected, f"{source:,} and {target:,}")


def _copy(split: Split, folder: Path) -> None:
    """Copies a split, with its gold alignments if it has any."""
    dataset = Path(split.dataset)
    names = [f"{kind}.{split.name}.txt" for kind in (*split.languages, "align")]
    if dataset.is_dir():
        for name in names:
            if (dataset / name).is_file():
                shutil.copyfile(dataset / name, folder / name)
        return

    whole = Split(split.dataset, split.languages, split.name, data_dir=split.data_dir, whole=True)
    with _text(folder / names[0]) as source, _text(folder / names[1]) as target:
        for chunk in whole.chunks():
            source.write(chunk.source)
            target.write(chunk.target)


def _text(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _write_clean(split: Split, inspected: Inspected, folder: Path) -> Counter[Fault]:
    inspection = inspected.inspections[-1]
    reference = inspection.reference()
    again = _again(inspected.keys[-1].pairs)
    others = np.concatenate([np.zeros(0, np.uint64), *(k.pairs for k in inspected.keys[:-1])])
    misaligned = _misaligned(inspection)
    reasons: Counter[Fault] = Counter()

    with ExitStack() as stack:
        files = [
            stack.enter_context(_text(folder / f"{language}.{split.name}.txt"))
            for language in split.languages
        ]
        listed = stack.enter_context(_text(folder / f"left_out.{split.name}.tsv"))
        listed.write("line\treason\tsource\ttarget\n")

        for chunk in split.chunks():
            pairs = Pairs.of(chunk)
            here = slice(chunk.first - 1, chunk.first - 1 + pairs.size)
            faults = _faults(pairs, reference) | {
                Fault.MISALIGNED: misaligned[here],
                Fault.LEAKED: np.isin(pairs.keys, others),
                Fault.DUPLICATE: again[here],
            }
            for number, fault, sides in _decided(chunk, faults):
                if fault is None:
                    for file, line in zip(files, sides, strict=True):
                        file.write(f"{line}\n")
                else:
                    reasons[fault] += 1
                    cells = [str(number), fault.name.lower(), *map(_start, sides)]
                    listed.write("\t".join(cells) + "\n")
    return reasons


def _start(line: str) -> str:
    """The start of a line as a cell of a table."""
    return one_line(line[:_SHOWN]).replace("\t", " ")


def _faults(pairs: Pairs, reference: Reference) -> dict[Fault, np.ndarray]:
    found = find(pairs, reference)
    return {fault: found[fault] > 0 for fault in found if fault not in _LEFT}


def _decided(
    chunk: Chunk, faults: dict[Fault, np.ndarray]
) -> Iterator[tuple[int, Fault | None, tuple[str, str]]]:
    """The number of each pair, the fault for which it is left out, if any, and its sides."""
    order = list(faults)
    table = np.stack([faults[fault] for fault in order])
    first = np.where(table.any(axis=0), table.argmax(axis=0), -1).tolist()

    for index, (sides, column) in enumerate(zip(chunk.pairs(), first, strict=True)):
        yield chunk.first + index, None if column < 0 else order[column], sides


def _again(keys: np.ndarray) -> np.ndarray:
    """True for pairs that stand in the split before, `[N]`."""
    again = np.ones(len(keys), bool)
    again[np.unique(keys, return_index=True)[1]] = False
    return again


def _misaligned(inspection: Inspection) -> np.ndarray:
    """True for pairs that are out of step, `[N]`, and for a block of pairs on either side."""
    found = np.zeros(inspection.pairs, bool)
    for run in runs(inspection.fits(), inspection.pairs):
        found[max(0, run.first - 1 - BLOCK) : run.last + BLOCK] = True
    return found


def summary(left_out: Counter[Fault], pairs: int, output: Path) -> str:
    """One line on a cleaned copy, and one for each reason that pairs were left out for."""
    total = sum(left_out.values())
    lines = [f"{output}: {pairs - total:,} of {pairs:,} pairs; left out were {total:,}"]
    lines += [f"  that {fault.value}: {count:,}" for fault, count in left_out.most_common()]
    return "\n".join(lines)
