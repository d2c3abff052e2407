"""Evaluations: a split is translated and scored, and what attention read is measured and drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from attention_nmt.checks import require
from attention_nmt.drawing.plots import save_alignment
from attention_nmt.files import atomic_write
from attention_nmt.stored import StoredModel
from attention_nmt.translation.results import Translation
from attention_nmt.translation.translator import Translator

from .alignment.attention_links import Habits, aligned_pairs, error_rates, habits
from .alignment.gold import GoldPair, gold_pairs
from .alignment.page import AlignedPair, alignment_page
from .data import Corpus
from .evaluate import EvaluateConfig
from .model_texts import corpus_to_translate
from .scoring.hypotheses import HYPOTHESES, read_hypotheses, write_hypotheses
from .scoring.languages import spaced
from .scoring.metrics import (
    Score,
    bleu_of_tokens,
    corpus_bleu,
    corpus_scores,
    look_tokenized,
    warn_of_tokens,
)
from .scoring.moses import moses_bleu
from .timing import timed_translations

PAGE_PAIRS = 300
"""The most translations that `alignments.html` shows."""

PICTURES = 4
"""The number of first translations that are drawn, if no lines are given."""


class SplitTexts(NamedTuple):
    """The texts of a split."""

    corpus: Corpus
    split: str
    sources: list[str]
    references: list[str]


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Translates a split, scores it, and writes everything into a folder.

    Returns:
        What was written to `scores.json`.

    Raises:
        ValueError: the data or the file of hypotheses is at fault, the run translates in the other
            direction, or the backend is not TensorFlow.
        FileNotFoundError: the run folder is not complete.
        ImportError: what scoring the target language needs is not installed.
    """
    stored = config.open() if config.chosen else None
    corpus = _corpus(config, stored)
    sources, references = corpus.texts(config.split)
    corpus_bleu(references, references, corpus.target)  # what this language lacks shows now
    warn_of_tokens(references, corpus.name(config.split, corpus.target))
    texts = SplitTexts(corpus=corpus, split=config.split, sources=sources, references=references)

    output = config.folder(stored)
    report: dict[str, Any] = {
        "dataset": corpus.dataset,
        "split": config.split,
        "sentences": len(sources),
    }
    if config.hypotheses is not None:
        hypotheses = read_hypotheses(config.hypotheses, len(sources))
        warn_of_tokens(hypotheses, str(config.hypotheses))
    else:
        assert stored is not None  # the config makes sure of a model where hypotheses are none
        hypotheses, found = _translate(config, stored, texts, output)
        report |= found

    scores = corpus_scores(hypotheses, references, corpus.target)
    if spaced(corpus.target):
        scores.append(moses_bleu(hypotheses, references, corpus.target))
    if look_tokenized(references):
        scores.append(bleu_of_tokens(hypotheses, references))
    report["scores"] = [asdict(score) for score in scores]

    _print(report, scores)
    if output is not None:
        _write(output, hypotheses, report)
    return report


def _corpus(config: EvaluateConfig, stored: StoredModel | None) -> Corpus:
    """The corpus of the flags, and of the model where they say nothing."""
    if stored is None:
        given: dict[str, Any] = {**config.texts}  # the config has made sure that nothing is missing
        return Corpus(**given)
    if config.hypotheses is not None:
        return Corpus.of_model(stored, **config.texts)
    return corpus_to_translate(stored, config.texts)


def _translate(
    config: EvaluateConfig, stored: StoredModel, texts: SplitTexts, output: Path | None
) -> tuple[list[str], dict[str, Any]]:
    """Translates with the model, and draws what attention read.

    Returns:
        The translations; and the speed, the search and what attention does, for the report.
    """
    lines = _picture_lines(config.pictures, len(texts.sources))
    gold = gold_pairs(texts.corpus, texts.split)
    reverse = _reverse_translator(config, texts.corpus, gold)
    search = stored.read_search(config.search, n_best=1)
    translator = Translator.from_stored(stored, search).frozen()
    aligns = translator.model.aligns
    expected = "given for a model with attention only"
    require(aligns or reverse is None, "reverse_run", expected, str(config.reverse_run))

    drawn = translator([texts.sources[line - 1] for line in lines])
    translations, seconds = timed_translations(translator, texts.sources)
    hypotheses = [translation.text for translation in translations]
    report = {
        "sentences_per_s": len(translations) / seconds,
        "search": asdict(translator.search),
        "sentences cut": sum(translation.truncated for translation in translations),
    }
    if not aligns:
        return hypotheses, report

    if gold:
        report |= error_rates(translator, gold, texts.sources, texts.references, reverse)
    pairs = aligned_pairs(translator, texts.corpus, texts.sources, hypotheses, texts.references)
    report["pairs without alignment"] = len(texts.sources) - len(pairs)
    if pairs and spaced(texts.corpus.source) and spaced(texts.corpus.target):
        report["habits"] = habits([pair.weights for pair in pairs])._asdict()

    if output is not None:
        _draw(output, lines, drawn)
        _write_page(output / "alignments.html", texts, pairs[:PAGE_PAIRS])
    return hypotheses, report


def _picture_lines(pictures: tuple[int, ...] | None, count: int) -> Sequence[int]:
    if pictures is None:
        return range(1, 1 + min(PICTURES, count))

    existing = all(1 <= line <= count for line in pictures)
    require(existing, "pictures", f"lines from 1 to {count}", pictures)
    return pictures


def _reverse_translator(
    config: EvaluateConfig, corpus: Corpus, gold: Sequence[GoldPair] | None
) -> Translator | None:
    """The translator of the other direction, if one is given.

    Raises:
        ValueError: there are no gold links to compare with, or it is of other languages.
        FileNotFoundError: its run folder is not complete.
    """
    if config.reverse_run is None:
        return None

    expected = "one with gold links, which `reverse_run` is for"
    require(gold is not None, "split", expected, config.split)
    corpus.reverse().check_run("reverse_run", config.reverse_run)
    return Translator.from_run(config.reverse_run)


def _draw(output: Path, lines: Sequence[int], translations: Sequence[Translation]) -> None:
    for line, translation in zip(lines, translations, strict=True):
        if translation.alignment is not None and translation.target_tokens:
            save_alignment(
                output / f"alignment-{line}.png",
                translation.alignment,
                translation.source_tokens,
                translation.target_tokens,
            )


def _write_page(path: Path, texts: SplitTexts, pairs: Sequence[AlignedPair]) -> None:
    source, target = texts.corpus.languages
    title = f"{Path(texts.corpus.dataset).name}, {texts.split}: {source} to {target}"
    about = (
        f"{len(pairs)} of {len(texts.sources)} translations, the first ones; what is read for each "
        "of their words when the whole translation is given."
    )
    page = alignment_page(title, about, (source, target), pairs)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _print(report: dict[str, Any], scores: Sequence[Score]) -> None:
    print(f"{report['dataset']}, {report['split']}: {report['sentences']} sentences")
    for score in scores:
        print(f"{'lowercased' if score.lowercased else 'cased':<11}{score}")

    for name, value in report.items():
        if isinstance(value, float):
            print(f"{name} {value:.2f}")

    cut = report.get("sentences cut")
    if cut:
        limit = report["search"]["maximum_source_length"]
        print(f"sentences cut: {cut} of more than {limit} pieces, whose beginning was translated")
    if report.get("AER pairs left out"):
        print(f"AER pairs left out: {report['AER pairs left out']}")

    if "habits" in report:
        found = Habits(**report["habits"])
        print(
            f"{found.source_words:.2f} source words hold 90 % of a target word's weight; attention "
            f"moves back {found.moves_back:.1f} % of the times and stays on a word for "
            f"{found.stays:.2f}."
        )


def _write(output: Path, hypotheses: Sequence[str], report: dict[str, Any]) -> None:
    write_hypotheses(output / HYPOTHESES, hypotheses)
    with atomic_write(output / "scores.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"Written to {output}.")
