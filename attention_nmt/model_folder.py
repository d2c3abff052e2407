"""A folder with a translator to share: model, weights, tokenizers, search and card.

Its files have the names that they have in KerasHub's presets.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attention_nmt
from attention_nmt.archives import check_finite, least_weights, whole
from attention_nmt.checks import require
from attention_nmt.config import ModelConfig, SearchChanges, SearchConfig, from_dict
from attention_nmt.files import (
    TOKENIZER_BYTES,
    atomic_folder,
    file_sum,
    read_bounded,
    read_record,
)
from attention_nmt.run_folder import target_tokenizer
from attention_nmt.weights import Storage, read_weights, write_weights

if TYPE_CHECKING:
    import keras

    from attention_nmt.data.source_tokenizer import SourceTokenizer
    from attention_nmt.data.tokenizer import Tokenizer
    from attention_nmt.search.shortlist import Shortlist
    from attention_nmt.translation.translator import Translator

T = TypeVar("T")

_MODULES = {
    "Translator": "translation.translator",
    "TranslationGraph": "translation.graph",
    "Tokenizer": "data.tokenizer",
    "HubTokenizer": "data.hub_tokenizer",
}
"""The modules of the classes that records describe, below the package."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What people are told of a model beside what can be seen in it.

    Attributes:
        title: of the card.
        source: the code of the language that it translates from.
        target: the code of the language that it translates to.
        license: of the weights, by the name that hubs have for it, such as `cc-by-2.0`.
        text: what it was trained on, whose work that is, and how good it is, as Markdown.
    """

    title: str = "A translation model with attention"
    source: str | None = None
    target: str | None = None
    license: str | None = None
    text: str = ""


@dataclass(frozen=True)
class ModelFolder:
    """A folder that `Translator.save` wrote; it keeps the contract of `StoredModel`.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The model's class and its arguments, as Keras describes an object in JSON."""
        return self.path / "config.json"

    @property
    def weights(self) -> Path:
        """The weights, as `write_weights` writes them."""
        return self.path / "model.weights.h5"

    @property
    def task(self) -> Path:
        """The search, the card and a few source sentences, as JSON."""
        return self.path / "task.json"

    @property
    def preprocessor(self) -> Path:
        """The records of the tokenizers, as JSON."""
        return self.path / "preprocessor.json"

    @property
    def metadata(self) -> Path:
        """Versions, the number of weights, and SHA-256 of weights, vocabularies and shortlist."""
        return self.path / "metadata.json"

    @property
    def readme(self) -> Path:
        """The card, for people and for hubs."""
        return self.path / "README.md"

    @property
    def shortlist(self) -> Path:
        """The pieces that translations may have, if they may not have all."""
        return self.path / "shortlist.npz"

    def tokenizer(self, name: str) -> Path:
        """The record of a tokenizer, `tokenizer` or `target_tokenizer`, as JSON."""
        return self.path / f"{name}.json"

    def vocabulary(self, name: str) -> Path:
        """Its SentencePiece model, or the file of a `HubTokenizer`, if that is there."""
        folder = self.path / "assets" / name
        of_hub = folder / "tokenizer.zip"
        return of_hub if of_hub.is_file() else folder / "vocabulary.spm"

    @property
    def corpus(self) -> dict[str, Any]:
        """The codes of the languages that it translates from and to, where the card has them."""
        card = self.read_card()
        return {"source": card.source, "target": card.target}

    @property
    def evaluations(self) -> None:
        """Evaluations have no place in the folder."""
        return

    @property
    def samples(self) -> list[str]:
        """A few source sentences, on which exports are checked."""
        found = self._read_task().get("samples", [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise ValueError(f"{self.task}: expected a list of strings. Received: {found!r}.")
        return found

    def about(self) -> dict[str, Any]:
        """The facts for the card of an export."""
        return {"card": asdict(self.read_card()), "metadata": read_record(self.metadata)}

    def load_model(self) -> keras.Model:
        """The model, without an optimizer.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is damaged or of another kind, the model's class is not known, or a
                weight is not finite.
        """
        import keras

        config = read_record(self.config)
        self._check_sum(self.weights)
        # In the fewest bits a weight takes a byte.
        size = self.weights.stat().st_size
        least = least_weights(config)
        if least > size:
            expected = f"expected a model of at most {size:,} weights"
            raise ValueError(f"{self.config}: {expected}. Received: {least:,}.")

        with whole(self.config, "description of a model"):
            model = keras.saving.deserialize_keras_object(config)
            if not isinstance(model, keras.Model):
                raise ValueError(f"a {type(model).__name__}")
        read_weights(model, self.weights)

        check_finite(model, str(self.weights))
        return model

    def load_tokenizers(self) -> tuple[SourceTokenizer, Tokenizer]:
        """The tokenizers of source and target; the same one twice where the vocabulary is shared.

        Raises:
            FileNotFoundError: a file is missing.
            ImportError: a pretrained encoder's needs KerasHub, which is not installed.
            ValueError: a file is damaged, or no tokenizer.
        """
        source = self._load_tokenizer("tokenizer")
        if self.shares_vocabulary:
            return source, target_tokenizer(source, self.vocabulary("tokenizer"))
        target = self._load_tokenizer("target_tokenizer")
        return source, target_tokenizer(target, self.vocabulary("target_tokenizer"))

    def load_shortlist(self) -> Shortlist | None:
        """The pieces that its translations may have; None if they may have all.

        Raises:
            FileNotFoundError: the folder was written with one, which is missing.
            ValueError: the file is damaged, or another one than was written with the folder.
        """
        from attention_nmt.search.shortlist import Shortlist

        sums = read_record(self.metadata).get("sha256") or {}
        if self.shortlist.name not in sums and not self.shortlist.is_file():
            return None
        self._check_sum(self.shortlist)
        return Shortlist.load(self.shortlist)

    @property
    def shares_vocabulary(self) -> bool:
        """Whether it has one tokenizer for both languages."""
        return not self.tokenizer("target_tokenizer").is_file()

    def read_model_config(self) -> ModelConfig:
        """The sizes and options of its model.

        Raises:
            FileNotFoundError: there is no `config.json`.
            ValueError: the model is no `Seq2Seq`, or a value is of another type or outside its
                range.
        """
        described = read_record(self.config)
        kind = described.get("class_name")
        if kind != "Seq2Seq":
            raise ValueError(f"{self.config}: expected a Seq2Seq. Received: {kind!r}.")
        try:
            return from_dict(ModelConfig, described["config"]["config"], "config")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.config}: {error}") from error

    def read_search(self, changes: SearchChanges | None = None, **fixed: Any) -> SearchConfig:
        """The search of the folder, with changes put over it.

        Args:
            changes: what a user asks for.
            **fixed: what a command asks for in any case; a change comes before it.

        Raises:
            FileNotFoundError: there is no `task.json`.
            ValueError: it has no search, or a value of another type or outside its range.
        """
        search = self._parse(SearchConfig, "search")
        return (changes or SearchChanges()).apply(search, **fixed)

    def read_card(self) -> ModelCard:
        """The card.

        Raises:
            FileNotFoundError: there is no `task.json`.
            ValueError: it has no card.
        """
        return self._parse(ModelCard, "card")

    def _read_task(self) -> dict[str, Any]:
        values = read_record(self.task).get("config")
        if not isinstance(values, dict):
            raise ValueError(f"{self.task}: expected a record `config`. Received: {values!r}.")
        return values

    def _parse(self, cls: type[T], name: str) -> T:
        try:
            return from_dict(cls, self._read_task().get(name, {}), name)
        except ValueError as error:
            raise ValueError(f"{self.task}: {error}") from error

    def _load_tokenizer(self, name: str) -> SourceTokenizer:
        from attention_nmt.data.source_tokenizer import read_source_tokenizer

        path = self.vocabulary(name)
        content = read_bounded(path, TOKENIZER_BYTES)
        self._check_sum(path)
        with whole(path, "tokenizer"):
            return read_source_tokenizer(content)

    def _check_sum(self, path: Path) -> None:
        """Checks that a file is the one that was written with the folder.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is another one, or `metadata.json` has no sums.
        """
        sums = read_record(self.metadata).get("sha256")
        if not isinstance(sums, dict):
            raise ValueError(f"{self.metadata}: expected a record `sha256`. Received: {sums!r}.")

        found = file_sum(path)
        expected = sums.get(path.relative_to(self.path).as_posix())
        if found != expected:
            raise ValueError(f"{path}: expected SHA-256 {expected}. Received: {found}.")


def write_model_folder(
    translator: Translator,
    folder: Path,
    *,
    card: ModelCard,
    samples: Sequence[str] = (),
    storage: Storage = "float32",
) -> None:
    """Writes a translator into a folder, whole or not at all.

    Args:
        translator: what to write; its model is one of Keras.
        folder: a new or empty folder, or one that was written so, which is replaced.
        card: what people are told of it.
        samples: a few source sentences, on which exports are checked.
        storage: the way to keep weights, see `weights.STORAGES`.

    Raises:
        OSError: the folder cannot be written.
        ValueError: it holds something else, or a weight is not finite.
        TypeError: the model is none of Keras.
    """
    model = _keras_model(translator)
    check_finite(model, "the translator's model")

    free = is_model_folder(folder) or not folder.exists() or not any(folder.iterdir())
    require(free, "folder", "new, empty or the folder of a model", str(folder))

    with atomic_folder(folder, replace=True) as path:
        _write(ModelFolder(path), translator, card, samples, storage)


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds what `write_model_folder` writes, by what its files say."""
    config = path / "config.json"
    return config.is_file() and "registered_name" in read_record(config)


def _keras_model(translator: Translator) -> keras.Model:
    import keras

    model = translator.model
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a model of Keras. Received: {type(model).__name__}.")
    return model


def _write(
    folder: ModelFolder,
    translator: Translator,
    card: ModelCard,
    samples: Sequence[str],
    storage: Storage,
) -> None:
    """Writes all files of a folder that is there."""
    import keras

    model = _keras_model(translator)
    write_weights(model, folder.weights, storage)
    described = keras.saving.serialize_keras_object(model)
    described.pop("compile_config", None)  # a training's
    _write_record(folder.config, described)

    task = {"search": asdict(translator.search), "card": asdict(card), "samples": list(samples)}
    _write_record(folder.task, _described("Translator", task))

    tokenizers: dict[str, SourceTokenizer] = {"tokenizer": translator.source_tokenizer}
    if translator.target_tokenizer.content != translator.source_tokenizer.content:
        tokenizers["target_tokenizer"] = translator.target_tokenizer
    for name, tokenizer in tokenizers.items():
        tokenizer.save(folder.vocabulary(name).with_name(tokenizer.file_name))
        size = {"vocabulary_size": tokenizer.vocabulary_size}
        _write_record(folder.tokenizer(name), _described(type(tokenizer).__name__, size))
    records = {name: folder.tokenizer(name).name for name in tokenizers}
    _write_record(folder.preprocessor, _described("TranslationGraph", records))

    summed = [folder.weights, *map(folder.vocabulary, tokenizers)]
    if translator.shortlist is not None:
        translator.shortlist.save(folder.shortlist)
        summed.append(folder.shortlist)
    metadata = {
        "keras_version": keras.__version__,
        "attention_nmt_version": attention_nmt.__version__,
        "date_saved": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d@%H:%M:%S"),
        "parameter_count": model.count_params(),
        "storage": storage,
        "sha256": {path.relative_to(folder.path).as_posix(): file_sum(path) for path in summed},
    }
    _write_record(folder.metadata, metadata)
    text = _readme(card, shortened=translator.shortlist is not None)
    folder.readme.write_text(text, encoding="utf-8")


def _described(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A record as Keras describes an object: its class, and what it is made of."""
    return {
        "module": f"attention_nmt.{_MODULES[name]}",
        "class_name": name,
        "config": config,
        "registered_name": f"attention_nmt>{name}",
    }


def _write_record(path: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def _readme(card: ModelCard, *, shortened: bool) -> str:
    """The card as Markdown, with the fields by which hubs find it.

    Args:
        card: the card.
        shortened: whether the model has a shortlist.
    """
    fields = ["library_name: keras", "pipeline_tag: translation"]
    languages = [code for code in (card.source, card.target) if code]
    if languages:
        fields.append(f"language: [{', '.join(languages)}]")
    if card.license:
        fields.append(f"license: {card.license}")
    fields.append("tags: [attention_nmt, attention, translation]")

    lines = ["---", *fields, "---", "", f"# {card.title}", "", _USAGE, ""]
    if shortened:
        lines += [_SHORTENED, ""]
    return "\n".join([*lines, card.text, ""])


_SHORTENED = """\
A translation has target pieces that those of its source were aligned with in training, and frequent
ones, and no others: `shortlist.npz`."""

_USAGE = """\
An encoder-decoder with attention, for `attention_nmt`:

```python
import attention_nmt as nmt

translator = nmt.Translator.from_preset("FOLDER")
print(translator(["..."])[0].text)
```"""
