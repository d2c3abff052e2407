"""Trained models are found where they are, and what is none of one is said."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from attention_nmt import hub, stored
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelFolder
from attention_nmt.run_folder import RunFolder
from attention_nmt.stored import open_model
from attention_nmt.translation.translator import Translator
from tests.attention_nmt.search.test_search_of_models import ending_model
from tests.attention_nmt.translation.test_translator import SHORT


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A saved model."""
    Translator(ending_model(), tokenizer, SHORT).save(tmp_path / "toys")
    return tmp_path / "toys"


def test_folders_of_both_kinds(folder: Path, tmp_path: Path) -> None:
    assert open_model(folder) == open_model(str(folder)) == ModelFolder(folder)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"search": {}}')
    assert open_model(run) == RunFolder(run)


def test_a_bundled_model_by_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "PRETRAINED", tmp_path)
    monkeypatch.chdir(folder)
    assert stored.bundled() == ["toys"]
    assert open_model("toys") == ModelFolder(folder)
    with pytest.raises(FileNotFoundError, match=r"a bundled model \(toys\)\. Received: 'cars'"):
        open_model("cars")


def test_what_holds_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"is not a run folder or a model's"):
        open_model(tmp_path)

    version = tmp_path / "export" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"")
    for one in (version, version.parent):
        with pytest.raises(FileNotFoundError, match="is an export, which servers take"):
            open_model(one)

    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match=r"config\.json: expected the settings of a run, or"):
        open_model(tmp_path)


class FakeHub(ModuleType):
    """A hub's library, whose hub is a folder."""

    def __init__(self, name: str, files: Path) -> None:
        super().__init__(name)
        self.files = files
        self.uploaded: list[tuple[str, str]] = []
        self.answers = True
        self.errors = ModuleType(f"{name}.errors")
        self.errors.__dict__.update(
            HfHubHTTPError=type("HfHubHTTPError", (OSError,), {}),
            LocalEntryNotFoundError=type("LocalEntryNotFoundError", (OSError,), {}),
        )

    def model_info(self, repo_id: str, *, timeout: float) -> None:
        assert timeout <= 10
        if not self.answers:
            raise TimeoutError("timed out")
        if not (self.files / repo_id).exists():
            raise self.errors.HfHubHTTPError("404")

    def snapshot_download(
        self, repo_id: str, *, etag_timeout: float = 0, local_files_only: bool = False
    ) -> str:
        assert etag_timeout <= 10
        assert self.answers or local_files_only
        if not (self.files / repo_id).exists():
            raise self.errors.LocalEntryNotFoundError("not among the files kept here")
        return str(self.files / repo_id)

    def model_download(self, handle: str) -> str:
        return str(self.files / handle)

    def create_repo(self, repo_id: str, *, exist_ok: bool) -> None:
        assert exist_ok
        self.uploaded.append((repo_id, "made"))

    def upload_folder(self, *, repo_id: str, folder_path: Path) -> None:
        self.uploaded.append((repo_id, folder_path.name))

    def model_upload(self, handle: str, folder: str) -> None:
        self.uploaded.append((handle, Path(folder).name))


@pytest.fixture
def hubs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FakeHub]:
    """Both hubs, which have the saved model."""
    made = []
    for name, owner in (("huggingface_hub", "us"), ("kagglehub", "us/nmt/keras")):
        files = tmp_path / name
        (files / owner).mkdir(parents=True)
        (files / owner / "toys").symlink_to(folder)
        fake = FakeHub(name, files)
        monkeypatch.setitem(sys.modules, name, fake)
        monkeypatch.setitem(sys.modules, f"{name}.errors", fake.errors)
        made.append(fake)
    return made


@pytest.mark.parametrize("name", ["hf://us/toys", "kaggle://us/nmt/keras/toys"])
@pytest.mark.usefixtures("hubs")
def test_a_model_of_a_hub(name: str) -> None:
    found = Translator.from_preset(name)
    assert found.search == SHORT


def test_a_folder_is_uploaded(folder: Path, hubs: list[FakeHub], tmp_path: Path) -> None:
    hub.upload_preset("hf://us/new", folder)
    hub.upload_preset("kaggle://us/nmt/keras/new", str(folder))
    assert hubs[0].uploaded == [("us/new", "made"), ("us/new", "toys")]
    assert hubs[1].uploaded == [("us/nmt/keras/new", "toys")]
    with pytest.raises(ValueError, match=r"`folder` must be one that `Translator\.save` wrote"):
        hub.upload_preset("hf://us/new", tmp_path)


@pytest.mark.parametrize("name", ["hf://toys", "hf://us/", "hf://a/b/c", "kaggle://us/toys"])
def test_a_name_of_another_form(name: str) -> None:
    with pytest.raises(ValueError, match="`model` must be of the form `hf://OWNER/NAME` or"):
        open_model(name)


def test_whatever_a_hub_raises_is_one_line(
    hubs: list[FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    class OfError(Exception):
        """Of a library's own."""

    def fail(*_: object, **__: object) -> None:
        raise OfError("no such\nrepository")

    monkeypatch.setattr(hubs[0], "snapshot_download", fail)
    with pytest.raises(OSError, match=r"^hf://us/toys: no such repository$"):
        open_model("hf://us/toys")


def test_a_silent_hub(hubs: list[FakeHub], folder: Path) -> None:
    """What was downloaded is used; anything else is an error soon."""
    hubs[0].answers = False
    assert open_model("hf://us/toys").corpus == open_model(folder).corpus
    with pytest.raises(OSError, match=r"^hf://us/other: timed out$"):
        open_model("hf://us/other")
    with pytest.raises(OSError, match=r"^hf://us/new: timed out$"):
        hub.upload_preset("hf://us/new", folder)


def test_a_hub_whose_library_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'attention-nmt\[hub\]'"):
        open_model("hf://us/toys")
