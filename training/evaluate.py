"""`python -m training.evaluate --run-dir RUN --split S`: BLEU, chrF, TER, and what attention
read."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from attention_nmt.checks import require
from attention_nmt.command import command
from attention_nmt.config import SearchChanges, SearchConfig
from attention_nmt.files import atomic_write, one_line
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .alignment.attention_links import Habits, attended, error_rates, habits
from .alignment.gold import GoldPair, gold_pairs
from .alignment.page import AlignedPair, alignment_page
from .alignment.plots import save_alignment
from .data import Corpus
from .scoring.languages import spaced
from .scoring.metrics import Score, corpus_bleu, corpus_scores
from .scoring.moses import moses_bleu

PAGE_PAIRS = 300
"""How many translations `alignments.html` shows, at most."""


@dataclass(frozen=True)
class EvaluateConfig(SearchChanges):
    """What to evaluate.

    Attributes:
        run_dir: a trained run folder; not needed where `hypotheses`, `dataset`, `source` and
        `target` are given. dataset: a TFDS name or a folder of `LANG.SPLIT.txt` files; without it
        the run's. source: the language to translate from, as the dataset calls it; without it the
        run's. target: the language to translate to; without it the run's.
        data_dir: where TFDS keeps prepared datasets; without it the run's.
        split: the split to translate.
        hypotheses: a file with one translation a line, to be scored instead of the run's own.
        output: where to write the scores, hypotheses and pictures; without it into
        `evaluation/NAME` of the run folder,
            where NAME is the split and what is given of dataset, languages and search. Scores of
            `hypotheses` are written only where it is given.
        reverse_run: a run of the other direction: gold links are compared with both directions'
        symmetrized links, too. pictures: lines of the split, from 1, whose translations'
        alignments are drawn; without it the first four.
    """

    run_dir: Path | None = None
    dataset: str | None = None
    source: str | None = None
    target: str | None = None
    data_dir: str | None = None
    split: str = "test"
    hypotheses: Path | None = None
    output: Path | None = None
    reverse_run: Path | None = None
    pictures: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.run_dir is None:
            complete = None not in (self.hypotheses, self.dataset, self.source, self.target)
            expected = "given, or else --hypotheses, --dataset, --source and --target"
            require(complete, "run_dir", expected, self.run_dir)
        if self.hypotheses is not None:
            beside = {"reverse_run": self.reverse_run, "pictures": self.pictures}
            for name, value in (self.search_changes() | beside).items():
                require(
                    value is None,
                    name,
                    "left out with hypotheses, which are not searched",
                    str(value),
                )

    def folder(self) -> Path | None:
        """Where to write: a name for what is given, so that evaluations with other flags have
        other folders."""
        if self.output is not None or self.run_dir is None or self.hypotheses is not None:
            return self.output
        dataset = None if self.dataset is None else self.dataset.strip("/").replace("/", "-")
        given = (
            ("", dataset),
            ("from-", self.source),
            ("to-", self.target),
            ("beam-", self.beam_size),
            ("penalty-", self.length_penalty),
            ("coverage-", self.coverage_penalty),
            ("lookahead-", self.lookahead),
            ("ratio-", self.maximum_length_ratio),
            ("limit-", self.maximum_source_length),
        )
        return (
            self.run_dir
            / "evaluation"
            / "-".join([self.split, *(f"{k}{v}" for k, v in given if v is not None)])
        )

    def complete(self) -> EvaluateConfig:
        """This config with the run's settings where it has none of its own."""
        if self.run_dir is None:
            return self
        run = RunFolder(self.run_dir).read_config()
        names = ("dataset", "source", "target", "data_dir")
        return replace(self, **{name: run[name] for name in names if getattr(self, name) is None})

    def search(self) -> SearchConfig:
        """The run's search with the flags put over it."""
        assert self.run_dir is not None, "only a run is searched with"
        return RunFolder(self.run_dir).read_search(n_best=1, **self.search_changes())


def read_hypotheses(path: Path, count: int) -> list[str]:
    """The lines of a file of translations.

    Raises:
        ValueError: there are not `count` lines, or they are not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8. Received: {error}.") from error
    lines = text.removesuffix("\n").split("\n") if text else []
    require(
        len(lines) == count, str(path), f"a file of {count} lines, one for each source", len(lines)
    )
    return lines


def reverse_of(
    config: EvaluateConfig, corpus: Corpus, gold: Sequence[GoldPair] | None
) -> Translator | None:
    """The translator of the other direction, if one is given.

    Raises:
        ValueError: there are no gold links to compare with, or it is of other languages.
        FileNotFoundError: its run folder is not complete.
    """
    if config.reverse_run is None:
        return None
    require(
        gold is not None, "split", "one with gold links, which reverse_run is for", config.split
    )
    corpus.reverse().check_run("reverse_run", config.reverse_run)
    return Translator.from_run(config.reverse_run)


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Translates a split, scores it, and writes everything into a folder.

    Returns:
        What was written to `scores.json`.

    Raises:
        ValueError: the data or the file of hypotheses is at fault.
        FileNotFoundError: the run folder is not complete.
        ImportError: what scoring the target language needs is not installed.
    """
    output, config = config.folder(), config.complete()
    assert config.dataset is not None
    assert config.source is not None
    assert config.target is not None
    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    sources, references = corpus.texts(config.split)
    corpus_bleu(references, references, config.target)  # what scoring this language lacks shows now
    report: dict[str, Any] = {
        "dataset": config.dataset,
        "split": config.split,
        "sentences": len(sources),
    }
    if config.hypotheses:
        texts = read_hypotheses(config.hypotheses, len(sources))
    else:
        assert config.run_dir is not None, "a run where no hypotheses are given"
        texts = _translate(config, corpus, sources, references, report, output)
    scores = corpus_scores(texts, references, config.target)
    if spaced(config.target):
        scores.append(moses_bleu(texts, references, config.target))
    report["scores"] = [asdict(score) for score in scores]
    _say(report, scores)
    if output is not None:
        _write(output, texts, report)
    return report


def _translate(
    config: EvaluateConfig,
    corpus: Corpus,
    sources: list[str],
    references: list[str],
    report: dict[str, Any],
    output: Path | None,
) -> list[str]:
    """Translates, notes the speed and what attention does, and draws it."""
    assert config.run_dir is not None, "checked by the caller"
    lines = range(1, 1 + min(4, len(sources))) if config.pictures is None else config.pictures
    existing = all(1 <= line <= len(sources) for line in lines)
    require(existing, "pictures", f"lines from 1 to {len(sources)}", config.pictures)
    gold = gold_pairs(corpus, config.split)
    reverse = reverse_of(config, corpus, gold)
    translator = Translator.from_run(config.run_dir, config.search()).frozen()
    attends = translator.model.config.attention != "none"
    require(
        attends or reverse is None,
        "reverse_run",
        "given for a model with attention only",
        str(config.reverse_run),
    )
    drawn = translator([sources[line - 1] for line in lines])
    translator(sources[:1], alignments=False)  # traces the graph, which is not translation
    began = time.perf_counter()
    translations = translator(sources, alignments=False)
    report["sentences_per_s"] = len(sources) / (time.perf_counter() - began)
    report["search"] = asdict(translator.search)
    report["sentences cut"] = sum(t.truncated for t in translations)
    texts = [t.text for t in translations]
    if not attends:
        return texts
    if gold:
        report |= error_rates(translator, gold, sources, references, reverse)
    pairs = attended(translator, corpus, sources, texts, references)
    report["pairs without alignment"] = len(sources) - len(pairs)
    if pairs and spaced(corpus.source) and spaced(corpus.target):
        report["habits"] = habits([pair.weights for pair in pairs])._asdict()
    if output is not None:
        for line, t in zip(lines, drawn, strict=True):
            if t.alignment is not None and t.target_tokens:
                save_alignment(
                    output / f"alignment-{line}.png", t.alignment, t.source_tokens, t.target_tokens
                )
        _write_page(
            output / "alignments.html", corpus, config.split, pairs[:PAGE_PAIRS], len(sources)
        )
    return texts


def _write_page(
    path: Path, corpus: Corpus, split: str, pairs: Sequence[AlignedPair], translations: int
) -> None:
    title = f"{Path(corpus.dataset).name}, {split}: {corpus.source} to {corpus.target}"
    about = f"{len(pairs)} of {translations} translations, the first ones; what is read for each of their words when "
    page = alignment_page(
        title, f"{about}the whole translation is given.", (corpus.source, corpus.target), pairs
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _say(report: dict[str, Any], scores: Sequence[Score]) -> None:
    print(f"{report['dataset']}, {report['split']}: {report['sentences']} sentences")
    for score in scores:
        print(f"{'lowercased' if score.lowercased else 'cased':<11}{score}")
    for name, value in report.items():
        if isinstance(value, float):
            print(f"{name} {value:.2f}")
    if report.get("sentences cut"):
        limit = report["search"]["maximum_source_length"]
        print(
            f"sentences cut: {report['sentences cut']} of more than {limit} pieces, whose beginning was translated"
        )
    if report.get("AER pairs left out"):
        print(f"AER pairs left out: {report['AER pairs left out']}")
    if "habits" in report:
        found = Habits(**report["habits"])
        print(
            f"{found.source_words:.2f} source words hold 90 % of a target word's weight; attention moves back "
            f"{found.moves_back:.1f} % of the times and stays on a word for {found.stays:.2f}."
        )


def _write(output: Path, texts: Sequence[str], report: dict[str, Any]) -> None:
    with atomic_write(output / "hypotheses.txt") as temporary:
        temporary.write_text("".join(one_line(text) + "\n" for text in texts), encoding="utf-8")
    with atomic_write(output / "scores.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"Written to {output}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `command`."""
    return command(EvaluateConfig, "training.evaluate", arguments, evaluate)


if __name__ == "__main__":
    sys.exit(main())
