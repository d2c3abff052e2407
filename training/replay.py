"""`KERAS_BACKEND=jax python -m training.replay --run-dir RUN`: trains what `training.record`
wrote, without TensorFlow.

It needs Keras, JAX, NumPy, SentencePiece and sacreBLEU. It leaves the best weights and their score
in the run folder as `training.train` does, and no checkpoints and no logs: what was stopped does
not go on.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import sentencepiece
from keras import ops

from attention_nmt.checks import require
from attention_nmt.config import END, PAD, SearchConfig
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.model_search import MAXIMUM_WORDS_BYTES, search_model
from attention_nmt.search.search import longest_limit
from attention_nmt.types import Tensor

from .averages import Averages
from .build import build, compiled
from .folder import alone, keep_best, read_config
from .presets import TrainConfig
from .recording import Recording
from .scoring.metrics import corpus_bleu

DEV_ROWS = 128
"""Dev sentences that are translated together."""

DEV_STEP = 8
"""Their sources are padded to multiples of so many pieces: a search is compiled for each width."""


class Search:
    """Searches with a model that trains, compiled once for each width of sources."""

    def __init__(self, model: Seq2Seq, config: SearchConfig) -> None:
        self.model, self.config = model, config
        self._run = compiled(self._search, jit_compile=False)  # JAX compiles in any case

    def _search(self, weights: list[Tensor], source: Tensor) -> Tensor:
        """The ids `[B, T]` of the best translation of each source `[B, S]`, with weights for the
        model's variables."""
        longest = longest_limit(source.shape[1], self.config)
        with keras.StatelessScope(
            state_mapping=list(zip(self.model.variables, weights, strict=True))
        ):
            laid_out = self.model.search_weights(MAXIMUM_WORDS_BYTES)
            found = search_model(
                self.model,
                source,
                self.config,
                alignments=False,
                compact=False,
                weights=laid_out,
                longest=longest,
            )
        return found.ids[:, 0]

    def __call__(self, sources: Sequence[np.ndarray]) -> list[list[int]]:
        """The ids of the best translation of each source, without the end symbol."""
        weights = [ops.convert_to_tensor(v) for v in self.model.variables]
        found: list[list[int]] = [[] for _ in sources]
        order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
        for begin in range(0, len(order), DEV_ROWS):
            indices = order[begin : begin + DEV_ROWS]
            width = -(-len(sources[indices[-1]]) // DEV_STEP) * DEV_STEP
            source = np.full((DEV_ROWS, width), PAD, np.int32)
            source[:, 0] = END  # rows beyond the last sentence
            for row, index in enumerate(indices):
                source[row, : len(sources[index])] = sources[index]
            for index, ids in zip(indices, np.asarray(self._run(weights, source)), strict=False):
                if len(sources[index]) > 1:  # the translation of a text without words is empty
                    found[index] = list(
                        itertools.takewhile(lambda piece: piece not in (END, PAD), ids.tolist())
                    )
        return found


class Steps(keras.callbacks.Callback):
    """Counts steps and updates averaged weights."""

    def __init__(self, averages: Averages | None) -> None:
        super().__init__()
        self.averages, self.step = averages, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Counts."""
        self.step += 1
        if self.averages:
            self.averages.update(self.step)


def replay(run: RunFolder) -> tuple[float, int]:
    """Trains, and keeps the weights with the highest dev BLEU.

    Returns:
        The highest dev BLEU and its step.

    Raises:
        FileNotFoundError: the folder is no run folder, or has no recording.
        ValueError: it holds a model already, or its recording or a tokenizer is at fault.
        OSError: another process is training in it.
        ImportError: what scoring the target language needs is missing.
    """
    config = read_config(run)
    with alone(run.path):
        if run.best.is_file() or run.checkpoint.is_file():
            raise ValueError(
                f"{run.path} must be a run folder that has not been trained. It holds a model."
            )
        return _replay(run, config, Recording.load(run.recording))


def _replay(run: RunFolder, config: TrainConfig, recording: Recording) -> tuple[float, int]:
    steps, references = len(recording.shapes), recording.dev_references.tolist()
    require(
        steps == config.steps, "steps", f"those that {run.recording} has, {steps}", config.steps
    )
    corpus_bleu(references, references, config.target)  # what scoring this language lacks shows now
    source, target = _pieces(run.source_tokenizer), _pieces(run.source_tokenizer)
    if run.target_tokenizer.is_file():
        target = _pieces(run.target_tokenizer)
    model = build(config, source.get_piece_size(), target.get_piece_size())
    counting = Steps(Averages(model, config.average_decay) if config.average_decay else None)
    translate, dev_sources = Search(model, config.search), recording.dev_sources()
    batches, best, best_step, waited = recording.batches(), -1.0, 0, 0
    while counting.step < config.steps and not (config.patience and waited >= config.patience):
        count, began = min(config.evaluate_steps, config.steps - counting.step), time.perf_counter()
        # As many as are trained on: what makes them ahead of time is not to take others.
        some = (batch for batch in itertools.islice(batches, count))
        history = model.fit(
            some, steps_per_epoch=count, callbacks=[counting], shuffle=False, verbose=0
        )
        trained = time.perf_counter()
        if counting.averages:
            counting.averages.swap()
        bleu = corpus_bleu(target.decode(translate(dev_sources)), references, config.target).value
        waited += 1
        if bleu > best:
            best, best_step, waited = bleu, counting.step, 0
            keep_best(run, model, counting.step, bleu, len(references))
        if counting.averages:
            counting.averages.swap()
        seconds = f"{trained - began:.1f} s, evaluation {time.perf_counter() - trained:.1f} s"
        metrics = {name: round(values[-1], 4) for name, values in history.history.items()}
        print(f"Step {counting.step}: dev_bleu: {bleu:.4f}, {seconds}, {metrics}", flush=True)
    return best, best_step


def _pieces(path: Path) -> sentencepiece.SentencePieceProcessor:
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{path}: expected a SentencePiece model. {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when the training is done, 1 with one line on what is at fault, 130 on
    Ctrl-C."""
    parser = argparse.ArgumentParser(prog="training.replay", description=__doc__)
    parser.add_argument("--run-dir", required=True, help="a run folder that training.record wrote")
    run = RunFolder(Path(parser.parse_args(arguments).run_dir))
    try:
        backend = keras.backend.backend()
        require(
            backend == "jax",
            "KERAS_BACKEND",
            "jax; with TensorFlow there is training.train",
            backend,
        )
        bleu, step = replay(run)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped. What was best so far is in {run.path}.", file=sys.stderr)
        return 130
    print(f"Best dev BLEU {bleu:.2f} at step {step}; weights in {run.best}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
