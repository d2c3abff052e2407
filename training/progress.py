"""The state of a training, from which it goes on as if it had never stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from attention_nmt import backend
from attention_nmt.archives import Arrays, is_finite, open_arrays, whole
from attention_nmt.checks import require
from attention_nmt.files import atomic_write

from .averages import Averages
from .finite import NotFiniteError


class BatchSource(Protocol):
    """Where a training's batches come from: a corpus, epoch after epoch, or a recording."""

    def stream(self, epoch: int, skip: int, began: Callable[[int], None]) -> Any:
        """The batches from a position on, as `fit` takes them.

        Args:
            epoch: the number of an epoch, from 0 on.
            skip: its batches that are left out, the first ones.
            began: called as each later epoch begins, with the number of batches between the
                position and its first one.

        Returns:
            Batches `({"source": [B, S], "target": [B, T]}, labels [B, T], weights [B, T])`: a
            `tf.data.Dataset` or a generator.
        """


class Progress:
    """The state of a training, with everything that it needs to go on.

    That is the weights, the optimizer's state, the state of every random generator, the averaged
    weights, the best dev BLEU, the step that was evaluated last and the data position: the number
    of an epoch and the step at which it began.

    Args:
        model: the compiled model.
        average_decay: see `TrainConfig`.
        trained_on: `corpus` or `recording`; a data position in one means nothing in the other.
        notes: what the checkpoint is to say of the files beside it; see `folder.read_notes`.
        writes: whether `save` writes; of several processes one does.

    Attributes:
        step: steps that were done.
        best_bleu: the highest dev BLEU; -1 before the first evaluation.
        best_step: its step.
        waited: evaluations since then.
        evaluated: the step that was evaluated last.
        epoch_starts: the step before the first batch of each epoch whose first batch has been made.
        averages: the averaged weights, if there are any.
        saved: the step of the checkpoint; -1 before there is one.
        seconds_beside: time that this process has spent on evaluations and checkpoints.
    """

    def __init__(
        self,
        model: keras.Model,
        average_decay: float,
        trained_on: str = "corpus",
        *,
        notes: Mapping[str, Any] | None = None,
        writes: bool = True,
    ) -> None:
        self.model = model
        self.writes = writes
        self.trained_on = trained_on
        self.notes = dict(notes or {})
        self.step = 0
        self.best_bleu = -1.0
        self.best_step = 0
        self.waited = 0
        self.evaluated = 0
        self.epoch_starts: list[int] = [0]
        self.averages = Averages(model, average_decay) if average_decay else None
        self.saved = -1
        self.seconds_beside = 0.0

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

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the model has the averaged weights, if there are any."""
        if not self.averages:
            yield
            return

        self.averages.swap()
        try:
            yield
        finally:
            self.averages.swap()

    def position(self) -> tuple[int, int]:
        """The epoch of the next batch and the number of its batches that were trained on."""
        epoch = int(np.searchsorted(self.epoch_starts, self.step, side="right")) - 1
        return epoch, self.step - self.epoch_starts[epoch]

    def stream(self, source: BatchSource) -> Any:
        """The batches from this position on; notes where each epoch begins."""
        epoch, done = self.position()
        start = self.step

        # A list of its own for each stream: what an earlier one still makes in the background is
        # not noted here.
        starts = self.epoch_starts = self.epoch_starts[: epoch + 1]

        def began(position: int) -> None:
            # `fit` may begin a stream a second time, after it has looked at the first batch.
            if start + position > starts[-1]:
                starts.append(start + position)

        return source.stream(epoch, done, began)

    def _variables(self) -> dict[str, Any]:
        # By number: some of Keras' names count what the process has made before.
        metrics = {id(variable) for variable in self.model.metrics_variables}
        weights = [variable for variable in self.model.variables if id(variable) not in metrics]

        # The counts of skipped steps have an entry of their own, which older checkpoints lack.
        optimizer = self.model.optimizer
        state = [variable for variable in optimizer.variables if variable is not optimizer.skips]
        variables = weights + state
        return {f"variable:{index}": variable for index, variable in enumerate(variables)}

    def save(self, path: Path) -> None:
        """Writes all of it to one file, which is replaced in one step.

        Raises:
            NotFiniteError: a number is not finite; the file stays as it was.
            OSError: it cannot be written; the file stays as it was.
        """
        if not self.writes:
            self.saved = self.step
            return

        backend.synchronize(self.model)

        epoch, batches = self.position()
        numbers = [self.step, epoch, batches, self.best_step, self.waited, self.evaluated]
        arrays: dict[str, Any] = {
            "numbers": np.array(numbers),
            "best_bleu": np.float64(self.best_bleu),
            "trained_on": np.str_(self.trained_on),
            "notes": np.str_(json.dumps(self.notes)),
            "skips": np.asarray(self.model.optimizer.skips),
        }
        for name, variable in self._variables().items():
            arrays[name] = np.asarray(variable)
            self._check(arrays[name], variable.path, path)
        for index, average in enumerate(self.averages.values if self.averages else []):
            name = f"average:{index}"
            arrays[name] = np.asarray(average)
            self._check(arrays[name], name, path)

        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
        self.saved = self.step

    def _check(self, array: np.ndarray, name: str, path: Path) -> None:
        if not is_finite(array):
            stays = f"{path} stays as it was" if path.is_file() else "there is no checkpoint yet"
            remedy = "A new run with a lower `learning_rate` may help"
            message = f"step {self.step}: {name} is not finite; {stays}. {remedy}."
            raise NotFiniteError(message)

    def load(self, path: Path) -> None:
        """Reads a file that `save` wrote.

        Raises:
            ValueError: the file is of another model, and the message names the first variable that
                differs; or of a training on other batches; or it is no whole checkpoint, or a
                number in it is not finite.
        """
        with open_arrays(path, "checkpoint") as arrays:
            self._restore(path, arrays)
        self.saved = self.step

    def _restore(self, path: Path, arrays: Arrays) -> None:
        # Checkpoints without a note are older than trainings on recordings that go on.
        trained_on = str(arrays["trained_on"]) if "trained_on" in arrays else "corpus"
        require(
            trained_on == self.trained_on,
            "run_dir",
            f"a run that was trained on its {self.trained_on}",
            f"{path}, of a training on its {trained_on}",
        )

        for name, variable in self._variables().items():
            shape = arrays[name].shape if name in arrays else None
            if shape != tuple(variable.shape):
                expected = f"{name} ({variable.path}) of shape {tuple(variable.shape)}"
                raise ValueError(f"{path}: expected {expected}. Received: {shape}.")
            variable.assign(_finite(path, arrays, name))
        if "skips" in arrays:
            self.model.optimizer.skips.assign(arrays["skips"])

        with whole(path, "checkpoint"):
            numbers = map(int, arrays["numbers"])
            self.step, epoch, batches, self.best_step, self.waited, self.evaluated = numbers
            self.best_bleu = float(arrays["best_bleu"])
        self.epoch_starts = [-1] * epoch + [self.step - batches]

        if self.averages:
            count = len(self.averages.values)
            self.averages.values = [
                ops.convert_to_tensor(_finite(path, arrays, f"average:{index}"))
                for index in range(count)
            ]


def _finite(path: Path, arrays: Arrays, name: str) -> np.ndarray:
    array = arrays[name]
    if not is_finite(array):
        raise ValueError(f"{path}: expected finite numbers. Received: others in {name}.")
    return array
