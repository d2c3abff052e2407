"""`KERAS_BACKEND=jax python -m training.replay --run-dir RUN`: trains what `training.record` wrote, without TensorFlow.

It needs Keras, JAX, NumPy, SentencePiece and sacreBLEU. What it leaves in the run folder is what `training.train`
leaves there, but for checkpoints: a training that was stopped begins anew.
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

from attention_nmt.config import END, PAD, BatchConfig, ModelConfig, SearchConfig, from_dict
from attention_nmt.decoding import maximum_lengths, search
from attention_nmt.model import Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.sampling import sentence_keys
from attention_nmt.types import Tensor
from training.averages import Averages
from training.best import keep_best
from training.bound import compiled
from training.build import build
from training.metrics import corpus_bleu
from training.presets import TrainConfig
from training.recording import Recording

DEV_ROWS = 128
"""Dev sentences that are translated together."""

DEV_STEP = 8
"""Their sources are padded to multiples of so many pieces: a search is compiled for each width."""

MAXIMUM_WORDS_BYTES = 2**28
"""See `Seq2Seq.search_weights`."""


class Search:
    """Searches with a model that trains, compiled once for each width of sources."""

    def __init__(self, model: Seq2Seq, config: SearchConfig, jit_compile: bool) -> None:
        self.model, self.config = model, config
        self._run = compiled(self._search, jit_compile)

    def _search(self, weights: list[Tensor], source: Tensor) -> Tensor:
        """The ids `[B, T]` of the best translation of each source `[B, S]`, with weights for the model's variables."""
        longest = int(source.shape[1] * self.config.maximum_length_ratio) + self.config.maximum_length_extra
        with keras.StatelessScope(state_mapping=list(zip(self.model.variables, weights, strict=True))):
            memory, state = self.model.start(source)
            laid_out = self.model.search_weights(MAXIMUM_WORDS_BYTES)

            def step(ids: Tensor, state: Any, memory: Any) -> tuple:
                logits, state, alignment = self.model.step(ids, state, memory, laid_out)
                return logits, state, alignment if self.config.coverage_penalty else None

            limits, keys = maximum_lengths(source, self.config), sentence_keys(source)
            return search(step, state, memory, limits, self.config, keys=keys, longest=longest).ids[:, 0]

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
                found[index] = list(itertools.takewhile(lambda piece: piece not in (END, PAD), ids.tolist()))
        return found


class Averaging(keras.callbacks.Callback):
    """Counts steps and updates averaged weights."""

    def __init__(self, averages: Averages | None) -> None:
        super().__init__()
        self.averages, self.step = averages, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Counts."""
        self.step += 1
        if self.averages:
            self.averages.update(self.step)


def read_config(run: RunFolder) -> TrainConfig:
    """The settings of a run.

    Raises:
        FileNotFoundError: the folder holds no `config.json`.
        ValueError: a setting that there is none of, or outside its range.
    """
    values = run.read_config()
    kinds: dict[str, type[Any]] = {"model": ModelConfig, "batches": BatchConfig, "search": SearchConfig}
    return from_dict(TrainConfig, values | {name: from_dict(kind, values[name]) for name, kind in kinds.items()})


def replay(run: RunFolder) -> tuple[float, int]:
    """Trains, and keeps the weights with the highest dev BLEU.

    Returns:
        The highest dev BLEU and its step.

    Raises:
        FileNotFoundError: the folder is no run folder, or has no recording.
        ValueError: a config or a recording at fault.
    """
    config, recording = read_config(run), Recording.load(run.recording)
    source, target = _pieces(run.source_tokenizer), _pieces(run.source_tokenizer)
    if run.target_tokenizer.is_file():
        target = _pieces(run.target_tokenizer)
    model = build(config, source.get_piece_size(), target.get_piece_size())
    counting = Averaging(Averages(model, config.average_decay) if config.average_decay else None)
    translate, dev_sources = Search(model, config.search, config.jit_compile), recording.dev_sources()
    batches, best, best_step, waited = recording.batches(), -1.0, 0, 0
    while counting.step < config.steps and not (config.patience and waited >= config.patience):
        count, began = min(config.evaluate_steps, config.steps - counting.step), time.perf_counter()
        # As many as are trained on: what makes them ahead of time is not to take others.
        some = (batch for batch in itertools.islice(batches, count))
        history = model.fit(some, steps_per_epoch=count, callbacks=[counting], shuffle=False, verbose=0)
        trained = time.perf_counter()
        if counting.averages:
            counting.averages.swap()
        texts = target.decode(translate(dev_sources))
        bleu = corpus_bleu(texts, recording.dev_references.tolist(), config.target).value
        waited += 1
        if bleu > best:
            best, best_step, waited = bleu, counting.step, 0
            keep_best(run, model, counting.step, bleu, len(texts))
        if counting.averages:
            counting.averages.swap()
        seconds = f"{trained - began:.1f} s, evaluation {time.perf_counter() - trained:.1f} s"
        metrics = {name: round(values[-1], 4) for name, values in history.history.items()}
        print(f"Step {counting.step}: dev_bleu: {bleu:.4f}, {seconds}, {metrics}", flush=True)
    return best, best_step


def _pieces(path: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when the training is done, 1 with one line on what is at fault."""
    parser = argparse.ArgumentParser(prog="training.replay", description=__doc__)
    parser.add_argument("--run-dir", required=True, help="a run folder that training.record wrote")
    run = RunFolder(Path(parser.parse_args(arguments).run_dir))
    try:
        if keras.backend.backend() == "tensorflow":
            raise ValueError("training.replay is for KERAS_BACKEND=jax; with TensorFlow there is training.train")
        bleu, step = replay(run)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Best dev BLEU {bleu:.2f} at step {step}; weights in {run.best}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
