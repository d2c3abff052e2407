"""The work of a training beside its steps: speed, evaluations, checkpoints, lines on the way."""

from __future__ import annotations

import io
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from attention_nmt import backend
from attention_nmt.run_folder import RunFolder

from .dev_translation import DevTranslations, Drawing, Evaluator
from .devices import Devices
from .finite import NotFiniteError, read_skips
from .folder import keep_best
from .logs import EventLog
from .presets import TrainConfig
from .progress import Progress
from .scoring.metrics import corpus_bleu

REPORT_EVERY_S = 10
"""Seconds between lines where there is no progress bar."""

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a training behind a checkpoint."""

Logs = dict[str, Any] | None
"""The metrics by their names, as Keras hands them to callbacks. Callbacks take arguments that they
do not use, by Keras' contract."""


class Throughput(keras.callbacks.Callback):
    """Replaces the count of target tokens by target tokens per second since the epoch began."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Starts the clock."""
        self.restart()

    def restart(self) -> None:
        """Starts the clock anew, as the count of tokens begins anew."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Reads the clock."""
        self._replace(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Reads the clock."""
        self._replace(logs)

    def _replace(self, logs: Logs) -> None:
        if logs and "tokens" in logs:
            seconds = time.perf_counter() - self.began
            logs["tokens_per_s"] = float(logs.pop("tokens")) / seconds


class Evaluation(keras.callbacks.Callback):
    """At the end of each Keras epoch: dev BLEU, the best weights, pictures, and an early stop.

    Of several processes the chief translates and writes; the others wait for its score.

    Args:
        progress: the state of the training.
        run: its folder.
        config: its settings.
        evaluator: translates the dev sentences; None in a process that is not the chief.
        references: of the dev sentences.
        log: takes the numbers and the pictures.
        devices: know of the other processes.
    """

    def __init__(
        self,
        progress: Progress,
        run: RunFolder,
        config: TrainConfig,
        *,
        evaluator: Evaluator | None,
        references: Sequence[str],
        log: EventLog,
        devices: Devices,
    ) -> None:
        super().__init__()
        self.progress = progress
        self.run = run
        self.config = config
        self.evaluator = evaluator
        self.references = references
        self.log = log
        self.devices = devices
        self._draws = True

    def is_due(self) -> bool:
        """Whether the evaluation that belongs to this step has not been done."""
        step = self.progress.step
        due = step >= self.config.steps or step % self.config.evaluate_steps == 0
        return due and self.progress.evaluated < step

    def is_over(self) -> bool:
        """Whether the training has done its steps, or is out of patience."""
        patience = self.config.patience
        impatient = patience > 0 and self.progress.waited >= patience
        return impatient or self.progress.step >= self.config.steps

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Evaluates, and stops the training when patience is at its end."""
        with self.progress.beside():
            bleu = self.evaluate()
        if self.devices.is_chief:
            self._log_numbers(logs or {})

        if logs is not None:
            logs["dev_bleu"] = bleu
        if self.is_over():
            self.progress.model.stop_training = True

    def evaluate(self) -> float:
        """Computes dev BLEU, keeps the best weights, and writes a checkpoint that knows of them.

        Returns:
            The dev BLEU.
        """
        progress = self.progress
        if progress.saved != progress.step:
            # Nothing but the evaluation is lost where the process is killed in it. And weights that
            # are kept without a checkpoint are those of a replay of former times.
            progress.save(self.run.checkpoint)

        with progress.averaged():
            bleu = self.devices.from_chief(self._translate)
            progress.waited += 1
            progress.evaluated = progress.step
            if bleu > progress.best_bleu:
                self._keep(bleu)

        progress.save(self.run.checkpoint)
        return bleu

    def _translate(self) -> float:
        """Translates the dev sentences, and gives their BLEU."""
        assert self.evaluator is not None
        translations = self.evaluator()
        score = corpus_bleu(translations.texts, self.references, self.config.target)
        self.log.scalars(self.progress.step, {"dev_bleu": score.value})
        self._draw(translations)
        return score.value

    def _keep(self, bleu: float) -> None:
        progress = self.progress
        progress.best_bleu = bleu
        progress.best_step = progress.step
        progress.waited = 0
        if not self.devices.is_chief:
            return

        keep_best(
            self.run,
            progress.model,
            step=progress.step,
            dev_bleu=bleu,
            dev_sentences=len(self.references),
            tokenizers=progress.notes.get("tokenizers", {}),
        )

    def _log_numbers(self, logs: dict[str, Any]) -> None:
        numbers = {name: float(value) for name, value in logs.items()}
        rate = ops.convert_to_numpy(self.progress.model.optimizer.learning_rate)
        finite = {name: value for name, value in numbers.items() if _is_finite(value)}
        self.log.scalars(self.progress.step, {**finite, "learning_rate": float(rate)})

    def _draw(self, translations: DevTranslations) -> None:
        for index, drawing in enumerate(translations.drawings):
            if self._draws and len(drawing.target_tokens):
                try:
                    png = _png(drawing)
                except ImportError:
                    self._draws = False
                    print("matplotlib is not installed: no alignments are drawn.", flush=True)
                    return
                self.log.picture(self.progress.step, f"alignment_{index}", png)


def _png(drawing: Drawing) -> bytes:
    from attention_nmt.drawing.plots import alignment_figure

    figure = alignment_figure(drawing.weights, drawing.source_tokens, drawing.target_tokens)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


class Checkpoints(keras.callbacks.Callback):
    """Counts steps, and writes checkpoints: every `checkpoint_steps` steps, and when it is ended.

    Use it as a context around `fit`, and behind `Evaluation`: there a first Ctrl-C waits for the
    end of the step or of the evaluation, where a checkpoint can be written, and then raises
    `KeyboardInterrupt`; a second one does not wait. So do SIGTERM, by which Kubernetes and Slurm
    end a process, and SIGHUP, of a terminal that is closed; they raise `SystemExit`. Where a signal
    is ignored, as by `nohup`, it stays so. A checkpoint is written, too, where the reader of the
    output has gone. A signal to one of several processes ends all of them, the others as by
    SIGTERM.

    Args:
        progress: the state of the training.
        run: its folder.
        checkpoint_steps: steps between checkpoints.
        any_process: tells whether a flag is set in some process.
    """

    def __init__(
        self,
        progress: Progress,
        run: RunFolder,
        checkpoint_steps: int,
        any_process: Callable[[bool], bool] = bool,
    ) -> None:
        super().__init__()
        self.progress = progress
        self.run = run
        self.checkpoint_steps = checkpoint_steps
        self.any_process = any_process
        self.stopped_by: signal.Signals | None = None

        # No other thread can handle signals.
        in_main_thread = threading.current_thread() is threading.main_thread()
        found = {number: signal.getsignal(number) for number in STOPS if in_main_thread}
        ignored = (signal.SIG_IGN, None)
        self.handlers = {number: old for number, old in found.items() if old not in ignored}

    def __enter__(self) -> Checkpoints:
        """Takes over the signals."""
        for number in self.handlers:
            signal.signal(number, self._stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Gives the signals back.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed during an evaluation, which has ended.
            SystemExit: another signal came during an evaluation, which has ended.
        """
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

        if kind is None:
            self._raise()
        elif issubclass(kind, BrokenPipeError) and self.progress.saved != self.progress.step:
            self.progress.save(self.run.checkpoint)

    def _stop(self, number: int, _: object) -> None:
        self.stopped_by = signal.Signals(number)
        signal.signal(number, self.handlers[self.stopped_by])

    def _raise(self) -> None:
        """Ends the training, if a signal asks for it."""
        if self.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt
        if self.stopped_by is not None:
            raise SystemExit(128 + self.stopped_by)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Counts, and stops after the step during which a signal came."""
        self.progress.advance()
        self._learn()
        if self.stopped_by is not None or self.progress.step % self.checkpoint_steps == 0:
            with self.progress.beside():
                self.progress.save(self.run.checkpoint)
        self._raise()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Ends after the evaluation during which a signal came; it wrote a checkpoint."""
        self._learn()
        if self.stopped_by is not None:
            self.progress.model.stop_training = True

    def _learn(self) -> None:
        """Learns of a signal to another process."""
        if self.any_process(self.stopped_by is not None) and self.stopped_by is None:
            self.stopped_by = signal.SIGTERM


class Skips(keras.callbacks.Callback):
    """Says that steps were skipped, and ends a training that does nothing else.

    A step is skipped whose loss or gradients are not finite: it changes no weight. Use it behind
    `Checkpoints`, which counts steps.

    Args:
        progress: the state of the training.
        throughput: its clock starts anew with the metrics, which a loss that is not finite spoils.
        limit: the number of steps in a row after which the training ends.
    """

    def __init__(self, progress: Progress, throughput: Throughput, limit: int) -> None:
        super().__init__()
        self.progress = progress
        self.throughput = throughput
        self.limit = limit
        self.total = read_skips(progress.model).total
        self.told = False
        self._spoilt = False

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Resets the metrics behind a step whose loss was not finite."""
        if self._spoilt:
            model = self.progress.model
            backend.synchronize(model)
            model.reset_metrics()
            self.throughput.restart()
            self._spoilt = False

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Looks whether the step was skipped.

        Raises:
            NotFiniteError: so were all of the last `limit` steps.
        """
        skips = read_skips(self.progress.model)
        self._note(logs)
        if skips.total == self.total:
            return

        self.total = skips.total
        self._spoilt = not _is_finite((logs or {}).get("loss", 0.0))
        self._note(logs)
        step = self.progress.step
        if not self.told:
            self.told = True
            reason = "its loss or gradients are not finite"
            print(f"Step {step}: skipped, {reason}. Later ones are counted.", flush=True)
        if skips.last >= self.limit:
            many = f"the loss or gradients of the last {skips.last} steps"
            remedy = "They changed no weight. A new run with a lower `learning_rate` may help"
            raise NotFiniteError(f"step {step}: {many} are not finite. {remedy}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Adds the number of skipped steps to what is printed and logged."""
        self._note(logs)

    def _note(self, logs: Logs) -> None:
        if logs is not None and self.total:
            logs["skipped"] = self.total


class Report(keras.callbacks.Callback):
    """Prints a line every `REPORT_EVERY_S` seconds, and one for each evaluation.

    On a terminal, Keras' progress bar says it.

    Args:
        progress: the state of the training.
        quiet: print evaluations only.
        prints: whether anything is printed; of several processes one prints.

    Attributes:
        shows_bar: whether there is a progress bar.
    """

    def __init__(self, progress: Progress, quiet: bool, *, prints: bool = True) -> None:
        super().__init__()
        self.progress = progress
        self.quiet = quiet
        self.prints = prints
        self.shows_bar = prints and sys.stdout.isatty() and not quiet
        self.printed = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Prints a line if it is time for one."""
        silent = self.quiet or self.shows_bar or not self.prints
        if silent or time.perf_counter() - self.printed < REPORT_EVERY_S:
            return

        self.printed = time.perf_counter()
        self._print(logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Prints the results of the evaluation."""
        if self.prints and not self.shows_bar:
            self._print(logs or {})

    def _print(self, logs: dict[str, Any]) -> None:
        finite = [name for name in logs if _is_finite(logs[name])]

        # Numbers of an evaluation come first.
        names = sorted(finite, key=lambda name: name != "dev_bleu")
        numbers = [f"{name}: {_decimals(name, logs[name])}" for name in names]
        print(f"Step {self.progress.step}: {', '.join(numbers)}", flush=True)


def _is_finite(value: Any) -> bool:
    """Whether a metric is finite; behind a step that was skipped it may not be."""
    return math.isfinite(float(ops.convert_to_numpy(value)))


def _decimals(name: str, value: Any) -> str:
    return f"{value:.0f}" if name in ("tokens_per_s", "skipped") else f"{value:.4f}"
