"""Translations of texts as people type them: the command `typed`.

Fifty made-up sentences in English, German, French and Spanish, each with a name that no variation
of training pairs has, and with a number; in capitals, without the last stop, with typographic
quotes.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.data.capitals import capitals
from attention_nmt.files import atomic_write
from attention_nmt.stored import ModelChoice

from ..variations import QUOTES, typographic, without_stop

SENTENCES = Path(__file__).parent / "typed.tsv"
"""The sentences, a language a column."""


@dataclass(frozen=True, kw_only=True)
class TypedConfig(ModelChoice):
    """Scores translations of fifty made-up sentences, each typed in several ways.

    Attributes:
        source: the language to translate from, en, de, fr or es; as the model says by default.
        target: the language to translate to.
        output: a file to write the scores to, as JSON.
    """

    source: str | None = None
    target: str | None = None
    output: Path | None = None


class Typed(NamedTuple):
    """Sentences typed in one way, and what is to come of them."""

    sources: list[str]
    references: list[str]


def read_sentences(source: str, target: str) -> list[tuple[str, str]]:
    """The made-up pairs.

    Raises:
        ValueError: there are none in one of the languages.
    """
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for name, language in (("source", source), ("target", target)):
        require(language in rows[0], name, f"one of {list(rows[0])}", language)
    return [(row[source], row[target]) for row in rows]


def ways(source: str, target: str) -> dict[str, Typed]:
    """The pairs, typed in each way.

    Raises:
        ValueError: there are none in one of the languages.
    """
    pairs = read_sentences(source, target)
    quotes = QUOTES[source]
    change: dict[str, Callable[[str, str], tuple[str, str]]] = {
        "plain": lambda one, other: (one, other),
        "capitals": lambda one, other: (capitals(one), capitals(other)),
        "no stop": lambda one, other: without_stop((one, other)),
        "quotes": lambda one, other: (typographic(one, quotes), other),
    }
    found = {}
    for name, typed in change.items():
        sides = [typed(*pair) for pair in pairs]
        found[name] = Typed([one for one, _ in sides], [other for _, other in sides])
    return found


def kept(translations: Sequence[str], wanted: Sequence[str]) -> float:
    """The share of translations, in percent, that hold what is wanted of each."""
    held = [one in text for one, text in zip(wanted, translations, strict=True)]
    return 100 * sum(held) / len(held)


def measure(config: TypedConfig) -> dict[str, Any]:
    """BLEU of each way of typing, and how many names and numbers a plain one keeps.

    Raises:
        FileNotFoundError: a file of the model is missing.
        ValueError: the model is at fault, or there are no sentences in its languages.
    """
    from attention_nmt.translation.translator import Translator

    from ..scoring.metrics import corpus_bleu

    stored = config.open()
    corpus = stored.corpus
    source: Any = config.source or corpus.get("source")
    target: Any = config.target or corpus.get("target")
    typed = ways(source, target)
    translator = Translator.from_stored(stored)

    scores: dict[str, Any] = {}
    translations = {}
    for name, texts in typed.items():
        translations[name] = [found.text for found in translator(texts.sources, alignments=False)]
        bleu = corpus_bleu(translations[name], texts.references, target)
        scores[name] = round(bleu.value, 2)

    numbers = [re.findall(r"\d+", other)[0] for _, other in read_sentences("en", target)]
    return {
        "source": source,
        "target": target,
        "bleu": scores,
        "names": kept(translations["plain"], names()),
        "numbers": kept(translations["plain"], numbers),
        "signature": bleu.signature,
        "translations": translations,
    }


def names() -> list[str]:
    """The name in each sentence, spelled alike in all languages."""
    return [_name(*pair) for pair in read_sentences("en", "de")]


def _name(english: str, german: str) -> str:
    """The longest word with a capital that both sides have."""
    words = (word.removesuffix("'s").strip('.,:?!"') for word in english.split())
    return max((word for word in words if word[:1].isupper() and word in german), key=len)


def run(config: TypedConfig) -> None:
    """Measures, prints a table and writes the scores."""
    found = measure(config)
    print(table(found))
    if config.output is not None:
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        with atomic_write(config.output) as temporary:
            temporary.write_text(text, encoding="utf-8")


def table(found: dict[str, Any]) -> str:
    """The scores in Markdown."""
    head = [f"BLEU, {found['source']} to {found['target']}", *found["bleu"]]
    values = [f"{value:.2f}" for value in found["bleu"].values()]
    shares = [f"{found[name]:.0f} %" for name in ("names", "numbers")]
    rows = [[*head, "names", "numbers"], ["---"] * (len(head) + 2), ["", *values, *shares]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        TypedConfig,
        run,
        arguments,
        prog="attention-nmt typed",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
