"""`python -m training.train --dataset D --source en --target de --run-dir RUN`: text pairs to a
trained run folder."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
import tyro

from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.files import atomic_write
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .build import build
from .callbacks import DevBleu, Keeper, Progress, Throughput
from .data import Corpus, iterate_texts
from .folder import alone, claim
from .presets import PRESETS, TrainConfig
from .scoring.metrics import corpus_bleu

SAMPLES = 50
"""Dev sentences kept in the run folder, for exports to be checked on."""


class Prepared(NamedTuple):
    """What a training begins with."""

    pairs: tf.data.Dataset  # of the training texts
    source: Tokenizer
    target: Tokenizer
    dev_sources: list[str]
    dev_references: list[str]


def parse(arguments: Sequence[str], prog: str = "training.train") -> tuple[TrainConfig, RunFolder]:
    """The config of a command line: the preset's, with the flags that are given put over it."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset", choices=sorted(PRESETS), default="base")
    first.add_argument("--run-dir", required="-h" not in arguments and "--help" not in arguments)
    chosen, rest = first.parse_known_args(arguments)
    usage = f"{prog} --run-dir RUN [--preset {{{','.join(sorted(PRESETS))}}}]"
    config = tyro.cli(
        TrainConfig,
        prog=usage,
        args=rest,
        default=PRESETS[chosen.preset](),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
    )
    for field in ("source_vocabulary_size", "target_vocabulary_size"):
        if getattr(config.model, field) != getattr(PRESETS[chosen.preset]().model, field):
            first.error(
                f"--{field.replace('_', '-')} is for models without a tokenizer: give --vocabulary-size"
            )
    return config, RunFolder(Path(chosen.run_dir))


def tokenizers(
    run: RunFolder, config: TrainConfig, pairs: tf.data.Dataset
) -> tuple[Tokenizer, Tokenizer]:
    """The run's tokenizers, trained on the training texts if it has none yet."""
    sides: list[tuple[Path, list[int]]] = [(run.source_tokenizer, [0, 1])]
    if not config.shared_vocabulary:
        sides = [(run.source_tokenizer, [0]), (run.target_tokenizer, [1])]
    for path, columns in sides:
        if not path.is_file():
            texts = iterate_texts(pairs, columns)
            Tokenizer.train(texts, config.vocabulary_size, config.character_coverage).save(path)
    loaded = [Tokenizer.load(path) for path, _ in sides]
    return loaded[0], loaded[-1]


def fit(
    model: Seq2Seq,
    batches: TrainingBatches,
    progress: Progress,
    config: TrainConfig,
    callbacks: list,
) -> None:
    """Runs `model.fit` from where the progress stands; one Keras epoch is the steps between two
    evaluations."""
    size = config.evaluate_steps
    while progress.step < config.steps and not model.stop_training:
        block, done = divmod(progress.step, size)
        whole = config.steps // size
        # A block that was begun before, or the last one of fewer steps, is an epoch of its own
        # length.
        partial = done or block == whole
        steps = min(size - done, config.steps - progress.step)
        model.fit(
            progress.stream(batches),
            steps_per_epoch=steps,
            initial_epoch=block,
            epochs=block + 1 if partial else whole,
            callbacks=callbacks,
            shuffle=False,
        )


def stopped_in_evaluation(progress: Progress, config: TrainConfig) -> bool:
    """Whether the evaluation that is due at this step has not been done."""
    due = progress.step >= config.steps or progress.step % config.evaluate_steps == 0
    return due and progress.evaluated < progress.step


@contextmanager
def prepare(config: TrainConfig, run: RunFolder) -> Iterator[Prepared]:
    """A block in which this process alone has the run folder, which holds all that is there before
    the first step.

    Raises:
        ValueError: the run folder is of another config or other texts, or the data or the config
        is at fault. OSError: another process is training in the run folder.
    """
    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    pairs, dev_split = corpus.pairs(config.train_split), config.dev_split or corpus.dev_split()
    dev_sources, dev_references = (
        texts[: config.dev_sentences] for texts in corpus.texts(dev_split)
    )
    corpus_bleu(
        dev_references, dev_references, config.target
    )  # what scoring this language lacks shows now
    data = {"train": corpus.fingerprint(config.train_split), "dev": corpus.fingerprint(dev_split)}
    with alone(run.path):
        claim(run, config, data)
        source, target = tokenizers(run, config, pairs)
        with atomic_write(run.samples) as temporary:
            temporary.write_text(
                "".join(f"{text}\n" for text in dev_sources[:SAMPLES]), encoding="utf-8"
            )
        yield Prepared(pairs, source, target, dev_sources, dev_references)


def training_batches(config: TrainConfig, data: Prepared) -> TrainingBatches:
    """The batches of a training."""
    copies = 2 if config.consistency else 1
    batches = TrainingBatches(
        data.pairs, data.source, data.target, config.batches, config.seed, copies
    )
    print(f"{config.dataset}, {config.train_split}: {batches.statistics}.", flush=True)
    return batches


def train(config: TrainConfig, run: RunFolder) -> Progress:
    """Trains, or goes on training, a run folder.

    Raises:
        ValueError: as `prepare`; or the folder is from `training.replay`, which leaves nothing to
        go on from. OSError: as `prepare`.
    """
    with prepare(config, run) as data:
        if run.recording.is_file() and run.best.is_file() and not run.checkpoint.is_file():
            raise ValueError(
                f"{run.path} holds a model of training.replay, which cannot be trained on."
            )
        return _train(config, run, data)


def _train(config: TrainConfig, run: RunFolder, data: Prepared) -> Progress:
    _, source, target, dev_sources, dev_references = data
    model = build(config, source.vocabulary_size, target.vocabulary_size)
    progress = Progress(model, config.average_decay)
    if run.checkpoint.is_file():
        progress.load(run.checkpoint)
        print(f"Going on from step {progress.step} of {config.steps}.", flush=True)
    translator = Translator(model, source, config.search, target).frozen()
    dev_bleu = DevBleu(
        progress, run, translator, dev_sources, dev_references, config.target, config.patience
    )
    if stopped_in_evaluation(progress, config):
        print(f"Step {progress.step}: dev_bleu: {dev_bleu.evaluate():.4f}", flush=True)
    if progress.step >= config.steps or (config.patience and progress.waited >= config.patience):
        return progress
    batches = training_batches(config, data)
    board = keras.callbacks.TensorBoard(str(run.logs), write_graph=False)
    began = time.perf_counter()
    with Keeper(progress, run, config.checkpoint_steps) as keeper:
        fit(model, batches, progress, config, [Throughput(), dev_bleu, keeper, board])
    seconds = time.perf_counter() - began
    print(
        f"{seconds:.0f} s, of which evaluations and checkpoints took {progress.seconds_beside:.0f} s."
    )
    return progress


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 when the training is done, 1 with one line on what is at fault, 130 on
    Ctrl-C."""
    config, run = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        progress = train(config, run)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\nStopped. The same command goes on from the last checkpoint in {run.path}.",
            file=sys.stderr,
        )
        return 130
    print(
        f"Best dev BLEU {progress.best_bleu:.2f} at step {progress.best_step}; weights in {run.best}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
