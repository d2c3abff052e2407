"""Dev BLEU by beam and penalties, and a plot of it: the command `search-study`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.config import SearchConfig
from attention_nmt.drawing.plots import plain_figure, save_measured
from attention_nmt.run_folder import RunFolder

from ..folder import read_config
from ..scoring.languages import count_words
from ..timing import timed_translations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_nmt.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Translates a split with many searches, and plots BLEU by beam and penalties.

    Attributes:
        run_dir: a trained run folder.
        output: the files to write, without their endings: `.png` and `.json`.
        split: the split to translate; without it the run's dev split.
        sentences: the number of its first sentences to translate.
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


class Point(NamedTuple):
    """The result of one search."""

    beam_size: int
    length_penalty: float
    coverage_penalty: float
    bleu: float  # cased, in percent
    words: float  # written for each word of the references
    sentences_per_s: float


def searches(config: StudyConfig, search: SearchConfig, *, aligns: bool) -> list[SearchConfig]:
    """Every search once; nothing is drawn at random.

    Args:
        config: the penalties and beams.
        search: the run's, whose other limits are those of all searches.
        aligns: whether the model aligns. Coverage is of alignments, and ranks the hypotheses of a
            beam, of which greedy search has one.

    Raises:
        ValueError: a beam or a penalty outside its range.
    """
    plain = replace(search, n_best=1, temperature=0.0)
    found: list[SearchConfig] = []
    for beam in config.beam_sizes:
        found += [
            replace(plain, beam_size=beam, length_penalty=penalty, coverage_penalty=0.0)
            for penalty in config.length_penalties
        ]
        if aligns and beam > 1:
            found += [
                replace(plain, beam_size=beam, coverage_penalty=penalty)
                for penalty in config.coverage_penalties
            ]
    return list(dict.fromkeys(found))


def study(config: StudyConfig) -> Iterator[dict[str, Any]]:
    """Translates the split with every search.

    Yields:
        After each search what was translated, the signature of the scores, and all points so far.

    Raises:
        ValueError: the data or a setting is at fault.
        FileNotFoundError: the run folder is not complete.
        ImportError: what scoring the target language needs is not installed.
    """
    from attention_nmt.translation.translator import Translator

    from ..data import Corpus
    from ..scoring.metrics import corpus_bleu

    corpus = Corpus.of_run(config.run_dir)
    run = read_config(RunFolder(config.run_dir))
    split = config.split or run.dev_split or corpus.dev_split()
    sources, references = (texts[: config.sentences] for texts in corpus.texts(split))
    about = {
        "dataset": corpus.dataset,
        "split": split,
        "sentences": len(sources),
        "signature": corpus_bleu(references, references, corpus.target).signature,
    }

    loaded = Translator.from_run(config.run_dir)
    translators = [
        Translator(loaded.model, loaded.source_tokenizer, search, loaded.target_tokenizer)
        for search in searches(config, run.search, aligns=loaded.model.aligns)
    ]
    points: list[dict[str, Any]] = []
    for translator in translators:
        point = _point(translator.frozen(), sources, references, corpus.target)
        points.append(point._asdict())
        yield {**about, "points": points}


def _point(
    translator: Translator, sources: list[str], references: list[str], language: str
) -> Point:
    from ..scoring.metrics import corpus_bleu

    translations, seconds = timed_translations(translator, sources)
    texts = [translation.text for translation in translations]
    written = sum(count_words(text, language) for text in texts)
    expected = sum(count_words(text, language) for text in references)

    return Point(
        beam_size=translator.search.beam_size,
        length_penalty=translator.search.length_penalty,
        coverage_penalty=translator.search.coverage_penalty,
        bleu=corpus_bleu(texts, references, language).value,
        words=written / max(expected, 1),
        sentences_per_s=len(sources) / seconds,
    )


def figure(points: Sequence[Point]) -> Figure:
    """BLEU by beam: a line for each length penalty, and beside them for each coverage penalty."""
    drawn = plain_figure(9, 4.2)
    left, right = drawn.subplots(1, 2, sharey=True)

    # The coverage penalty 0 is drawn with the length penalty that the others have.
    kept = {point.length_penalty for point in points if point.coverage_penalty}
    without = [p for p in points if not p.coverage_penalty]
    _draw(left, without, "length penalty")
    covering = [p for p in points if p.coverage_penalty or p.length_penalty in kept]
    _draw(right, covering, "coverage penalty")
    return drawn


def _draw(axes: Axes, points: Sequence[Point], penalty: str) -> None:
    """Draws a line for each value of a penalty."""
    from matplotlib.ticker import MaxNLocator

    lines: dict[float, list[tuple[int, float]]] = {}
    for point in points:
        value = getattr(point, penalty.replace(" ", "_"))
        lines.setdefault(value, []).append((point.beam_size, point.bleu))
    for value, line in sorted(lines.items()):
        beams, scores = zip(*sorted(line), strict=True)
        axes.plot(beams, scores, "o-", label=f"{value:g}")

    axes.set(xlabel="beam", ylabel="BLEU, cased")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if lines:
        above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
        axes.legend(title=penalty, ncols=len(lines), frameon=False, **above)


def run(config: StudyConfig) -> None:
    """Writes both files anew after each search, and prints what it gave."""
    for found in study(config):
        points = [Point(**point) for point in found["points"]]
        print(points[-1], flush=True)
        save_measured(config.output, found, figure(points))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        StudyConfig,
        run,
        arguments,
        prog="attention-nmt search-study",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
