"""The layout of a run folder, to which a training writes and which all that comes later reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attention_nmt.config import ModelConfig, SearchChanges, SearchConfig, from_dict
from attention_nmt.files import TOKENIZER_BYTES, file_sum, read_bounded, read_record
from attention_nmt.text_files import read_lines

if TYPE_CHECKING:
    import keras

    from attention_nmt.data.source_tokenizer import SourceTokenizer
    from attention_nmt.data.tokenizer import Tokenizer

T = TypeVar("T")

Sums = Mapping[str, str]
"""SHA-256 of files, in hexadecimal digits, by their names."""


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
        """The weights with the highest dev BLEU, as a Keras file, with the tokenizers' sums."""
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
    def samples_file(self) -> Path:
        """A few source sentences of the dev split, one a line."""
        return self.path / "samples.txt"

    @property
    def samples(self) -> list[str]:
        """A few source sentences, on which exports are checked; or none."""
        if not self.samples_file.is_file():
            return []
        return [line for line in read_lines(self.samples_file) if line.strip()]

    @property
    def logs(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "logs"

    @property
    def names(self) -> list[str]:
        """The names of all files that a training writes."""
        files = (
            self.config,
            self.data,
            self.source_tokenizer,
            self.target_tokenizer,
            self.best,
            self.best_score,
            self.checkpoint,
            self.recording,
            self.samples_file,
        )
        return [path.name for path in files]

    def tokenizer_sums(self) -> dict[str, str]:
        """SHA-256 of the tokenizers' files by their names."""
        paths = (self.source_tokenizer, self.target_tokenizer)
        return {path.name: file_sum(path) for path in paths if path.is_file()}

    def check_tokenizers(self, sums: Any, made_with: Path) -> None:
        """Checks that the tokenizers are those that a file was made with.

        Args:
            sums: theirs, as `tokenizer_sums` gave them; None or empty where the file is older than
                such sums, and is taken to be of these tokenizers.
            made_with: the file, for the message.

        Raises:
            ValueError: one is another, or is missing, or these are no sums.
        """
        if not sums:
            return
        if not isinstance(sums, dict) or not all(isinstance(one, str) for one in sums.values()):
            raise ValueError(f"{made_with}: expected sums of tokenizers. Received: {sums!r}.")

        here = self.tokenizer_sums()
        for name in sorted({*sums, *here}):
            expected = _described(sums.get(name))
            found = _described(here.get(name))
            if found != expected:
                made = f"with which {made_with.name} was made"
                raise ValueError(
                    f"{self.path / name}: expected {expected}, {made}. Received: {found}."
                )

    def load_tokenizers(self) -> tuple[SourceTokenizer, Tokenizer]:
        """The tokenizers of source and target; the same one twice where the vocabulary is shared.

        Raises:
            FileNotFoundError: the folder holds none.
            ImportError: a pretrained encoder's needs KerasHub, which is not installed.
            ValueError: a file is no tokenizer.
        """
        source = _load_tokenizer(self.source_tokenizer)
        if self.shares_vocabulary:
            return source, target_tokenizer(source, self.source_tokenizer)
        target = _load_tokenizer(self.target_tokenizer)
        return source, target_tokenizer(target, self.target_tokenizer)

    @property
    def weights(self) -> Path:
        """The best weights, by which the run is told from others."""
        return self.best

    @property
    def corpus(self) -> dict[str, Any]:
        """What it was trained on: the dataset, the languages, and where TFDS keeps it."""
        config = self.read_config()
        names = ("dataset", "source", "target", "data_dir")
        return {name: config[name] for name in names if name in config}

    @property
    def evaluations(self) -> Path:
        """The folder of evaluations."""
        return self.path / "evaluation"

    def about(self) -> dict[str, Any]:
        """The facts of the run for the card of an export.

        Raises:
            FileNotFoundError: the folder holds no `config.json`.
            ValueError: a file holds no JSON record.
        """
        score = read_record(self.best_score) if self.best_score.is_file() else {}
        return {"training": self.read_config(), **score}

    def load_model(self) -> keras.Model:
        """The model of the best weights, without an optimizer.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the file is damaged or a weight is not finite, see `archives.load_model`; or
                the run's tokenizers are others than those that the model was trained with.
        """
        from attention_nmt.archives import load_model, read_note

        if not self.best.is_file():
            message = (
                f"{self.path} has no {self.best.name}: its training has not been evaluated yet."
            )
            raise FileNotFoundError(message)

        self.check_tokenizers(read_note(self.best).get("tokenizers"), self.best)
        return load_model(self.best)

    def load_shortlist(self) -> None:
        """A training makes none; see the command `shortlist`."""
        return

    def read_config(self) -> dict[str, Any]:
        """The fields of `config.json` as they are; `training.folder.read_config` gives their type.

        Raises:
            FileNotFoundError: the folder holds no `config.json`.
            ValueError: the file holds no JSON record.
        """
        if not self.config.is_file():
            raise FileNotFoundError(f"{self.path} is not a run folder: it has no config.json.")
        return read_record(self.config)

    @property
    def shares_vocabulary(self) -> bool:
        """Whether it has one tokenizer for both languages."""
        return not self.target_tokenizer.is_file()

    def read_model_config(self) -> ModelConfig:
        """The sizes and options of its model.

        Raises:
            FileNotFoundError: the folder holds no `config.json`.
            ValueError: it has no model, or a value of another type or outside its range.
        """
        return self.parse(ModelConfig, self.read_config().get("model"), "model")

    def read_search(self, changes: SearchChanges | None = None, **fixed: Any) -> SearchConfig:
        """The run's search, with changes put over it.

        Args:
            changes: what a user asks for.
            **fixed: what a command asks for in any case; a change comes before it.

        Raises:
            FileNotFoundError: the folder holds no `config.json`.
            ValueError: it has no search, or a value of another type or outside its range.
        """
        search = self.parse(SearchConfig, self.read_config().get("search"), "search")
        return (changes or SearchChanges()).apply(search, **fixed)

    def parse(self, cls: type[T], values: Any, name: str = "config") -> T:
        """`from_dict` of what `config.json` holds, whose message names the file.

        Raises:
            ValueError: a field that `cls` does not have, or a value that it refuses.
        """
        try:
            return from_dict(cls, values, name)
        except ValueError as error:
            raise ValueError(f"{self.config}: {error}") from error


def is_run_folder(path: Path) -> bool:
    """Whether a folder holds what a training writes, by what its config says."""
    config = path / "config.json"
    return config.is_file() and "search" in read_record(config)


def _described(digits: str | None) -> str:
    """A file by its sum, for a message."""
    return "no such file" if digits is None else f"a file of SHA-256 {digits[:16]}..."


def target_tokenizer(tokenizer: SourceTokenizer, path: Path) -> Tokenizer:
    """A tokenizer that is to be that of a target.

    Raises:
        ValueError: it is KerasHub's; the message names its file.
    """
    from attention_nmt.data.tokenizer import Tokenizer

    if not isinstance(tokenizer, Tokenizer):
        received = type(tokenizer).__name__
        raise ValueError(f"{path}: expected a SentencePiece model. Received: a {received}.")
    return tokenizer


def _load_tokenizer(path: Path) -> SourceTokenizer:
    from attention_nmt.data.source_tokenizer import read_source_tokenizer

    content = read_bounded(path, TOKENIZER_BYTES)
    try:
        return read_source_tokenizer(content)
    except ValueError as error:
        raise ValueError(f"{path}: expected a whole tokenizer. {error}") from error
