"""A corpus of texts with gaps, and of the texts themselves: the command `mask`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.command import run_command

MASKED = "masked"
"""What takes the place of the language of the texts with gaps."""


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """Writes a corpus's sources with gaps, and whole, to train a model on that invents such texts.

    Of each text 30 to 80 % of the words are left out; words that follow one another are one gap.
    The folder's languages are `masked` and the source's.

    Attributes:
        dataset: a TFDS name, or a folder of `LANG.SPLIT.txt` files.
        source: the language whose texts get gaps.
        target: the corpus's other language.
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.
        data_dir: where TFDS keeps prepared datasets.
        train_split: the name of the split to train on, each text of it once.
        dev_split: the name of the dev split; without one, the split with the name of one.
        copies: how often each training text comes, each time with other gaps.
        seed: of what is drawn.

    Raises:
        ValueError: a number of copies below 1.
    """

    dataset: str
    source: str
    target: str
    output: Path
    data_dir: str | None = None
    train_split: str = "train"
    dev_split: str | None = None
    copies: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        require(self.copies >= 1, "copies", "at least 1", self.copies)


def mask(config: MaskConfig) -> None:
    """Writes the corpus.

    Raises:
        ValueError: `output` holds something, or the data is at fault.
        OSError: `output` cannot be written.
    """
    from .data import Corpus
    from .gaps import gapped
    from .new_corpus import Split, check_empty, read_pairs, write_folder

    check_empty(config.output)
    corpus = Corpus(config.dataset, config.source, config.target, config.data_dir)
    dev_split = config.dev_split or corpus.dev_split()

    # A text that several pairs share, as of a corpus of `diversify`, comes once.
    train = dict.fromkeys(source for source, _ in read_pairs(corpus, config.train_split))
    dev = [source for source, _ in read_pairs(corpus, dev_split)]
    pairs = list(gapped(train, config.copies, config.seed))
    print(f"{len(train)} texts, {len(pairs)} pairs", flush=True)

    write_folder(
        config.output.resolve(),
        (MASKED, config.source),
        Split(config.train_split, pairs),
        Split(dev_split, list(gapped(dev, 1, config.seed))),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        MaskConfig,
        mask,
        arguments,
        prog="attention-nmt mask",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
