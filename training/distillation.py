"""Distilled corpora: sources, and what a teacher makes of them.

Source: Kim and Rush (2016), arXiv 1606.07947, section 3.2.
"""

from __future__ import annotations

import shutil

from attention_nmt.checks import require
from attention_nmt.files import one_line
from attention_nmt.text_files import read_lines

from .distill import DistillConfig
from .machine_translations import translations
from .model_texts import mixture_to_translate
from .new_corpus import (
    Pair,
    Split,
    add_new,
    check_empty,
    check_writable,
    parts_folder,
    read_pairs,
    write_folder,
)


def distill(config: DistillConfig) -> None:
    """Writes the corpus with the teacher's translations of its sources, each source once.

    What a command that was stopped had translated is kept in a hidden folder beside `output`, and
    the next one goes on with it.

    Raises:
        ValueError: `output` holds something, the data is at fault or of another direction than the
            teacher's, or no translation is whole.
        FileNotFoundError: a file of the teacher or of texts is missing.
        OSError: `output` cannot be written.
    """
    check_empty(config.output)
    output = config.output.resolve()
    teacher = config.open()
    mixture = mixture_to_translate(teacher, config.texts)

    corpus = mixture.first
    dev_split = config.dev_split or corpus.dev_split()
    dev = Split(dev_split, read_pairs(corpus, dev_split))
    pairs = [pair for part in mixture.parts for pair in read_pairs(part.corpus, config.train_split)]
    more = [one_line(line) for path in config.more_sources for line in read_lines(path)]
    sources = list(dict.fromkeys([*(source for source, _ in pairs), *more]))
    check_writable(output)

    print(f"{len(pairs)} pairs and {len(more)} texts, {len(sources)} sources", flush=True)
    parts = parts_folder(output)
    translated = translations(teacher, sources, parts, config.search)
    made: dict[Pair, None] = {}
    count = add_new(made, zip(sources, translated, strict=True))
    print(f"{count} translations that are whole and not empty", flush=True)
    require(count > 0, "model", "one that translates these texts", str(teacher.path))

    write_folder(output, corpus.languages, Split(config.train_split, list(made)), dev)
    shutil.rmtree(parts, ignore_errors=True)
