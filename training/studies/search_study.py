"""`python -m training.studies.search_study --run-dir RUN --output O`: dev BLEU by beam and
penalties, and a plot of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attention_nmt.checks import require
from attention_nmt.command import command
from attention_nmt.config import SearchConfig
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from ..alignment.plots import plain_figure, save_measured
from ..data import Corpus
from ..scoring.languages import count_words
from ..scoring.metrics import corpus_bleu


@dataclass(frozen=True)
class StudyConfig:
    """Which searches to try.

    Attributes:
        run_dir: a trained run folder.
        output: the files to write, without their endings: `.png` and `.json`.
        split: the split to translate; without it the run's dev split.
        sentences: so many of its first.
        beam_sizes: hypotheses that are kept.
        length_penalties: each with every beam, without a coverage penalty.
        coverage_penalties: each with every beam and the run's length penalty.

    Raises:
        ValueError: there is no sentence.
    """

    run_dir: Path
    output: Path
    split: str | None = None
    sentences: int = 2000
    beam_sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
    length_penalties: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)
    coverage_penalties: tuple[float, ...] = (0.1, 0.2, 0.4)

    def __post_init__(self) -> None:
        require(self.sentences >= 1, "sentences", "at least 1", self.sentences)

    def searches(self) -> Iterator[SearchConfig]:
        """Every search once, the run's other limits in all of them; nothing is drawn at random."""
        run, tried = RunFolder(self.run_dir), set[SearchConfig]()
        attends = run.read_config()["model"]["attention"] != "none"
        for beam in self.beam_sizes:
            flags = [
                {"length_penalty": penalty, "coverage_penalty": 0.0}
                for penalty in self.length_penalties
            ]
            # Coverage is of attention, and ranks the hypotheses of a beam, of which greedy search
            # has one.
            flags += [
                {"coverage_penalty": penalty}
                for penalty in self.coverage_penalties
                if attends and beam > 1
            ]
            for one in flags:
                search = run.read_search(beam_size=beam, n_best=1, temperature=0.0, **one)
                if search not in tried:
                    yield search
                tried.add(search)


class Point(NamedTuple):
    """What one search gave."""

    beam_size: int
    length_penalty: float
    coverage_penalty: float
    bleu: float  # cased, in percent
    words: float  # written for each word of the references
    sentences_per_s: float


def study(config: StudyConfig) -> Iterator[dict[str, Any]]:
    """Translates the split with every search.

    Yields:
        After each search what was translated, the signature of the scores, and all points so far.

    Raises:
        ValueError: the data or a setting is at fault.
        FileNotFoundError: the run folder is not complete.
        ImportError: what scoring the target language needs is not installed.
    """
    run = RunFolder(config.run_dir).read_config()
    corpus = Corpus.of_run(config.run_dir)
    split = config.split or run["dev_split"] or corpus.dev_split()
    sources, references = (texts[: config.sentences] for texts in corpus.texts(split))
    signature = corpus_bleu(references, references, corpus.target).signature
    about = {
        "dataset": corpus.dataset,
        "split": split,
        "sentences": len(sources),
        "signature": signature,
    }
    loaded = Translator.from_run(config.run_dir)
    written, points = sum(count_words(text, corpus.target) for text in references), list[Point]()
    translators = [
        Translator(loaded.model, loaded.source_tokenizer, search, loaded.target_tokenizer)
        for search in config.searches()
    ]
    for plain in translators:
        translator = plain.frozen()
        translator(sources[:1], alignments=False)  # traces the graph, which is not translation
        began = time.perf_counter()
        texts = [translation.text for translation in translator(sources, alignments=False)]
        seconds = time.perf_counter() - began
        words, search = (
            sum(count_words(text, corpus.target) for text in texts) / max(written, 1),
            translator.search,
        )
        bleu = corpus_bleu(texts, references, corpus.target).value
        penalties = (search.length_penalty, search.coverage_penalty)
        points.append(Point(search.beam_size, *penalties, bleu, words, len(sources) / seconds))
        yield {**about, "points": [point._asdict() for point in points]}


def figure(points: Sequence[Point]) -> Figure:
    """BLEU by beam: a line for each length penalty on the left, for each coverage penalty on the
    right."""
    drawn = plain_figure(9, 4.2)
    kept = {point.length_penalty for point in points if point.coverage_penalty}
    axes = drawn.subplots(1, 2, sharey=True)
    groups = (
        ("length penalty", [p for p in points if not p.coverage_penalty]),
        ("coverage penalty", [p for p in points if p.coverage_penalty or p.length_penalty in kept]),
    )
    for axis, (name, chosen) in zip(axes, groups, strict=True):
        field = name.replace(" ", "_")
        for value in sorted({getattr(point, field) for point in chosen}):
            line = sorted((p.beam_size, p.bleu) for p in chosen if getattr(p, field) == value)
            axis.plot(*zip(*line, strict=True), "o-", label=f"{value:g}")
        axis.set(xlabel="beam", ylabel="BLEU, cased")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        if chosen:
            axis.legend(
                title=name,
                loc="lower center",
                bbox_to_anchor=(0.5, 1),
                ncols=len(axis.lines),
                frameon=False,
            )
    return drawn


def run(config: StudyConfig) -> None:
    """Writes both files anew after each search, and prints what it gave."""
    for found in study(config):
        print(Point(**found["points"][-1]), flush=True)
        save_measured(config.output, found, figure([Point(**point) for point in found["points"]]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `command`."""
    return command(StudyConfig, "training.studies.search_study", arguments, run)


if __name__ == "__main__":
    sys.exit(main())
