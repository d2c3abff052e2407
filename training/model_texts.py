"""The texts that a trained model is to translate or to align."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from attention_nmt.checks import require
from attention_nmt.stored import StoredModel

from .data import Corpus
from .mixture import Mixture
from .scoring.languages import base_language
from .texts_choice import Texts


def corpus_to_translate(stored: StoredModel, texts: Texts) -> Corpus:
    """The corpus of the flags, and of the model where they say nothing.

    Raises:
        ValueError: it is not of the model's direction; or as `Corpus.of_model`.
    """
    corpus = Corpus.of_model(stored, **texts)
    source = stored.corpus.get("source") or corpus.source
    target = stored.corpus.get("target") or corpus.target
    _check_direction(replace(corpus, source=source, target=target), corpus)
    return corpus


def _check_direction(run: Corpus, corpus: Corpus) -> None:
    """Makes sure that a corpus has not its source in the run's target language, or the reverse.

    Other languages are named on standard error: a dataset may call them by names of its own.

    Raises:
        ValueError: it has.
    """
    code: Callable[[str], str] = base_language
    if code(run.source) == code(run.target):  # as from "en-GB" to "en-US"
        code = str.lower

    expected = f"of the run's direction, from {run.source!r} to {run.target!r}"
    direction = (corpus.source, corpus.target)
    require(code(corpus.source) != code(run.target), "source", expected, direction)
    require(code(corpus.target) != code(run.source), "target", expected, direction)
    if (code(corpus.source), code(corpus.target)) != (code(run.source), code(run.target)):
        directions = (
            f"from {run.source} to {run.target}, not from {corpus.source} to {corpus.target}"
        )
        print(f"warning: the run translates {directions}", file=sys.stderr)


def mixture_to_translate(stored: StoredModel, texts: Texts) -> Mixture:
    """The corpora that a model was trained on, or those of the flags.

    Raises:
        ValueError: as `corpus_to_translate`.
    """
    first = corpus_to_translate(stored, texts)
    names = texts["dataset"] or stored.corpus["dataset"]
    return Mixture.of(names, first.source, first.target, first.data_dir)
