"""Run folders in training: locked, claimed for a config, read, given the best weights."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attention_nmt.archives import check_finite, open_arrays, whole, write_note
from attention_nmt.config import to_json
from attention_nmt.files import atomic_write, folder_lock, read_record, remove_leftovers
from attention_nmt.run_folder import RunFolder, Sums

from .presets import TrainConfig

if TYPE_CHECKING:
    import keras

    from attention_nmt.data.source_tokenizer import SourceTokenizer
    from attention_nmt.data.tokenizer import Tokenizer

_SIZES = ("source_vocabulary_size", "target_vocabulary_size")
"""Settings that tokenizers decide, and no flag."""

_FREE = ("maximum_skipped_steps", "distribute", "devices", "tpu", "accumulate")
"""Settings that change no weight, or its last bits: a training goes on with others."""

_PLACES = ("dataset", "data_dir", "initial")
"""Settings that say where texts and weights are; the same ones may be elsewhere later."""

Fingerprints = Mapping[str, Mapping[str, str]]
"""What tells texts from others, by their purpose: see `Corpus.fingerprint`."""


class Tokenizers(NamedTuple):
    """The tokenizers of a run; the same one twice where the vocabulary is shared."""

    source: SourceTokenizer
    target: Tokenizer


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Makes a run folder, and keeps other processes from training in it.

    What processes that were killed left of their writes is removed.

    Raises:
        OSError: another process is training in it.
    """
    with folder_lock(folder, "training in"):
        remove_leftovers(folder, RunFolder(folder).names)
        yield


def claim(run: RunFolder, config: TrainConfig, data: Fingerprints) -> None:
    """Writes the config into a new run folder, or checks that an old one has it, and these texts.

    A run that has neither weights nor a recording, as one with a setting that its data does not
    support, is begun anew. Where the same texts are found elsewhere, the config follows them.

    A run that has done its steps may be given more of them.

    Args:
        run: the folder.
        config: the settings; vocabulary sizes are not compared, since tokenizers decide them.
        data: fingerprints of the texts, by their purpose.

    Raises:
        ValueError: the folder holds a run of another config or of other texts, or no run, or a
            damaged file; the message names the differences or the file.
    """
    if run.config.is_file():
        _check_claim(run, config, data)

    # A write that was cut off leaves a file whose name begins with a dot.
    strange = sorted(path.name for path in run.path.glob("[!.]*"))
    if strange and not run.config.is_file():
        raise ValueError(f"{run.path} must be a run folder, empty or new. It holds: {strange[:5]}.")

    if run.config.is_file():
        _follow(run, config)
    else:
        _write(run.config, to_json(config))
    if not run.data.is_file():
        _write(run.data, json.dumps(data, indent=2) + "\n")


def _check_claim(run: RunFolder, config: TrainConfig, data: Fingerprints) -> None:
    try:
        check_same(run, config, data)
    except OtherRunError:
        if any(path.is_file() for path in (run.checkpoint, run.best, run.recording)):
            raise
        _empty(run)


class OtherRunError(ValueError):
    """A run folder of another config or of other texts."""


def check_same(run: RunFolder, config: TrainConfig, data: Fingerprints) -> None:
    """Checks that a run folder has a config, and these texts.

    Raises:
        OtherRunError: it has not; the message names the differences.
        ValueError: a file of the folder is damaged.
    """
    # A run that is older than fingerprints is taken for one of these texts.
    texts = _fingerprints(run)
    changed = [name for name in data if data[name] != texts.get(name, data[name])]

    old = _settings(read_config(run))
    new = _settings(config)
    same_texts = bool(data) and all(texts.get(name) == data[name] for name in data)
    free = {*_SIZES, *_FREE, *(_PLACES if same_texts else ())}
    if _goes_further(run, old["steps"], new["steps"]):
        free.add("steps")
    different = [
        f"{name}: {old[name]!r} there, {new[name]!r} here"
        for name in new
        if name not in free and old[name] != new[name]
    ]

    if different:
        listed = "; ".join(different)
        raise OtherRunError(f"{run.path} holds a run of another config. Different: {listed}.")
    if changed:
        listed = ", ".join(changed)
        raise OtherRunError(f"{run.path} holds a run of other texts. Different: those of {listed}.")


def _goes_further(run: RunFolder, old: int, new: int) -> bool:
    """Whether a run has done all of its steps and is to do more."""
    if new <= old or not run.checkpoint.is_file():
        return False
    return read_step(run.checkpoint) >= old


def _fingerprints(run: RunFolder) -> dict[str, Any]:
    """Those of `data.json`; what it lacks, the checkpoint may have."""
    found = read_record(run.data) if run.data.is_file() else {}
    if not all(isinstance(sums, dict) for sums in found.values()):
        raise ValueError(f"{run.data}: expected records of sums. Received: {found!r}.")

    noted = read_notes(run.checkpoint).get("data", {}) if run.checkpoint.is_file() else {}
    return {**noted, **found}


def _follow(run: RunFolder, config: TrainConfig) -> None:
    """Writes where the texts are now, and how far the training is to go."""
    old = read_config(run)
    places = {name: getattr(config, name) for name in (*_PLACES, "steps")}
    moved = dataclasses.replace(old, **places)
    if moved != old:
        _write(run.config, to_json(moved))


def read_notes(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint says of the files beside it; nothing, if it is older than such notes.

    Returns:
        `tokenizers`: SHA-256 of their files by their names; `data`: the texts' fingerprints.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole checkpoint.
    """
    kind = "checkpoint"
    with whole(checkpoint, kind), open_arrays(checkpoint, kind) as arrays:
        return json.loads(str(arrays["notes"])) if "notes" in arrays else {}


def read_step(checkpoint: Path) -> int:
    """The number of steps that a checkpoint's training has done.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no whole checkpoint.
    """
    kind = "checkpoint"
    with whole(checkpoint, kind), open_arrays(checkpoint, kind) as arrays:
        return int(arrays["numbers"][0])


def _settings(config: Any, prefix: str = "") -> dict[str, Any]:
    """All settings, those of records within a config included, by the names of their flags."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            without_prefix = isinstance(config, TrainConfig)
            found |= _settings(value, "" if without_prefix else f"{field.name}.")
        else:
            found[prefix + field.name] = value
    return found


def _empty(run: RunFolder) -> None:
    """Removes all that a run without weights has."""
    tokenizers = (run.source_tokenizer, run.target_tokenizer)
    for path in (*tokenizers, run.samples_file, run.data, run.config):
        path.unlink(missing_ok=True)
    shutil.rmtree(run.logs, ignore_errors=True)


def read_config(run: RunFolder) -> TrainConfig:
    """The settings of a run.

    A run that is older than a setting has the value with which it was trained.

    Raises:
        FileNotFoundError: the folder holds no `config.json`.
        ValueError: a setting that there is none of, of another type or outside its range.
    """
    return run.parse(TrainConfig, run.read_config())


def load_tokenizers(run: RunFolder) -> Tokenizers:
    """The tokenizers of a run.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: a file is no SentencePiece model, or another one than the run was trained with.
    """
    if run.checkpoint.is_file():
        run.check_tokenizers(read_notes(run.checkpoint).get("tokenizers"), run.checkpoint)
    return Tokenizers(*run.load_tokenizers())


def write_sizes(run: RunFolder, config: TrainConfig, tokenizers: Tokenizers) -> None:
    """Writes the config with the sizes of the run's vocabularies."""
    model = dataclasses.replace(
        config.model,
        source_vocabulary_size=tokenizers.source.vocabulary_size,
        target_vocabulary_size=tokenizers.target.vocabulary_size,
    )
    text = to_json(dataclasses.replace(config, model=model))
    if run.config.read_text(encoding="utf-8") != text:
        _write(run.config, text)


def keep_best(
    run: RunFolder,
    model: keras.Model,
    *,
    step: int,
    dev_bleu: float,
    dev_sentences: int,
    tokenizers: Sums,
) -> None:
    """Writes the model's weights and their score in place of those that are there.

    Args:
        run: the folder.
        model: the model.
        step: of the training.
        dev_bleu: the score.
        dev_sentences: the number of sentences that it was computed on.
        tokenizers: SHA-256 of the tokenizers' files, by their names.

    Raises:
        ValueError: a weight is not finite.
        OSError: a file cannot be written.
    """
    check_finite(model, f"step {step}")
    with atomic_write(run.best) as temporary, _uncompiled(model):
        model.save(temporary)
        write_note(temporary, {"tokenizers": dict(tokenizers)})

    score = {"step": step, "dev_bleu": dev_bleu, "dev_sentences": dev_sentences}
    _write(run.best_score, json.dumps(score) + "\n")


@contextmanager
def _uncompiled(model: keras.Model) -> Iterator[None]:
    """A block in which saving a model leaves out its optimizer, twice the size of the weights.

    The attributes are exchanged behind Keras' back, which would track the change: a training that
    goes on behind the block is as if there had been none.
    """
    attributes = vars(model)
    held = {name: attributes[name] for name in ("compiled", "optimizer")}
    attributes.update(compiled=False, optimizer=None)
    try:
        yield
    finally:
        attributes.update(held)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
