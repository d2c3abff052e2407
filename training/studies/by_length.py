"""`python -m training.studies.by_length --systems NAME=FOLDER ... --dataset D --output O`: BLEU by
the length of the source.

Figure 2 and table 1 of Bahdanau, Cho and Bengio (arXiv 1409.0473), of any systems' translations.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from matplotlib.figure import Figure

from attention_nmt.checks import require
from attention_nmt.command import command

from ..alignment.plots import plain_figure, save_measured
from ..data import Corpus
from ..evaluate import read_hypotheses
from ..scoring.languages import count_words
from ..scoring.metrics import LengthBucket, bleu_by_length, corpus_bleu


@dataclass(frozen=True)
class ByLengthConfig:
    """What to compare.

    Attributes:
        systems: `NAME=FOLDER` for each system, where the translations of a split are in
            `FOLDER/SPLIT/hypotheses.txt`, as `training.evaluate` leaves them in `evaluation` of a
            run folder.
        output: the files to write, without their endings: `.png` and `.json`.
        dataset: a TFDS name or a folder of `LANG.SPLIT.txt` files.
        source: the language that was translated from, as the dataset calls it.
        target: the language that was translated to.
        data_dir: where TFDS keeps prepared datasets.
        splits: what was translated; the plot is of all of them together.
        edges: the greatest number of source words of each point but the last; of characters, where
        no spaces separate
            words.
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
        require(
            named and len(self.systems) > 0, "systems", "NAME=FOLDER, one or more", self.systems
        )
        names = [system.partition("=")[0] for system in self.systems]
        require(len(set(names)) == len(names), "systems", "of different names", self.systems)
        distinct = 0 < len(self.splits) == len(set(self.splits))
        require(distinct, "splits", "at least one, and each once", self.splits)

    def folders(self) -> dict[str, Path]:
        """The systems' folders by their names."""
        return {
            name: Path(folder)
            for name, _, folder in (system.partition("=") for system in self.systems)
        }


def compare(config: ByLengthConfig) -> dict[str, Any]:
    """BLEU (cased) of each system for each split, and by the length of the source for all splits
    together.

    Returns:
        What was compared, the signature of all scores, and for each system `splits` and `buckets`.

    Raises:
        ValueError: the data or a file of translations is at fault.
        FileNotFoundError: a system has no translations of a split.
    """
    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    texts = {split: corpus.texts(split) for split in config.splits}
    sources, references = (
        [text for split in texts.values() for text in split[side]] for side in (0, 1)
    )
    lengths, systems = [count_words(source, config.source) for source in sources], dict[str, Any]()
    signature = corpus_bleu(references, references, config.target).signature
    for name, folder in config.folders().items():
        hypotheses = {
            s: read_hypotheses(folder / s / "hypotheses.txt", len(texts[s][0]))
            for s in config.splits
        }
        all_of_them = [text for split in config.splits for text in hypotheses[split]]
        buckets = bleu_by_length(all_of_them, references, lengths, config.edges, config.target)
        scores = {
            s: corpus_bleu(hypotheses[s], texts[s][1], config.target).value for s in config.splits
        }
        systems[name] = {"splits": scores, "buckets": [bucket._asdict() for bucket in buckets]}
    return {"dataset": config.dataset, "signature": signature, "systems": systems}


def table(systems: Mapping[str, Any]) -> str:
    """The systems' scores in Markdown."""
    first = next(iter(systems.values()))
    spans = [
        f"{_span(LengthBucket(**bucket))} ({bucket['sentences']})" for bucket in first["buckets"]
    ]
    head = ["BLEU, cased", *first["splits"], *spans]
    lines = [head, ["---"] * len(head)]
    for name, scores in systems.items():
        values = [*scores["splits"].values(), *(bucket["bleu"] for bucket in scores["buckets"])]
        lines.append([name, *(f"{value:.2f}" for value in values)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(systems: Mapping[str, Any]) -> Figure:
    """One line a system, one point a span of lengths."""
    drawn = plain_figure(7, 4.5)
    axis = drawn.add_subplot()
    for name, scores in systems.items():
        buckets = [LengthBucket(**bucket) for bucket in scores["buckets"]]
        axis.plot(
            [_span(bucket) for bucket in buckets],
            [bucket.bleu for bucket in buckets],
            "o-",
            label=name,
        )
    axis.set(xlabel="words of the source", ylabel="BLEU, cased")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend()
    return drawn


def _span(bucket: LengthBucket) -> str:
    return f"{bucket.low}+" if bucket.high is None else f"{max(bucket.low, 1)}-{bucket.high}"


def run(config: ByLengthConfig) -> None:
    """Compares, prints the table, and writes both files."""
    found = compare(config)
    print(table(found["systems"]), found["signature"], sep="\n\n")
    save_measured(config.output, found, figure(found["systems"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `command`."""
    return command(ByLengthConfig, "training.studies.by_length", arguments, run)


if __name__ == "__main__":
    sys.exit(main())
