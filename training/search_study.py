"""`python -m training.search_study --run-dir RUN --output O`: dev BLEU by beam and penalties, and a plot of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attention_nmt.config import SearchConfig
from attention_nmt.run_folder import RunFolder, atomic_write
from attention_nmt.translator import Translator
from training.data import Corpus
from training.metrics import corpus_bleu


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
    """

    run_dir: Path
    output: Path
    split: str | None = None
    sentences: int = 2000
    beam_sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
    length_penalties: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0)
    coverage_penalties: tuple[float, ...] = (0.1, 0.2, 0.4)

    def searches(self) -> Iterator[SearchConfig]:
        """Every search once, the run's other settings in all of them."""
        run, tried = RunFolder(self.run_dir), set[SearchConfig]()
        for beam in self.beam_sizes:
            flags = [{"length_penalty": penalty, "coverage_penalty": 0.0} for penalty in self.length_penalties]
            flags += [{"coverage_penalty": penalty} for penalty in self.coverage_penalties]
            for one in flags:
                search = run.read_search(beam_size=beam, **one)
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


def study(config: StudyConfig) -> list[Point]:
    """Translates the split with every search; prints each point.

    Raises:
        ValueError: the data or a setting is at fault.
        FileNotFoundError: the run folder is not complete.
    """
    run = RunFolder(config.run_dir).read_config()
    corpus = Corpus(run["dataset"], run["source"], run["target"], run["data_dir"])
    split = config.split or run["dev_split"] or corpus.dev_split()
    sources, references = (texts[: config.sentences] for texts in corpus.texts(split))
    written, points = sum(len(text.split()) for text in references), []
    for search in config.searches():
        translator = Translator.from_run(config.run_dir, search).frozen()
        translator(sources[:1], alignments=False)  # traces the graph, which is not translation
        began = time.perf_counter()
        texts = [translation.text for translation in translator(sources, alignments=False)]
        seconds = time.perf_counter() - began
        words = sum(len(text.split()) for text in texts) / written
        bleu = corpus_bleu(texts, references, corpus.target)
        penalties = (search.length_penalty, search.coverage_penalty)
        points.append(Point(search.beam_size, *penalties, bleu, words, len(sources) / seconds))
        print(points[-1], flush=True)
    return points


def figure(points: Sequence[Point]) -> Figure:
    """BLEU by beam: a line for each length penalty on the left, for each coverage penalty on the right."""
    drawn = Figure(figsize=(9, 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(drawn)
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
        axis.grid(alpha=0.3)
        if chosen:
            axis.legend(title=name)
    return drawn


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 with one line on what is at fault."""
    try:
        config = tyro.cli(StudyConfig, prog="training.search_study", args=arguments)
        points = study(config)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with atomic_write(Path(f"{config.output}.json")) as temporary:
        temporary.write_text(json.dumps([p._asdict() for p in points], indent=1) + "\n", encoding="utf-8")
    with atomic_write(Path(f"{config.output}.png")) as temporary:
        figure(points).savefig(temporary, format="png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
