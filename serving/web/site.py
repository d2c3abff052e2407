"""Writes the page of a model: a static folder that any web server serves."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attention_nmt.checks import require
from attention_nmt.files import atomic_folder
from attention_nmt.translation.translator import Translator

from .litert_js import RUNTIME, check_runtime

PAGE = Path(__file__).parent / "page"
"""The page's own files."""

_WORKER = "worker.js"


def write_site(
    translator: Translator, model: bytes, output: Path, *, about: dict[str, Any]
) -> None:
    """Writes the folder, whole or not at all.

    Args:
        translator: the model's tokenizers.
        model: the LiteRT model, with a signature for each of `about["lengths"]`.
        output: a new or empty folder, or one that was written so, which is replaced.
        about: what the page is told: `title`, `source`, `target`, `lengths`, `examples`.

    Raises:
        FileNotFoundError: LiteRT.js is not there.
        ValueError: `output` holds something else.
        OSError: it cannot be written.
    """
    check_runtime()
    free = not output.exists() or not any(output.iterdir()) or (output / _WORKER).is_file()
    require(free, "output", "new, empty or the folder of a page", str(output))

    with atomic_folder(output, replace=True) as folder:
        shutil.copytree(PAGE, folder, dirs_exist_ok=True)
        shutil.copytree(RUNTIME, folder / "runtime")
        names = _write_model(folder, translator, model)
        text = json.dumps({**about, **names}, ensure_ascii=False, indent=2) + "\n"
        (folder / "model.json").write_text(text, encoding="utf-8")
        _fill_worker(folder)


def _write_model(folder: Path, translator: Translator, model: bytes) -> dict[str, str]:
    """Writes the model and its tokenizers; gives their names, for `model.json`."""
    names = {"model": "model.tflite", "source_tokenizer": "source.model"}
    (folder / names["model"]).write_bytes(model)
    translator.source_tokenizer.save(folder / names["source_tokenizer"])

    source, target = translator.source_tokenizer, translator.target_tokenizer
    if target.content == source.content:
        return {**names, "target_tokenizer": names["source_tokenizer"]}
    target.save(folder / "target.model")
    return {**names, "target_tokenizer": "target.model"}


def _fill_worker(folder: Path) -> None:
    """Names the files that are kept for a page without a network, and this version of them.

    Of the runtimes a browser keeps the one that it takes.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    kept = [name for name in names if name != _WORKER and not name.startswith("runtime/wasm/")]
    version = _sum_of(files)

    worker = folder / _WORKER
    text = worker.read_text(encoding="utf-8")
    text = text.replace("FILE_NAMES", json.dumps(["./", *kept])).replace("VERSION", version)
    worker.write_text(text, encoding="utf-8")


def _sum_of(files: Sequence[Path]) -> str:
    """Digits that tell the files' content from any other."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
