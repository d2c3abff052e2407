"""Writes a trained model as a folder to share: the command `save`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.model_folder import ModelCard
from attention_nmt.stored import ModelChoice, StoredModel, open_model
from attention_nmt.text_files import read_lines
from attention_nmt.weights import Storage

from .runtime import check_backend, tensorflow_runtime


@dataclass(frozen=True, kw_only=True)
class SaveConfig(ModelChoice):
    """Writes a trained model as one folder to share, with weights, tokenizers, search and card.

    `--model` takes the folder wherever it takes a run.

    Attributes:
        output: the folder to write: new, empty, or one of a model, which is replaced.
        together_with: further trained models of the same tokenizers, as `model` takes them: the
            folder's model is all of them, and the probability of a piece the mean of theirs. Search
            and shortlist are those of `model`.
        storage: `int8` and `float16` make a smaller folder of nearly the same numbers.
        title: of the card; without it the languages.
        license: of the weights, by the name that hubs have for it, such as cc-by-2.0.
        text: a Markdown file for the card: what the model was trained on, whose work that is, and
            how good it is.
        shortlist: a file of `attention-nmt shortlist`: the pieces that translations may have, which
            makes them faster; without it as the model has it.
        search: changes of the model's search.

    Raises:
        ValueError: no model is given.
    """

    output: Path
    together_with: tuple[str, ...] = ()
    storage: Storage = "float32"
    title: str | None = None
    license: str | None = None
    text: Path | None = None
    shortlist: Path | None = None
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)


def run(config: SaveConfig) -> None:
    """Writes the folder, and prints its size.

    Raises:
        OSError: the model's folder is not complete, or a file cannot be read or written.
        ValueError: the backend is not TensorFlow, a setting of the search is outside its range, the
            output holds something else, a weight is not finite, or a model is of other languages or
            tokenizers than the first.
    """
    check_backend("save")
    stored = config.open()
    search = stored.read_search(config.search)
    card = _card(config, stored)
    others = [open_model(name) for name in config.together_with]
    for name, other in zip(config.together_with, others, strict=True):
        _check_fits(name, other, stored)

    with tensorflow_runtime():
        from attention_nmt.search.shortlist import Shortlist
        from attention_nmt.translation.translator import Translator

        given = None if config.shortlist is None else Shortlist.load(config.shortlist)
        translator = Translator.from_stored(stored, search, shortlist=given)
        if others:
            members = [translator, *map(Translator.from_stored, others)]
            translator = Translator.together(members, shortlist=translator.shortlist)
        translator.save(config.output, card=card, storage=config.storage, samples=stored.samples)

    size = sum(path.stat().st_size for path in config.output.rglob("*") if path.is_file())
    print(f"{config.output}: {size / 1e6:.1f} MB")


def _check_fits(name: str, other: StoredModel, first: StoredModel) -> None:
    """Makes sure, before weights are read, that two models can translate together.

    Raises:
        ValueError: they are not of the same languages, as far as those are known, or tokenizers.
        OSError: a tokenizer cannot be read.
    """
    for side in ("source", "target"):
        languages = [one.corpus.get(side) for one in (first, other)]
        same = None in languages or languages[0] == languages[1]
        expected = f"models whose {side} is {languages[0]!r}, as the first one's"
        require(same, "together_with", expected, f"{name}, {languages[1]!r}")

    pairs = zip(first.load_tokenizers(), other.load_tokenizers(), strict=True)
    for side, (of_first, of_other) in zip(("source", "target"), pairs, strict=True):
        same = of_first.content == of_other.content
        expected = f"models of the first one's {side} tokenizer"
        require(same, "together_with", expected, f"{name}, which has another")


def _card(config: SaveConfig, stored: StoredModel) -> ModelCard:
    """The card of the flags, with what the model knows of its languages."""
    source = stored.corpus.get("source")
    target = stored.corpus.get("target")
    lines = read_lines(config.text) if config.text else []
    text = "".join(f"{line}\n" for line in lines)
    card = ModelCard(source=source, target=target, license=config.license, text=text)

    title = config.title
    if title is None and source and target:
        title = f"Translation from {source} to {target}"
    return card if title is None else replace(card, title=title)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(SaveConfig, run, arguments, prog="attention-nmt save")


if __name__ == "__main__":
    sys.exit(main())
