"""The corpus of which a command makes a new one, drawing something of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data import Corpus
    from .new_corpus import Split


@dataclass(frozen=True, kw_only=True)
class CorpusChoice:
    """A corpus, and where the new one goes; commands that need no model have this record's flags.

    Attributes:
        dataset: a TFDS name, or a folder of `LANG.SPLIT.txt` files.
        source: the language to translate from, as the dataset calls it.
        target: the language to translate to.
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.
        data_dir: where TFDS keeps prepared datasets.
        train_split: the name of the split of which more is made.
        dev_split: the name of the dev split; without one, the split with the name of one.
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

    def read(self) -> tuple[Corpus, Split, Split]:
        """The corpus, and its pairs to train on and of the dev split.

        Raises:
            ValueError: `output` holds something, or the data is at fault.
        """
        from .data import Corpus
        from .new_corpus import Split, check_empty, read_pairs

        check_empty(self.output)
        corpus = Corpus(self.dataset, self.source, self.target, self.data_dir)
        names = self.train_split, self.dev_split or corpus.dev_split()
        train, dev = (Split(name, read_pairs(corpus, name)) for name in names)
        return corpus, train, dev
