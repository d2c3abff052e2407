"""The training loop: for every backend, and for batches of a corpus or of a recording."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras

from attention_nmt.archives import check_model_file
from attention_nmt.files import read_record
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder

from .build import build
from .callbacks import Checkpoints, Evaluation, Report, Skips, Throughput
from .dev_translation import Evaluator
from .devices import Devices, OneProcess
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
        begin: gives a new model its first weights; None leaves those that it was made with.
        begins_trained: whether a new model is trained already, so that it may be better than
            anything that comes of it.
        quiet: print evaluations only.
        devices: the devices that share the steps.
    """

    config: TrainConfig
    run: RunFolder
    tokenizers: Tokenizers
    references: Sequence[str]
    evaluator: Callable[[Seq2Seq], Evaluator]
    batches: Callable[[], BatchSource]
    trained_on: str
    begin: Callable[[Seq2Seq], None] | None = None
    begins_trained: bool = False
    quiet: bool = False
    devices: Devices = field(default_factory=OneProcess)

    def say(self, line: str) -> None:
        """Prints a line, unless the training is quiet."""
        if self.devices.is_chief and not self.quiet:
            print(line, flush=True)


def train_model(training: Training) -> Progress:
    """Trains from where the run folder's checkpoint stands, to the end or out of patience.

    Returns:
        The state at the end.

    Raises:
        ValueError: the config is at fault, or the checkpoint is of another training, or it or the
            best weights are damaged or missing.
        NotFiniteError: `maximum_skipped_steps` steps in a row had no finite loss or gradients, or
            weights became infinite; the checkpoint and the best weights stay as they were.
        OSError: a file cannot be written.
        KeyboardInterrupt: Ctrl-C was pressed; if steps were being done, a checkpoint was written.
        SystemExit: SIGTERM came; likewise.
    """
    config = training.config
    run = training.run
    source, target = training.tokenizers
    with training.devices.scope():
        model = build(config, source.vocabulary_size, target.vocabulary_size)

    notes = {
        "tokenizers": run.tokenizer_sums(),
        "data": read_record(run.data) if run.data.is_file() else {},
    }
    is_new = not run.checkpoint.is_file()
    if is_new and training.begin is not None:
        training.begin(model)

    writes = training.devices.is_chief
    progress = Progress(
        model, config.average_decay, training.trained_on, notes=notes, writes=writes
    )
    if not is_new:
        progress.load(run.checkpoint)
        _check_best(run, progress.best_step)
        training.say(f"Going on from step {progress.step} of {config.steps}.")

    with EventLog(run.logs) as log:
        evaluation = Evaluation(
            progress,
            run,
            config,
            evaluator=training.evaluator(model) if writes else None,
            references=training.references,
            log=log,
            devices=training.devices,
        )
        if evaluation.is_due() or (is_new and training.begins_trained):
            bleu = evaluation.evaluate()
            if writes:
                print(f"Step {progress.step}: dev_bleu: {bleu:.4f}", flush=True)
        if not evaluation.is_over():
            _run(training, progress, evaluation)
    return progress


def _check_best(run: RunFolder, step: int) -> None:
    """Checks that the best weights are there, which a checkpoint knows of."""
    if step == 0:
        return

    if not run.best.is_file():
        expected = f"expected the weights of step {step}, which {run.checkpoint.name} knows of"
        raise ValueError(f"{run.best}: {expected}. Received: no such file.")
    check_model_file(run.best)


def _run(training: Training, progress: Progress, evaluation: Evaluation) -> None:
    """Trains and evaluates until it is over."""
    batches = training.batches()
    devices = training.devices
    report = Report(progress, training.quiet, prints=devices.is_chief)
    began = time.perf_counter()

    throughput = Throughput()
    skips = Skips(progress, throughput, training.config.maximum_skipped_steps)
    every = training.config.checkpoint_steps
    with Checkpoints(progress, training.run, every, devices.any) as checkpoints:
        callbacks = [throughput, evaluation, checkpoints, skips, report]
        devices.fit(progress, batches, training.config, callbacks, int(report.shows_bar))

    seconds = time.perf_counter() - began
    beside = progress.seconds_beside
    if skips.total:
        training.say(f"{skips.total} steps were skipped: their loss or gradients were not finite.")
    training.say(f"{seconds:.0f} s, of which evaluations and checkpoints took {beside:.0f} s.")


def fit(
    progress: Progress,
    batches: BatchSource,
    config: TrainConfig,
    callbacks: list[keras.callbacks.Callback],
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
