"""A corpus and variations of its pairs, as a new corpus: the command `vary`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attention_nmt.command import run_command


@dataclass(frozen=True, kw_only=True)
class VaryConfig:
    """Writes a corpus with variations of its training pairs behind it, as people type them.

    Some pairs come again without their last stop, with typographic quotes, with other numbers and
    with other first names.

    Attributes:
        dataset: a TFDS name, or a folder of `LANG.SPLIT.txt` files.
        source: the language to translate from, whose quotes are varied.
        target: the language to translate to.
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.
        data_dir: where TFDS keeps prepared datasets.
        train_split: the name of the split to vary.
        dev_split: the name of the split that is written as it is; without one, the split with the
            name of one.
        seed: of what is drawn.
    """

    dataset: str
    source: str
    target: str
    output: Path
    data_dir: str | None = None
    train_split: str = "train"
    dev_split: str | None = None
    seed: int = 1


def vary(config: VaryConfig) -> None:
    """Writes the corpus.

    Raises:
        ValueError: `output` holds something, or the data is at fault.
        OSError: `output` cannot be written.
    """
    from .data import Corpus
    from .new_corpus import Split, add_new, check_empty, read_pairs, write_folder
    from .variations import varied

    check_empty(config.output)
    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    dev_split = config.dev_split or corpus.dev_split()
    dev = Split(dev_split, read_pairs(corpus, dev_split))
    original = read_pairs(corpus, config.train_split)

    known = dict.fromkeys(original)
    distinct = len(known)
    print(f"{len(original)} pairs", flush=True)
    print(f"and {add_new(known, varied(original, config.seed))} variations", flush=True)

    train = Split(config.train_split, [*original, *list(known)[distinct:]])
    write_folder(config.output.resolve(), corpus.languages, train, dev)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        VaryConfig,
        vary,
        arguments,
        prog="attention-nmt vary",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
