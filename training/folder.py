"""What trainings do with a run folder: have it alone, claim it, read its settings, keep the best
weights in it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from attention_nmt.config import BatchConfig, ModelConfig, SearchConfig, from_dict, to_json
from attention_nmt.files import atomic_write
from attention_nmt.run_folder import RunFolder

from .presets import TrainConfig


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Makes a folder, and makes sure that no other process is in such a block with it.

    Where the file system has no locks for folders, nothing is made sure of.

    Raises:
        OSError: another process is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise OSError(f"another process is training in {folder}") from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(handle)


def claim(run: RunFolder, config: TrainConfig, data: dict[str, dict[str, str]]) -> None:
    """Writes the config into a new run folder, or makes sure that an old one is of the same config
    and texts.

    A run that ended before its first checkpoint, as one with a setting that its data does not
    support, is begun anew.

    Args:
        data: fingerprints of the texts, by what they are for.

    Raises:
        ValueError: the folder holds a run of another config or of other texts, or no run; the
        message names what
            differs.
    """
    if run.config.is_file():
        # A run that is older than a field has its default, and one that is older than fingerprints
        # these.
        old, new = (
            _flat(json.loads(to_json(TrainConfig()))) | _flat(run.read_config()),
            _flat(json.loads(to_json(config))),
        )
        different = [
            f"{name}: {old[name]!r} there, {new[name]!r} here"
            for name in new
            if old[name] != new[name]
        ]
        texts = data | (
            json.loads(run.data.read_text(encoding="utf-8")) if run.data.is_file() else {}
        )
        changed = [name for name in data if data[name] != texts[name]]
        if run.checkpoint.is_file() or run.best.is_file():
            if different:
                raise ValueError(
                    f"{run.path} holds a run of another config. Different: {'; '.join(different)}."
                )
            if changed:
                raise ValueError(
                    f"{run.path} holds a run of other texts. Different: those of {', '.join(changed)}."
                )
        elif different or changed:
            for path in (
                run.source_tokenizer,
                run.target_tokenizer,
                run.samples,
                run.recording,
                run.data,
                run.config,
            ):
                path.unlink(missing_ok=True)
            shutil.rmtree(run.logs, ignore_errors=True)
    # A write that was cut off leaves a file whose name begins with a dot.
    strange = sorted(p.name for p in run.path.glob("[!.]*"))
    if strange and not run.config.is_file():
        raise ValueError(f"{run.path} must be a run folder, empty or new. It holds: {strange[:5]}.")
    for file, text in (
        (run.config, to_json(config)),
        (run.data, json.dumps(data, indent=2) + "\n"),
    ):
        if not file.is_file():
            with atomic_write(file) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    nested = {name: value for name, value in values.items() if isinstance(value, dict)}
    plain = {name: value for name, value in values.items() if name not in nested}
    return plain | {name: value for fields in nested.values() for name, value in fields.items()}


def read_config(run: RunFolder) -> TrainConfig:
    """The settings of a run.

    Raises:
        FileNotFoundError: the folder holds no `config.json`.
        ValueError: a setting that there is none of, or outside its range.
    """
    values = run.read_config()
    kinds: dict[str, type[Any]] = {
        "model": ModelConfig,
        "batches": BatchConfig,
        "search": SearchConfig,
    }
    return from_dict(
        TrainConfig, values | {name: from_dict(kind, values[name]) for name, kind in kinds.items()}
    )


def keep_best(
    run: RunFolder, model: keras.Model, step: int, dev_bleu: float, dev_sentences: int
) -> None:
    """Writes the model as it is and what it scored in place of those that are there."""
    with atomic_write(run.best) as temporary:
        model.save(temporary)
    score = {"step": step, "dev_bleu": dev_bleu, "dev_sentences": dev_sentences}
    with atomic_write(run.best_score) as temporary:
        temporary.write_text(json.dumps(score) + "\n", encoding="utf-8")
