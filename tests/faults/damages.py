"""Truncated and flipped files, exchanged ones, and links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from attention_nmt.run_folder import RunFolder

from .scenes import Trial, different_arrays, errors, here, same_model, train_arguments

TEXT = "The black dog sees a white cat."


def damaged_files(
    corpus: Path, whole: RunFolder, folder: Path, *, count: int, rng: np.random.Generator
) -> list[Trial]:
    """Damages each file of a run in turn, and asks the commands that read it."""
    trials = []
    for name in ("best.keras", "checkpoint.npz", "tokenizer.model"):
        promise = "status 1 and one line that names the file; else the file holds what it held"
        flipped = Trial(f"{name} with a flipped bit", promise)
        shorter = Trial(f"{name} that was cut off", "status 1 and one line that names the file")
        for number in range(2 * count):
            trial = shorter if number % 2 else flipped
            run = _copy(whole, folder / "damaged")
            path = run.path / name
            content = bytearray(path.read_bytes())
            place = int(rng.integers(len(content)))
            if number % 2:
                content = content[:place]
            else:
                content[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(content))
            _ask(trial, corpus, run, path, original=whole if trial is flipped else None)
        trials += [flipped, shorter]
    return [*trials, _damaged_records(corpus, whole, folder)]


def _damaged_records(corpus: Path, whole: RunFolder, folder: Path) -> Trial:
    """JSON files that are cut off, empty, or of another type."""
    trial = Trial("config.json, data.json, best.json: no JSON, or of another type", "one line")
    others = json.dumps({"steps": "many", "tokenizers": 3})
    for name in ("config.json", "data.json", "best.json"):
        contents = ["", "{", "[]", "null"]
        if name != "best.json":  # any record of facts is one for a model card
            contents.append(others)
        for content in contents:
            run = _copy(whole, folder / "damaged")
            (run.path / name).write_text(content)
            _ask(trial, corpus, run, run.path / name)
    return trial


def _ask(
    trial: Trial, corpus: Path, run: RunFolder, path: Path, original: RunFolder | None = None
) -> None:
    """Lets a command read a damaged file.

    Args:
        trial: takes what does not hold.
        corpus: that of the run.
        run: the run with the damaged file.
        path: the file.
        original: the run as it was: the command may take the file if it holds what it held there;
            None: the command has to refuse it.
    """
    trial.times += 1
    if path in (run.checkpoint, run.data):
        status, said = here("train", *train_arguments(corpus, run.path))
    elif path == run.best_score:
        status, said = here("export", "--run-dir", run.path, "--output", run.path / "export")
    else:
        status, said = here("translate", "--run-dir", run.path, TEXT)

    if status == 0 and original is not None:
        differs = _differs(path, run, original)
        trial.expect(not differs, f"{path.name} was taken in silence: {differs}")
        return

    found = errors(said)
    is_named = status == 1 and len(found) == 1 and str(path) in found[0]
    trial.expect(is_named, f"{path.name}: status {status}: {said[-200:]}")


def _differs(path: Path, run: RunFolder, original: RunFolder) -> str:
    """What a damaged file that was taken holds otherwise than it did; empty: nothing."""
    if path == run.checkpoint:
        return different_arrays(path, original.checkpoint)
    if path == run.best:
        return "" if same_model(run, original) else "settings, weights or notes differ"

    # Each bit of a tokenizer means something.
    return "" if run.tokenizer_sums() == original.tokenizer_sums() else "its sum differs"


def _copy(whole: RunFolder, path: Path) -> RunFolder:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole.path, path)
    return RunFolder(path)


def exchanged_files(corpus: Path, whole: RunFolder, folder: Path) -> list[Trial]:
    """Other tokenizers and texts than the run's, missing weights, links."""
    tokenizers = Trial("another tokenizer of the same size", "train, translate: status 1, one line")
    run = _copy(whole, folder / "exchanged")
    _exchange_pieces(run.source_tokenizer)
    for arguments in (
        ("train", *train_arguments(corpus, run.path)),
        ("translate", "--run-dir", run.path, TEXT),
    ):
        tokenizers.times += 1
        status, said = here(*arguments)
        is_named = status == 1 and "tokenizer.model" in said and len(errors(said)) == 1
        tokenizers.expect(is_named, said[-200:])

    missing = Trial("best.keras is gone", "train: status 1, one line")
    run = _copy(whole, folder / "exchanged")
    run.best.unlink()
    missing.times += 1
    status, said = here("train", *train_arguments(corpus, run.path))
    missing.expect(status == 1 and "best.keras" in said, said[-200:])

    texts = Trial("data.json is gone, the texts are others", "train: status 1, one line")
    run = _copy(whole, folder / "exchanged")
    run.data.unlink()
    others = Path(shutil.copytree(corpus, folder / "other-texts"))
    for language in ("en", "fr"):
        train = others / f"{language}.train.txt"
        train.write_text(train.read_text() + "More.\n")
    texts.times += 1
    status, said = here("train", *train_arguments(others, run.path))
    texts.expect(status == 1 and len(errors(said)) == 1, said[-200:])
    return [tokenizers, missing, texts]


def _exchange_pieces(path: Path) -> None:
    """Exchanges two letters in the pieces of a tokenizer: it loads, and means something else."""
    content = path.read_bytes().replace(b"e", b"\0").replace(b"a", b"e").replace(b"\0", b"a")
    path.write_bytes(content)
