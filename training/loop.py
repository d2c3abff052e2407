"""The training loop: for every backend, and for batches of a corpus or of a recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder

from .build import build
from .callbacks import Checkpoints, Evaluation, Report, Throughput
from .dev_translation import Evaluator
from .folder import Tokenizers
from .logs import EventLog
from .presets import TrainConfig
from .progress import BatchSource, Progress


@dataclass(frozen=True, kw_only=True)
class Training:
    """The parts of a training.

    Attributes:
        config: its settings.
        run: its folder, which holds its state.
        tokenizers: the run's.
        references: the translations of the dev sentences.
        evaluator: makes what translates the dev sentences by a model.
        batches: makes the source of batches; called if there is a step left to do.
        trained_on: `corpus` or `recording`, the kind of source.
        quiet: print evaluations only.
    """

    config: TrainConfig
    run: RunFolder
    tokenizers: Tokenizers
    references: Sequence[str]
    evaluator: Callable[[Seq2Seq], Evaluator]
    batches: Callable[[], BatchSource]
    trained_on: str
    quiet: bool = False

    def say(self, line: str) -> None:
        """Prints a line, unless the training is quiet."""
        if not self.quiet:
            print(line, flush=True)


def train_model(training: Training) -> Progress:
    """Trains from where the run folder's checkpoint stands, to the end or out of patience.

    Returns:
        The state at the end.

    Raises:
        ValueError: the config is at fault, or the checkpoint is of another training.
        KeyboardInterrupt: Ctrl-C was pressed; if steps were being done, a checkpoint was written.
    """
    config = training.config
    run = training.run
    source, target = training.tokenizers
    model = build(config, source.vocabulary_size, target.vocabulary_size)

    progress = Progress(model, config.average_decay, training.trained_on)
    if run.checkpoint.is_file():
        progress.load(run.checkpoint)
        training.say(f"Going on from step {progress.step} of {config.steps}.")

    with EventLog(run.logs) as log:
        evaluation = Evaluation(
            progress,
            run,
            config,
            evaluator=training.evaluator(model),
            references=training.references,
            log=log,
        )
        if evaluation.is_due():
            bleu = evaluation.evaluate()
            print(f"Step {progress.step}: dev_bleu: {bleu:.4f}", flush=True)
        if not evaluation.is_over():
            _run(training, progress, evaluation)
    return progress


def _run(training: Training, progress: Progress, evaluation: Evaluation) -> None:
    """Trains and evaluates until it is over."""
    batches = training.batches()
    report = Report(progress, training.quiet)
    began = time.perf_counter()

    with Checkpoints(progress, training.run, training.config.checkpoint_steps) as checkpoints:
        callbacks = [Throughput(), evaluation, checkpoints, report]
        fit(progress, batches, training.config, callbacks, verbose=int(report.shows_bar))

    seconds = time.perf_counter() - began
    beside = progress.seconds_beside
    training.say(f"{seconds:.0f} s, of which evaluations and checkpoints took {beside:.0f} s.")


def fit(
    progress: Progress,
    batches: BatchSource,
    config: TrainConfig,
    callbacks: list[keras.callbacks.Callback],
    *,
    verbose: int = 0,
) -> None:
    """Runs `model.fit` from where the progress stands.

    One Keras epoch is the steps between two evaluations. A block of them that was begun before, or
    the last one of fewer steps, is an epoch of its own length.

    Args:
        progress: the state of the training.
        batches: the source of batches.
        config: the settings of the training.
        callbacks: called by `fit`; one of them advances the progress.
        verbose: of `fit`.
    """
    model = progress.model
    size = config.evaluate_steps
    model.stop_training = False

    while progress.step < config.steps and not model.stop_training:
        block, done = divmod(progress.step, size)
        whole_blocks = config.steps // size
        is_partial = done > 0 or block == whole_blocks

        model.fit(
            progress.stream(batches),
            steps_per_epoch=min(size - done, config.steps - progress.step),
            initial_epoch=block,
            epochs=block + 1 if is_partial else whole_blocks,
            callbacks=callbacks,
            shuffle=False,
            verbose=verbose,
        )
