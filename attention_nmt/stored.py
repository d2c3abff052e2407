"""Trained models where they are: bundled, in a folder, in a run folder, on a hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attention_nmt.checks import require
from attention_nmt.config import ModelConfig, SearchChanges, SearchConfig
from attention_nmt.hub import SCHEMES, download
from attention_nmt.model_folder import ModelFolder, is_model_folder
from attention_nmt.run_folder import RunFolder, is_run_folder

if TYPE_CHECKING:
    import keras

    from attention_nmt.data.source_tokenizer import SourceTokenizer
    from attention_nmt.data.tokenizer import Tokenizer
    from attention_nmt.search.shortlist import Shortlist

PRETRAINED = Path(__file__).parent / "pretrained"
"""The folder of bundled models."""


class StoredModel(Protocol):
    """A trained model on a disk; what comes after a training knows this, and no kind of folder."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def weights(self) -> Path:
        """The file of its weights, by which it is told from others."""

    @property
    def corpus(self) -> dict[str, Any]:
        """What it can be evaluated on, as far as it knows: `source`, `target`, `dataset`, ..."""

    @property
    def evaluations(self) -> Path | None:
        """The folder for evaluations of it; None where they have no place with it."""

    @property
    def samples(self) -> list[str]:
        """A few source sentences, on which exports are checked; or none."""

    def about(self) -> dict[str, Any]:
        """The facts for the card of an export."""

    @property
    def shares_vocabulary(self) -> bool:
        """Whether it has one tokenizer for both languages."""

    def read_model_config(self) -> ModelConfig:
        """The sizes and options of its model, a `Seq2Seq`."""

    def load_model(self) -> keras.Model:
        """The model, without an optimizer."""

    def load_tokenizers(self) -> tuple[SourceTokenizer, Tokenizer]:
        """The tokenizers of source and target; the same one twice where they share one."""

    def load_shortlist(self) -> Shortlist | None:
        """The pieces that its translations may have; None if they may have all."""

    def read_search(self, changes: SearchChanges | None = None, **fixed: Any) -> SearchConfig:
        """Its search, with changes put over what is fixed."""


def open_model(name: str | Path) -> StoredModel:
    """Finds a trained model; its files are read later.

    Args:
        name: a bundled model's name; a folder, of `Translator.save` or of a training; or one on a
            hub, `hf://OWNER/NAME` or `kaggle://OWNER/MODEL/keras/NAME`, which is downloaded once.

    Raises:
        FileNotFoundError: there is no such model, or the folder holds none but an exported one.
        ValueError: the folder's config is of something else.
        OSError: the hub cannot be reached.
    """
    on_hub = isinstance(name, str) and name.startswith(SCHEMES)
    folder = download(str(name)) if on_hub else _local_folder(name)

    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} {_strangeness(folder)}")
    if is_model_folder(folder):
        return ModelFolder(folder)
    if is_run_folder(folder):
        return RunFolder(folder)
    expected = "expected the settings of a run, or the class of a model"
    raise ValueError(f"{folder / 'config.json'}: {expected}. Received: neither.")


def _local_folder(name: str | Path) -> Path:
    """A folder by its path, or a bundled model's by its name.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = Path(name)
    if not folder.exists() and str(name) in bundled():
        folder = PRETRAINED / name
    if not folder.is_dir():
        known = ", ".join(bundled()) or "none"
        expected = f"a folder, a name on a hub or a bundled model ({known})"
        raise FileNotFoundError(f"`model` must be {expected}. Received: {str(name)!r}.")
    return folder


def bundled() -> list[str]:
    """The names of the bundled models."""
    if not PRETRAINED.is_dir():
        return []
    return sorted(path.name for path in PRETRAINED.iterdir() if is_model_folder(path))


def _strangeness(folder: Path) -> str:
    """Says why a folder without a config is not taken."""
    if any(folder.glob("saved_model.pb")) or any(folder.glob("*/saved_model.pb")):
        return "is an export, which servers take; give what it was exported from."
    return "is not a run folder or a model's: it has no config.json."


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """The trained model of a command; each command has this record's flags.

    Attributes:
        model: a trained model: a bundled one by its name, a folder that `Translator.save` wrote, a
            run folder, or one on a hub, hf://OWNER/NAME or kaggle://OWNER/MODEL/keras/NAME.
        run_dir: a trained run folder; an older spelling of `model`.

    Raises:
        ValueError: there is none, or both are given.
    """

    model: str | None = None
    run_dir: Path | None = None

    def __post_init__(self) -> None:
        expected = "given, by itself or by its older spelling `run_dir`"
        require(len(self.chosen) == 1, "model", expected, [str(one) for one in self.chosen])

    @property
    def chosen(self) -> list[str | Path]:
        """What is given of the two."""
        return [one for one in (self.model, self.run_dir) if one is not None]

    def open(self) -> StoredModel:
        """Finds the model; see `open_model`."""
        return open_model(self.chosen[0])
