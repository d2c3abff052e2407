"""What happens beside the steps of a training: tokens per second, averaged weights, dev BLEU,
checkpoints."""

from __future__ import annotations

import signal
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from attention_nmt.data.batches import TrainingBatches
from attention_nmt.files import atomic_write
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .alignment.plots import alignment_image
from .averages import Averages
from .folder import keep_best
from .scoring.metrics import corpus_bleu

PICTURES = 3
"""Alignments drawn at every evaluation."""


class Throughput(keras.callbacks.Callback):
    """Replaces the count of target tokens in the progress bar by target tokens per second since
    the epoch began."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' contract
        """Starts the clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Reads the clock."""
        self._replace(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Reads the clock."""
        self._replace(logs)

    def _replace(self, logs: dict[str, Any] | None) -> None:
        if logs and "tokens" in logs:
            logs["tokens_per_s"] = float(logs.pop("tokens")) / (time.perf_counter() - self.began)


class Progress:
    """Where a training stands, and everything it needs to go on from there as if it had never
    stopped.

    That is the weights, the optimizer's state, the state of every random generator, the averaged
    weights, the best dev BLEU, the step that was evaluated last and the data position: the number
    of an epoch and the step at which it began.
    """

    def __init__(self, model: keras.Model, average_decay: float) -> None:
        self.model = model
        self.step = 0
        self.best_bleu, self.best_step, self.waited, self.evaluated = -1.0, 0, 0, 0
        self.epoch_starts: list[int] = [0]
        """The step before the first batch of each epoch whose first batch has been made."""
        self.averages = Averages(model, average_decay) if average_decay else None
        self.seconds_beside = 0.0
        """Time that this process has spent on evaluations and checkpoints."""

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Counts the time of what is done beside the steps."""
        began = time.perf_counter()
        yield
        self.seconds_beside += time.perf_counter() - began

    def advance(self) -> None:
        """Counts a step and updates the averaged weights."""
        self.step += 1
        if self.averages:
            self.averages.update(self.step)

    def swap_average(self) -> None:
        """Exchanges the weights and the averaged weights, if there are any."""
        if self.averages:
            self.averages.swap()

    def position(self) -> tuple[int, int]:
        """The epoch of the next batch and how many of its batches have been trained on."""
        epoch = int(np.searchsorted(self.epoch_starts, self.step, side="right")) - 1
        return epoch, self.step - self.epoch_starts[epoch]

    def stream(self, batches: TrainingBatches) -> tf.data.Dataset:
        """The batches from this position on, without end; notes where each epoch begins."""
        epoch, done = self.position()
        start = self.step
        # A list of its own for each stream: what an earlier one still makes in the background is
        # not noted here.
        starts = self.epoch_starts = self.epoch_starts[: epoch + 1]
        return batches.stream(epoch, done, lambda position: starts.append(start + position))

    def _variables(self) -> dict[str, Any]:
        # By number: some of Keras' names count what the process has made before.
        metrics = {id(v) for v in self.model.metrics_variables}
        variables = [
            v for v in self.model.variables if id(v) not in metrics
        ] + self.model.optimizer.variables
        return {f"variable:{index}": v for index, v in enumerate(variables)}

    def save(self, path: Path) -> None:
        """Writes all of it to one file, which is replaced in one step."""
        epoch, batches = self.position()
        numbers = np.array([self.step, epoch, batches, self.best_step, self.waited, self.evaluated])
        arrays: dict[str, Any] = {name: np.asarray(v) for name, v in self._variables().items()}
        averages = self.averages.values if self.averages else []
        arrays |= {f"average:{index}": np.asarray(a) for index, a in enumerate(averages)}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, numbers=numbers, best_bleu=np.float64(self.best_bleu), **arrays)

    def load(self, path: Path) -> None:
        """Reads what `save` wrote.

        Raises:
            ValueError: the file is of another model, and the message names the first variable that
            differs; or it is
                no whole checkpoint.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._restore(path, arrays)
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{path}: expected a whole checkpoint. Received: {error}.") from error

    def _restore(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        for name, variable in self._variables().items():
            shape = arrays[name].shape if name in arrays else None
            if shape != tuple(variable.shape):
                expected = f"{name} ({variable.path}) of shape {tuple(variable.shape)}"
                raise ValueError(f"{path}: expected {expected}. Received: {shape}.")
            variable.assign(arrays[name])
        self.step, epoch, batches, self.best_step, self.waited, self.evaluated = map(
            int, arrays["numbers"]
        )
        self.best_bleu = float(arrays["best_bleu"])
        self.epoch_starts = [-1] * epoch + [self.step - batches]
        if self.averages:
            count = len(self.averages.values)
            self.averages.values = [
                ops.convert_to_tensor(arrays[f"average:{index}"]) for index in range(count)
            ]


class Keeper(keras.callbacks.Callback):
    """Advances the progress and writes a checkpoint every `checkpoint_steps` steps, and when
    Ctrl-C has been pressed.

    Use it as a context around `fit`, and behind `DevBleu`: there a first Ctrl-C waits for the end
    of the step or of the evaluation, where nothing is in the air and the checkpoint can be
    written, and then raises `KeyboardInterrupt`; a second one does not wait. Where Ctrl-C is
    ignored, it stays so.
    """

    def __init__(self, progress: Progress, run: RunFolder, checkpoint_steps: int) -> None:
        super().__init__()
        self.progress, self.run, self.checkpoint_steps = progress, run, checkpoint_steps
        self.interrupted = False
        self.handler = signal.getsignal(signal.SIGINT)
        in_main_thread = (
            threading.current_thread() is threading.main_thread()
        )  # no other can handle signals
        self.handles = in_main_thread and self.handler not in (signal.SIG_IGN, None)

    def __enter__(self) -> Keeper:
        """Takes over SIGINT."""
        if self.handles:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        """Gives SIGINT back."""
        if self.handles:
            signal.signal(signal.SIGINT, self.handler)

    def _interrupt(self, *_: object) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, self.handler)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Counts."""
        self.progress.advance()
        if self.interrupted or self.progress.step % self.checkpoint_steps == 0:
            with self.progress.beside():
                self.progress.save(self.run.checkpoint)
        self._stop_if_interrupted()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Stops after the evaluation during which Ctrl-C was pressed, which has written a
        checkpoint."""
        if self.interrupted and logs and "dev_bleu" in logs:
            print(f"\nStep {self.progress.step}: dev_bleu: {logs['dev_bleu']:.4f}", flush=True)
        self._stop_if_interrupted()

    def _stop_if_interrupted(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt


class DevBleu(keras.callbacks.Callback):
    """At the end of each Keras epoch: dev BLEU by the search that serves, the best weights,
    pictures, early stop.

    Args:
        translator: of the model that trains, frozen.
        sources, references: the dev sentences.
        target_language: for the tokenization of BLEU.
        patience: evaluations without a better BLEU after which training stops; 0 never.
    """

    def __init__(
        self,
        progress: Progress,
        run: RunFolder,
        translator: Translator,
        sources: Sequence[str],
        references: Sequence[str],
        target_language: str,
        patience: int,
    ) -> None:
        super().__init__()
        self.progress, self.run, self.translator, self.patience = (
            progress,
            run,
            translator,
            patience,
        )
        self.sources, self.references, self.target_language = sources, references, target_language
        self.writer = tf.summary.create_file_writer(str(run.logs / "alignments"))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' contract
        """Evaluates, and stops the training when patience is at its end."""
        with self.progress.beside():
            bleu = self.evaluate()
        if logs is not None:
            logs["dev_bleu"] = bleu
        if self.patience and self.progress.waited >= self.patience:
            self.model.stop_training = True

    def evaluate(self) -> float:
        """Gives the dev BLEU, keeps what is best, and writes a checkpoint that knows of it."""
        progress = self.progress
        progress.swap_average()
        self.translator.refresh()
        translations = self.translator(self.sources, alignments=False)
        drawn = self.translator(self.sources[:PICTURES])
        bleu = corpus_bleu(
            [t.text for t in translations], self.references, self.target_language
        ).value
        progress.waited += 1
        progress.evaluated = progress.step
        if bleu > progress.best_bleu:
            progress.best_bleu, progress.best_step, progress.waited = bleu, progress.step, 0
            keep_best(self.run, progress.model, progress.step, bleu, len(self.sources))
        progress.swap_average()
        self._draw(drawn)
        progress.save(self.run.checkpoint)
        return bleu

    def _draw(self, translations: Sequence[Any]) -> None:
        with self.writer.as_default(step=self.progress.step):
            for index, t in enumerate(translations):
                if t.alignment is not None and len(t.target_tokens):
                    image = alignment_image(t.alignment, t.source_tokens, t.target_tokens)
                    tf.summary.image(f"alignment_{index}", image[None])
        self.writer.flush()
