"""The trained model of a command, and the texts that it is put to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from attention_nmt.stored import ModelChoice


class Texts(TypedDict):
    """Texts as flags give them; None where one is not given."""

    dataset: str | None
    source: str | None
    target: str | None
    data_dir: str | None


@dataclass(frozen=True, kw_only=True)
class TextsChoice(ModelChoice):
    """A model and its texts; each command on a model's texts has this record's flags.

    Attributes:
        dataset: a TFDS name or a folder of `LANG.SPLIT.txt` files; without it the model's.
        source: the language to translate from, as the dataset calls it; without it the model's.
        target: the language to translate to; without it the model's.
        data_dir: where TFDS keeps prepared datasets; without it the model's.
    """

    dataset: str | None = None
    source: str | None = None
    target: str | None = None
    data_dir: str | None = None

    @property
    def texts(self) -> Texts:
        """What is given of them."""
        return Texts(
            dataset=self.dataset,
            source=self.source,
            target=self.target,
            data_dir=self.data_dir,
        )
