"""The best weights of a training, kept in its run folder."""

from __future__ import annotations

import json

import keras

from attention_nmt.run_folder import RunFolder, atomic_write


def keep_best(run: RunFolder, model: keras.Model, step: int, dev_bleu: float, dev_sentences: int) -> None:
    """Writes the model as it is and what it scored in place of those that are there."""
    with atomic_write(run.best) as temporary:
        model.save(temporary)
    score = {"step": step, "dev_bleu": dev_bleu, "dev_sentences": dev_sentences}
    with atomic_write(run.best_score) as temporary:
        temporary.write_text(json.dumps(score) + "\n", encoding="utf-8")
