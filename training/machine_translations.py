"""Translations of a corpus by a trained model, kept as they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from attention_nmt.config import SearchChanges, SearchConfig, to_json
from attention_nmt.files import file_sum, one_line
from attention_nmt.stored import StoredModel
from attention_nmt.text_files import read_lines
from attention_nmt.translation.results import Translation
from attention_nmt.translation.translator import Translator

from .new_corpus import write_lines

KEPT = "with an end"
"""Which translations are kept. It changes with `_is_whole`: those of another rule are not read."""

CHUNK = 10_000
"""The number of texts after which translations are kept, and a line says how far it is."""


def translations(
    stored: StoredModel,
    texts: Sequence[str],
    parts: Path,
    changes: SearchChanges | None = None,
) -> Iterator[str]:
    """A model's translations of texts, the likeliest ones, of all its pieces.

    That of a text that is too long for the search is empty. So is one without an end, of a model
    that repeats itself up to the highest length, and one that files of text cannot hold: a model
    that spells bytes may write a NUL.

    Args:
        stored: the trained model.
        texts: what to translate.
        parts: the folder in which translations are kept, and where those of the same model and
            texts are looked for before.
        changes: of the model's search.
    """
    search = stored.read_search(changes, n_best=1, temperature=0.0)
    task = _task(stored, search, texts)
    translator = None

    for begin in range(0, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        part = parts / f"{task}.{begin}.{len(chunk)}.txt"
        if not part.is_file():
            translator = translator or _load(stored, search)
            write_lines(part, _translated(translator, chunk))

        yield from read_lines(part)
        print(f"{stored.path}: {begin + len(chunk)} of {len(texts)}", flush=True)


def _task(stored: StoredModel, search: SearchConfig, texts: Sequence[str]) -> str:
    """Tells translations by these weights and this search of these texts from any others."""
    about = [KEPT, file_sum(stored.weights), to_json(search), *texts]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _load(stored: StoredModel, search: SearchConfig) -> Translator:
    source_tokenizer, target_tokenizer = stored.load_tokenizers()
    return Translator(stored.load_model(), source_tokenizer, search, target_tokenizer).frozen()


def _translated(translator: Translator, texts: Sequence[str]) -> list[str]:
    found = translator(texts, alignments=False)
    end = translator.target_tokenizer.tokens([translator.target_tokenizer.special.end])
    return [one_line(one.text) if _is_whole(one, end) else "" for one in found]


def _is_whole(one: Translation, end: list[str]) -> bool:
    """Whether all of a text was read, and its translation has an end: others go on and on."""
    return not one.truncated and one.target_tokens[-1:] == end and "\0" not in one.text
