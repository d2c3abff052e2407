"""Distilled corpora: sources, and what a teacher makes of them.

Source: Kim and Rush (2016), arXiv 1606.07947, section 3.2.
"""

from __future__ import annotations

import shutil

from .data import Corpus
from .distill import DistillConfig
from .machine_translations import translations
from .new_corpus import (
    Pair,
    add_new,
    check_output,
    dev_name,
    file_name,
    parts_folder,
    read_pairs,
    write_folder,
)


def distill(config: DistillConfig) -> None:
    """Writes the corpus with the teacher's translations of its sources, each source once.

    What a command that was stopped had translated is kept in a hidden folder beside `output`, and
    the next one goes on with it.

    Raises:
        ValueError: `output` holds something, or the data is at fault.
        FileNotFoundError: a file of the teacher is missing.
        OSError: `output` cannot be written.
    """
    output = config.output.resolve()
    teacher = config.open()
    corpus = Corpus.of_model(
        teacher,
        dataset=config.dataset,
        source=config.source,
        target=config.target,
        data_dir=config.data_dir,
    )

    dev_split = config.dev_split or corpus.dev_split()
    dev_pairs = read_pairs(corpus, dev_split)
    original = read_pairs(corpus, config.train_split)
    sources = list(dict.fromkeys(source for source, _ in original))
    check_output(output)

    print(f"{len(original)} pairs of {len(sources)} sources", flush=True)
    parts = parts_folder(output)
    pairs: dict[Pair, None] = {}
    made = add_new(pairs, zip(sources, translations(teacher, sources, parts), strict=True))
    print(f"{made} translations that are whole and not empty", flush=True)

    splits = {
        dev_name(dev_split, config.train_split): dev_pairs,
        file_name(config.train_split): list(pairs),
    }
    write_folder(output, corpus, splits)
    shutil.rmtree(parts, ignore_errors=True)
