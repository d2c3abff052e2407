"""The layout of a run folder, to which a training writes and which all that comes later reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention_nmt.config import SearchChanges, SearchConfig, from_dict


@dataclass(frozen=True)
class RunFolder:
    """A run folder: all that comes after a training reads it alone.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """All settings of the run, as JSON."""
        return self.path / "config.json"

    @property
    def data(self) -> Path:
        """Fingerprints of the texts that it was trained and evaluated on, as JSON."""
        return self.path / "data.json"

    @property
    def source_tokenizer(self) -> Path:
        """The tokenizer of the source language; the only one where the vocabulary is shared."""
        return self.path / "tokenizer.model"

    @property
    def target_tokenizer(self) -> Path:
        """The tokenizer of the target language, where it has one of its own."""
        return self.path / "tokenizer.target.model"

    @property
    def best(self) -> Path:
        """The weights with the highest dev BLEU, as a Keras file."""
        return self.path / "best.keras"

    @property
    def best_score(self) -> Path:
        """Their step, their dev BLEU, and the number of sentences it was computed on, as JSON."""
        return self.path / "best.json"

    @property
    def checkpoint(self) -> Path:
        """All that a stopped training needs to go on."""
        return self.path / "checkpoint.npz"

    @property
    def recording(self) -> Path:
        """The batches of a training that is done on a machine without TensorFlow."""
        return self.path / "recording.npz"

    @property
    def samples(self) -> Path:
        """A few source sentences of the dev split, one a line, on which exports are checked."""
        return self.path / "samples.txt"

    @property
    def logs(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "logs"

    def read_config(self) -> dict[str, Any]:
        """The fields of `config.json` as they are; `training.folder.read_config` gives their type.

        Raises:
            FileNotFoundError: the folder holds no `config.json`.
            ValueError: the file is no JSON.
        """
        if not self.config.is_file():
            raise FileNotFoundError(f"{self.path} is not a run folder: it has no config.json.")

        try:
            return json.loads(self.config.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.config}: expected JSON. Received: {error}.") from error

    def read_search(self, changes: SearchChanges | None = None, **fixed: Any) -> SearchConfig:
        """The run's search, with changes put over it.

        Args:
            changes: what a user asks for.
            **fixed: what a command asks for in any case; a change comes before it.

        Raises:
            FileNotFoundError: the folder holds no `config.json`.
            ValueError: a value outside its range.
        """
        search = from_dict(SearchConfig, self.read_config()["search"], "search")
        return (changes or SearchChanges()).apply(search, **fixed)
