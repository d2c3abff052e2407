"""A copy of a corpus without the pairs that have faults, and a list of what was left out."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from attention_nmt.checks import require
from attention_nmt.files import one_line

from .faults import Fault, Reference, find
from .inspection import Inspected, Inspection
from .matching import Run, runs
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
        ValueError: the folder holds something, or no pair would be left.
    """
    check_output(output)
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)

    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for split in splits[:-1]:
            _copy(split, folder)

        reasons = _write_clean(splits[-1], inspected, folder)
        left = inspected.inspections[-1].pairs - sum(reasons.values())
        expected = "a corpus of which something is left without its faults"
        require(left > 0, "dataset", expected, splits[-1].dataset)
        folder.rename(output)
    return reasons


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
    with (folder / names[0]).open("w") as source, (folder / names[1]).open("w") as target:
        for chunk in whole.chunks():
            source.write(chunk.source)
            target.write(chunk.target)


def _write_clean(split: Split, inspected: Inspected, folder: Path) -> Counter[Fault]:
    inspection = inspected.inspections[-1]
    reference = inspection.reference()
    again = _again(inspected.keys[-1].pairs)
    others = np.concatenate([np.zeros(0, np.uint64), *(k.pairs for k in inspected.keys[:-1])])
    misaligned = _misaligned(inspection)
    reasons: Counter[Fault] = Counter()

    with ExitStack() as stack:
        files = [
            stack.enter_context((folder / f"{language}.{split.name}.txt").open("w"))
            for language in split.languages
        ]
        listed = stack.enter_context((folder / f"left_out.{split.name}.tsv").open("w"))
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
                    starts = "\t".join(one_line(side)[:_SHOWN].replace("\t", " ") for side in sides)
                    listed.write(f"{number}\t{fault.name.lower()}\t{starts}\n")
    return reasons


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
    for run in _all_runs(inspection):
        found[max(0, run.first - 1 - BLOCK) : run.last + BLOCK] = True
    return found


def _all_runs(inspection: Inspection) -> list[Run]:
    return runs(inspection.fits(), inspection.pairs)


def summary(left_out: Counter[Fault], pairs: int, output: Path) -> str:
    """One line on a cleaned copy, and one for each reason that pairs were left out for."""
    total = sum(left_out.values())
    lines = [f"{output}: {pairs - total:,} of {pairs:,} pairs; left out were {total:,}"]
    lines += [f"  that {fault.value}: {count:,}" for fault, count in left_out.most_common()]
    return "\n".join(lines)
