"""A translator in a folder: saved, loaded, and never half of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from attention_nmt import model_folder
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelCard, ModelFolder, is_model_folder
from attention_nmt.translation.translator import Translator
from attention_nmt.weights import STORAGES, Storage
from tests.attention_nmt.search.test_search_of_models import ending_model
from tests.attention_nmt.translation.test_translator import SHORT, TEXTS

FILES = [
    "README.md",
    "assets/tokenizer/vocabulary.spm",
    "config.json",
    "metadata.json",
    "model.weights.h5",
    "preprocessor.json",
    "task.json",
    "tokenizer.json",
]


@pytest.fixture
def translator(tokenizer: Tokenizer) -> Translator:
    return Translator(ending_model(), tokenizer, SHORT)


def files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("storage", STORAGES)
def test_a_translator_is_saved_and_loaded(
    storage: Storage, translator: Translator, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    card = ModelCard(title="Toys", source="en", target="de", license="cc-by-2.0", text="Of *toys*.")
    translator.save(folder, card=card, storage=storage, samples=["A dog."])
    assert files(folder) == FILES
    assert list(tmp_path.iterdir()) == [folder]

    loaded = Translator.from_preset(folder)
    assert loaded.search == SHORT
    assert loaded.source_tokenizer.model_proto == translator.source_tokenizer.model_proto
    assert loaded.target_tokenizer is loaded.source_tokenizer
    if storage == "float32":
        expected = [(found.text, found.score) for found in translator(TEXTS)]
        assert [(found.text, found.score) for found in loaded(TEXTS)] == expected

    stored = ModelFolder(folder)
    assert stored.corpus == {"source": "en", "target": "de"}
    assert stored.samples == ["A dog."]
    assert stored.read_card() == card
    readme = stored.readme.read_text(encoding="utf-8")
    assert "language: [en, de]\nlicense: cc-by-2.0\n" in readme
    assert "# Toys\n" in readme
    assert "Of *toys*." in readme


def test_two_tokenizers(
    translator: Translator, tokenizer: Tokenizer, sentences: list[str], tmp_path: Path
) -> None:
    capitals = [sentence.upper() for sentence in sentences]
    other = Tokenizer.train(capitals, tokenizer.vocabulary_size)
    both = Translator(translator.model, tokenizer, SHORT, other)
    both.save(tmp_path / "model")
    assert files(tmp_path / "model") == sorted(
        [*FILES, "assets/target_tokenizer/vocabulary.spm", "target_tokenizer.json"]
    )
    loaded = Translator.from_preset(tmp_path / "model")
    assert loaded.source_tokenizer.model_proto == tokenizer.model_proto
    assert loaded.target_tokenizer.model_proto == other.model_proto


def test_a_compiled_model_is_saved_without_its_training(
    translator: Translator, tmp_path: Path
) -> None:
    translator.model.compile("adam", "mse")  # type: ignore[attr-defined]
    translator.save(tmp_path / "model")
    assert Translator.from_preset(tmp_path / "model").model.compiled is False  # type: ignore[attr-defined]


def test_a_folder_of_a_model_is_replaced_and_no_other(
    translator: Translator, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    translator.save(folder)
    (folder / "of an older version.txt").write_text("")
    translator.save(folder, card=ModelCard(title="New"))
    assert files(folder) == FILES
    assert ModelFolder(folder).read_card().title == "New"

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`folder` must be new, empty or the folder of a model"):
        translator.save(mine)
    assert files(mine) == ["notes.txt"]


def test_a_write_that_fails_leaves_what_was_there(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as context:
        context.setattr(model_folder, "_readme", full)
        with pytest.raises(OSError, match="No space left"):
            translator.save(tmp_path / "model")
        assert list(tmp_path.iterdir()) == []

    translator.save(tmp_path / "model", card=ModelCard(title="Old"))
    monkeypatch.setattr(model_folder, "_readme", full)
    with pytest.raises(OSError, match="No space left"):
        translator.save(tmp_path / "model", card=ModelCard(title="New"))
    assert ModelFolder(tmp_path / "model").read_card().title == "Old"


def test_weights_that_are_not_finite_are_not_saved(translator: Translator, tmp_path: Path) -> None:
    weight = translator.model.weights[0]  # type: ignore[attr-defined]
    weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match="expected weights that are finite numbers"):
        translator.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.weights.h5", "assets/tokenizer/vocabulary.spm"])
def test_a_flipped_bit_is_named(name: str, translator: Translator, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    translator.save(folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: expected SHA-256"):
        Translator.from_preset(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, translator: Translator, tmp_path: Path) -> None:
    if name in ("README.md", "preprocessor.json", "tokenizer.json"):
        pytest.skip("nothing reads it but people and hubs")
    folder = tmp_path / "model"
    translator.save(folder)
    (folder / name).unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=name.rpartition("/")[2]):
        Translator.from_preset(folder)


@pytest.mark.parametrize("name", ["config.json", "task.json", "metadata.json"])
@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"config": 3}'])
def test_a_record_of_another_kind_is_named(
    name: str, content: str, translator: Translator, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    translator.save(folder)
    (folder / name).write_text(content)
    stored = ModelFolder(folder)
    read = stored.read_search if name == "task.json" else stored.load_model
    with pytest.raises(ValueError, match=name):
        read()


def test_a_description_of_a_huge_model_takes_no_memory(
    translator: Translator, tmp_path: Path
) -> None:
    translator.save(tmp_path / "model")
    stored = ModelFolder(tmp_path / "model")
    config = json.loads(stored.config.read_text())
    config["config"]["config"]["embedding_size"] = 2**40
    stored.config.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config.json: expected a model of at most .* weights"):
        stored.load_model()


def test_a_model_that_keras_does_not_know_is_not_saved(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    class Shell:
        """Keeps the contract by what it holds."""

        def __init__(self) -> None:
            self.held = ending_model()

        def __getattr__(self, name: str) -> object:
            return getattr(self.held, name)

    with pytest.raises(TypeError, match=r"must be a model of Keras\. Received: Shell"):
        Translator(Shell(), tokenizer, SHORT).save(tmp_path / "model")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_kinds_of_folders_are_told_by_content(tmp_path: Path) -> None:
    assert not is_model_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model": {}, "search": {}}')
    assert not is_model_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"registered_name": "attention_nmt>Seq2Seq"}')
    assert is_model_folder(tmp_path)
