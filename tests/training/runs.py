"""Run folders without a training, for tests of what comes after one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attention_nmt.config import BatchConfig, ModelConfig, SearchConfig, to_json
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.files import one_line
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.results import Translation
from attention_nmt.types import SPECIAL
from training.build import build
from training.data import Corpus, iterate_texts
from training.presets import TrainConfig

SEARCH = SearchConfig(beam_size=2, maximum_length_ratio=0.5, maximum_length_extra=2)
"""The search of the run: short, since random weights end no translation."""

ENDING = SearchConfig(beam_size=2, maximum_length_ratio=2.0, maximum_length_extra=6)
"""The search of a run that likes to end."""


def untrained_run(
    path: Path,
    corpus: Path,
    vocabulary_size: int = 310,
    likes_to_end: float = 0.0,
    search: SearchConfig = SEARCH,
    **options: Any,
) -> Path:
    """Writes a run folder of a tiny model from English to French, as a training's first moment.

    A model that likes to end has other weights, with which some translations have an end.
    """
    config = TrainConfig(
        dataset=str(corpus),
        vocabulary_size=vocabulary_size,
        model=ModelConfig(
            source_vocabulary_size=vocabulary_size,
            target_vocabulary_size=vocabulary_size,
            embedding_size=12,
            encoder_units=10,
            decoder_units=16,
            attention_units=8,
            readout_units=12,
            **options,
        ),
        batches=BatchConfig(batch_size=16, maximum_length=40, buckets=2),
        search=search,
        jit_compile=False,
    )
    run = RunFolder(path)
    path.mkdir(parents=True)
    run.config.write_text(to_json(config), encoding="utf-8")

    pairs = Corpus(str(corpus), "en", "fr").pairs("train")
    Tokenizer.train(iterate_texts(pairs), vocabulary_size).save(run.source_tokenizer)
    model = build(config, vocabulary_size, vocabulary_size)
    if likes_to_end:
        projection: Any = model.output_projection
        kernel = 4 * np.asarray(projection.kernel)
        kernel[:, SPECIAL.end] = likes_to_end * np.abs(kernel[:, SPECIAL.end])
        projection.kernel.assign(kernel)
    model.save(run.best)
    return path


def kept(translation: Translation) -> str:
    """A translation as a corpus keeps it: nothing of one that was cut."""
    ended = translation.target_tokens[-1:] == ["</s>"]
    return one_line(translation.text) if ended and not translation.truncated else ""
