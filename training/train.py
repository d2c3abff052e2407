"""`attention-nmt train`, `python -m training.train`: text pairs to a trained run folder."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.run_folder import RunFolder

from .presets import PRESETS, TrainConfig, base, summary

if TYPE_CHECKING:
    from .progress import Progress

_BACKGROUND = "settings to begin with, which other flags change:"


def _preset_help() -> Any:
    """The help of `--preset`; None where there is no tyro."""
    try:
        import tyro
    except ImportError:
        return None
    lines = [f"{name}: {summary(name)}" for name in PRESETS]
    return tyro.conf.arg(metavar="NAME", help="\n".join([_BACKGROUND, *lines]))


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Trains a model on text pairs, or goes on training where it was stopped.

    Attributes:
        run_dir: the run folder: a new one, or one of the same settings, which goes on.
        preset: settings to begin with.
        quiet: print evaluations and the end only.
        config: the settings.
    """

    run_dir: Path
    preset: Annotated[str, _preset_help()] = "base"
    quiet: bool = False
    config: Annotated[TrainConfig, NO_PREFIX] = field(default_factory=base)


def check_sizes(command: TrainCommand) -> None:
    """Checks that no flag gives what tokenizers or a preset decide.

    Raises:
        ValueError: one does.
    """
    initial = command.config.initial
    usual = usual_config(command.preset, initial, RunFolder(command.run_dir)).model
    for name in ("source_vocabulary_size", "target_vocabulary_size"):
        size = getattr(command.config.model, name)
        expected = "left out, since tokenizers decide it: give `vocabulary_size`"
        require(size == getattr(usual, name), name, expected, size)
    backbone = command.config.model.backbone
    expected = "left out, since the preset in `encoder` decides it"
    require(backbone == usual.backbone, "backbone", expected, backbone)


def usual_config(preset: str, initial: str | None, run: RunFolder) -> TrainConfig:
    """The settings that flags change: a preset's, and those that a trained model decides.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: it is none that can be trained here, or its files are at fault.
        OSError: the hub cannot be reached.
    """
    config = PRESETS[preset]()
    if initial is None:
        return config

    from .initial import with_settings_of

    return with_settings_of(initial, run, config)


def train(config: TrainConfig, run: RunFolder, *, quiet: bool = False) -> Progress:
    """Trains, or goes on training, a run folder.

    Args:
        config: the settings.
        run: the folder.
        quiet: print evaluations only.

    Returns:
        The state at the end.

    Raises:
        ValueError: the run folder is of another config or other texts, the data or the config is
            at fault, or the folder holds the model of a replay.
        OSError: another process is training in the run folder.
        KeyboardInterrupt: Ctrl-C was pressed.
        SystemExit: the process was told to end, by SIGTERM; its code is 143.
    """
    from attention_nmt import backend
    from attention_nmt.models.seq2seq import Seq2Seq

    from .dev_translation import Evaluator, SearchEvaluator, TranslatorEvaluator
    from .devices import open_devices
    from .initial import begin_with
    from .loop import Training, train_model
    from .prepare import describe, prepare, training_batches
    from .pretrained import begin_pretrained, with_backbone
    from .progress import BatchSource

    # JAX takes the halves of the whole batch for the two copies, and a batch in parts has others.
    global_halves = config.devices.distribute == "data_parallel"
    expected = "0 with 'data_parallel'; a recording may have it"
    require(not (config.consistency and global_halves), "consistency", expected, config.consistency)

    devices = open_devices(config.devices, config.dtype_policy)
    config = with_backbone(config, run)
    with prepare(config, run, quiet=quiet, devices=devices) as data:
        if run.recording.is_file() and run.best.is_file() and not run.checkpoint.is_file():
            raise ValueError(
                f"{run.path} holds a model of training.replay, which cannot be trained on."
            )

        def evaluator(model: Seq2Seq) -> Evaluator:
            source, target = data.tokenizers
            if backend.name() == "tensorflow":
                from attention_nmt.translation.translator import Translator

                translator = Translator(model, source, config.search, target)
                return TranslatorEvaluator(translator, data.dev_sources)

            ids = source.source_ids(data.dev_sources, config.search.maximum_source_length)
            return SearchEvaluator(model, data.tokenizers, config.search, ids)

        def batches() -> BatchSource:
            made = training_batches(config, data, devices.parts)
            training.say(describe(config, made))
            return made

        begin = None
        if data.initial is not None:
            begin = functools.partial(begin_with, data.initial, data.tokenizers)
        elif not config.model.embeds_source:
            begin = functools.partial(begin_pretrained, config.model.preset)

        training = Training(
            config=config,
            run=run,
            tokenizers=data.tokenizers,
            references=data.dev_references,
            evaluator=evaluator,
            batches=batches,
            trained_on="corpus",
            begin=begin,
            begins_trained=data.initial is not None,
            quiet=quiet,
            devices=devices,
        )
        return train_model(training)


def act(command: TrainCommand) -> None:
    """Trains, and prints the end."""
    check_sizes(command)
    run = RunFolder(command.run_dir)
    try:
        progress = train(command.config, run, quiet=command.quiet)
    except (KeyboardInterrupt, SystemExit):
        goes_on = "The same command goes on from the last checkpoint"
        print(f"\nStopped. {goes_on} in {run.path}.", file=sys.stderr)
        raise
    if progress.writes:
        print_best(progress, run)


def print_best(progress: Progress, run: RunFolder) -> None:
    """Prints the best score, its step and the file of the weights."""
    score = f"{progress.best_bleu:.2f} at step {progress.best_step}"
    print(f"Best dev BLEU {score}; weights in {run.best}.")


def usual_command(arguments: Sequence[str] | None) -> TrainCommand:
    """The values of flags that are not given: those of the preset of a command line.

    A training that begins with a trained model has a preset of its own, unless one is named.

    Raises:
        SystemExit: there is no such preset.
        FileNotFoundError, ValueError, OSError: see `usual_config`.
    """
    import tyro

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", choices=list(PRESETS))
    parser.add_argument("--initial")
    parser.add_argument("--run-dir", type=Path, default=Path())
    given = parser.parse_known_args(arguments)[0]

    preset = given.preset or ("base" if given.initial is None else "finetune")
    config = usual_config(preset, given.initial, RunFolder(given.run_dir))
    return TrainCommand(run_dir=tyro.MISSING, preset=preset, config=config)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `run_command` for its exit status."""
    return run_command(
        TrainCommand,
        act,
        arguments,
        prog="attention-nmt train",
        default=lambda: usual_command(arguments),
        imports=["tensorflow"],
    )


if __name__ == "__main__":
    sys.exit(main())
