"""BLEU by the length of the source, of any systems' translations: the command `by-length`.

Source: figure 2 and table 1 of Bahdanau, Cho and Bengio (2015), arXiv 1409.0473.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.drawing.plots import plain_figure, save_measured

from ..scoring.hypotheses import HYPOTHESES, read_hypotheses
from ..scoring.languages import count_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class ByLengthConfig:
    """Compares systems by the length of the source: a table and a plot of BLEU.

    Attributes:
        systems: `NAME=FOLDER` for each system, where the translations of a split are in
            `FOLDER/SPLIT/hypotheses.txt`, as `evaluate` leaves them in `evaluation` of a run
            folder.
        output: the files to write, without their endings: `.png` and `.json`.
        dataset: a TFDS name or a folder of `LANG.SPLIT.txt` files.
        source: the language that was translated from, as the dataset calls it.
        target: the language that was translated to.
        data_dir: where TFDS keeps prepared datasets.
        splits: what was translated; the plot is of all of them together.
        edges: the greatest number of source words of each point but the last; of characters, where
            no spaces separate words.

    Raises:
        ValueError: a system has no name, or systems or splits are none or not distinct.
    """

    systems: tuple[str, ...]
    output: Path
    dataset: str
    source: str = "en"
    target: str = "fr"
    data_dir: str | None = None
    splits: tuple[str, ...] = ("test",)
    edges: tuple[int, ...] = (10, 20, 30, 40, 50, 60)

    def __post_init__(self) -> None:
        named = all("=" in system for system in self.systems)
        expected = "NAME=FOLDER, one or more"
        require(named and len(self.systems) > 0, "systems", expected, self.systems)

        distinct = len(self.folders()) == len(self.systems)
        require(distinct, "systems", "of different names", self.systems)
        distinct = 0 < len(self.splits) == len(set(self.splits))
        require(distinct, "splits", "at least one, and each once", self.splits)

    def folders(self) -> dict[str, Path]:
        """The systems' folders by their names."""
        found = {}
        for system in self.systems:
            name, _, folder = system.partition("=")
            found[name] = Path(folder)
        return found


def compare(config: ByLengthConfig) -> dict[str, Any]:
    """BLEU (cased) of each system for each split, and of all splits by the length of the source.

    Returns:
        What was compared, the signature of all scores, and for each system `splits` and `buckets`.

    Raises:
        ValueError: the data or a file of translations is at fault.
        FileNotFoundError: a system has no translations of a split.
    """
    from ..data import Corpus
    from ..scoring.metrics import bleu_by_length, corpus_bleu

    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    lengths: list[int] = []
    references: dict[str, list[str]] = {}
    for split in config.splits:
        sources, references[split] = corpus.texts(split)
        lengths += [count_words(source, config.source) for source in sources]
    all_references = _joined(references)

    systems: dict[str, Any] = {}
    for name, folder in config.folders().items():
        hypotheses = {
            split: read_hypotheses(folder / split / HYPOTHESES, len(texts))
            for split, texts in references.items()
        }
        buckets = bleu_by_length(
            _joined(hypotheses),
            all_references,
            source_lengths=lengths,
            edges=config.edges,
            target_language=config.target,
        )
        scores = {
            split: corpus_bleu(hypotheses[split], references[split], config.target).value
            for split in config.splits
        }
        systems[name] = {"splits": scores, "buckets": [bucket._asdict() for bucket in buckets]}

    signature = corpus_bleu(all_references, all_references, config.target).signature
    return {"dataset": config.dataset, "signature": signature, "systems": systems}


def _joined(texts: Mapping[str, Sequence[str]]) -> list[str]:
    """The texts of all splits, one split after the other."""
    return [text for split in texts.values() for text in split]


def table(systems: Mapping[str, Any]) -> str:
    """The systems' scores in Markdown."""
    first = next(iter(systems.values()))
    spans = [f"{_span(bucket)} ({bucket['sentences']})" for bucket in first["buckets"]]
    head = ["BLEU, cased", *first["splits"], *spans]

    rows = [head, ["---"] * len(head)]
    for name, scores in systems.items():
        values = [*scores["splits"].values(), *(bucket["bleu"] for bucket in scores["buckets"])]
        rows.append([name, *(f"{value:.2f}" for value in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figure(systems: Mapping[str, Any]) -> Figure:
    """One line a system, one point a span of lengths."""
    drawn = plain_figure(7, 4.5)
    axes = drawn.add_subplot()
    for name, scores in systems.items():
        spans = [_span(bucket) for bucket in scores["buckets"]]
        values = [bucket["bleu"] for bucket in scores["buckets"]]
        axes.plot(spans, values, "o-", label=name)

    axes.set(xlabel="words of the source", ylabel="BLEU, cased")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    return drawn


def _span(bucket: Mapping[str, Any]) -> str:
    """The lengths of a bucket: `1-10`, or `61+` without an upper end."""
    low = bucket["low"]
    high = bucket["high"]
    return f"{low}+" if high is None else f"{max(low, 1)}-{high}"


def run(config: ByLengthConfig) -> None:
    """Compares, prints the table, and writes both files."""
    found = compare(config)
    print(table(found["systems"]), found["signature"], sep="\n\n")
    save_measured(config.output, found, figure(found["systems"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        ByLengthConfig,
        run,
        arguments,
        prog="attention-nmt by-length",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
