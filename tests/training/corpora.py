"""Small text folders for the tests of training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOUNS = {
    "dog": "chien",
    "cat": "chat",
    "bird": "oiseau",
    "horse": "cheval",
    "fish": "poisson",
    "wolf": "loup",
}
COLOURS = {"black": "noir", "white": "blanc", "green": "vert", "grey": "gris", "blue": "bleu"}
VERBS = {"sees": "voit", "follows": "suit", "likes": "aime", "hears": "entend"}

PAIRS = [
    (
        f"The {c} {n} {v} a {c2} {m}.",
        f"Le {NOUNS[n]} {COLOURS[c]} {VERBS[v]} un {NOUNS[m]} {COLOURS[c2]}.",
    )
    for n in NOUNS
    for m in NOUNS
    for c, c2 in (("black", "white"), ("green", "blue"), ("grey", "black"))
    for v in VERBS
]

TINY_MODEL = [
    "--vocabulary-size=310",
    "--embedding-size=12",
    "--encoder-units=10",
    "--decoder-units=16",
    "--attention-units=8",
    "--readout-units=12",
    "--batch-size=16",
    "--maximum-length=40",
    "--buckets=2",
    "--no-jit-compile",
    "--beam-size=2",
    "--dev-sentences=8",
]
"""Flags of a training that takes seconds."""


def write_folder(folder: Path, pairs: list[tuple[str, str]] | None = None) -> Path:
    """Writes `en.SPLIT.txt` and `fr.SPLIT.txt` for train, val and test."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = PAIRS if pairs is None else pairs
    splits = {"train": pairs[:-20], "val": pairs[-20:-10], "test": pairs[-10:]}
    for split, chosen in splits.items():
        for side, language in enumerate(("en", "fr")):
            text = "".join(pair[side] + "\n" for pair in chosen)
            (folder / f"{language}.{split}.txt").write_text(text, encoding="utf-8")
    return folder


def command(module: str, *arguments: str | Path) -> list[str]:
    """The command line of one of the project's modules."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def run(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs one of the project's command lines to its end."""
    return subprocess.run(
        command(module, *arguments), capture_output=True, text=True, timeout=280, check=False
    )
