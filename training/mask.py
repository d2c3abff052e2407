"""A corpus of texts with gaps, and of the texts themselves: the command `mask`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from attention_nmt.checks import require
from attention_nmt.command import run_command

from .corpus_choice import CorpusChoice

MASKED = "masked"
"""What takes the place of the language of the texts with gaps."""


@dataclass(frozen=True, kw_only=True)
class MaskConfig(CorpusChoice):
    """Writes a corpus's sources with gaps, and whole, to train a model on that invents such texts.

    A word is left out by a chance that is drawn for each text, from 0.3 to 0.8, and at least one
    word is. Words that follow one another are one gap. Words are what stands between spaces: a text
    of a language without them is left out whole. The folder's languages are `masked` and the
    source's.

    Attributes:
        copies: how often each training text comes, each time with other gaps. A text that several
            pairs share counts once.

    Raises:
        ValueError: a number of copies below 1, or the source is what `mask` has written.
    """

    copies: int = 1

    def __post_init__(self) -> None:
        require(self.copies >= 1, "copies", "at least 1", self.copies)
        whole = self.source != MASKED
        require(whole, "source", "a language, whose texts have no gaps yet", self.source)


def mask(config: MaskConfig) -> None:
    """Writes the corpus.

    Raises:
        ValueError: `output` holds something, or the data is at fault.
        OSError: `output` cannot be written.
    """
    from .gaps import gapped
    from .new_corpus import write_folder

    _, train, dev = config.read()
    texts = dict.fromkeys(source for source, _ in train.pairs)
    pairs = list(gapped(texts, config.copies, config.seed))
    print(f"{len(texts)} texts, {len(pairs)} pairs", flush=True)

    of_dev = list(gapped((source for source, _ in dev.pairs), 1, config.seed))
    write_folder(
        config.output.resolve(),
        (MASKED, config.source),
        train._replace(pairs=pairs),
        dev._replace(pairs=of_dev),
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
