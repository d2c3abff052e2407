"""Damaged, missing, exchanged and oversized files of a run: one line that names the file."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from attention_nmt.archives import COMPRESSED, load_model, open_arrays
from attention_nmt.config import from_dict
from attention_nmt.run_folder import RunFolder
from tests.attention_nmt.tiny import tiny_config
from tests.training.corpora import write_folder
from tests.training.runs import untrained_run
from training import loop
from training.build import build
from training.data import Corpus
from training.folder import alone, claim, keep_best, load_tokenizers, read_config
from training.presets import TrainConfig
from training.progress import Progress
from training.recording import Recording


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def original(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder with all that a training writes."""
    run = RunFolder(untrained_run(tmp_path_factory.mktemp("runs") / "run", corpus))
    config = read_config(run)
    run.data.write_text(json.dumps(fingerprints(config)))

    model = build(config, 310, 310)
    sums = run.tokenizer_sums()
    keep_best(run, model, step=3, dev_bleu=1.0, dev_sentences=8, tokenizers=sums)
    notes = {"tokenizers": sums, "data": fingerprints(config)}
    progress = Progress(model, 0.0, notes=notes)
    progress.step = 3
    progress.best_step = 3
    progress.save(run.checkpoint)
    return run


@pytest.fixture
def run(original: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(original.path, tmp_path / "run"))


def fingerprints(config: TrainConfig) -> dict[str, dict[str, str]]:
    texts = Corpus(config.dataset, "en", "fr")
    return {"train": texts.fingerprint("train"), "dev": texts.fingerprint("val")}


def test_a_whole_run_loads(run: RunFolder) -> None:
    assert run.load_model().source_vocabulary_size == 310
    load_tokenizers(run)
    claim(run, read_config(run), fingerprints(read_config(run)))


@pytest.mark.parametrize("name", ["best.keras", "checkpoint.npz", "tokenizer.model"])
def test_flipped_and_lost_bytes_are_seen(name: str, run: RunFolder) -> None:
    """Of 60 flipped bytes and 12 lengths none is taken for what was written."""
    path = run.path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    damaged = []
    for position in rng.integers(len(whole), size=60).tolist():
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    damaged += [whole[:size] for size in rng.integers(len(whole), size=12).tolist()]

    expected = _held(run, path)
    seen = 0
    for content in damaged:
        path.write_bytes(content)
        found, refusal = _held_or_refused(run, path)
        if refusal:
            assert str(path) in refusal
            seen += 1
            continue

        # Dates and the like in an archive's own records mean nothing to what is read.
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert seen >= len(damaged) - 3
    if name == "tokenizer.model":
        assert seen == len(damaged)


def _held_or_refused(run: RunFolder, path: Path) -> tuple[list[np.ndarray], str]:
    try:
        return _held(run, path), ""
    except ValueError as error:
        return [], str(error)


def _held(run: RunFolder, path: Path) -> list[np.ndarray]:
    """What a file holds, as its readers have it."""
    if path == run.checkpoint:
        return [array for _, array in read_arrays(path)]
    if path == run.best:
        return run.load_model().get_weights()
    load_tokenizers(run)
    return [np.frombuffer(path.read_bytes(), np.uint8)]


def read_arrays(path: Path) -> list[tuple[str, np.ndarray]]:
    with open_arrays(path, "checkpoint") as arrays:
        return [(name, arrays[name]) for name in sorted(arrays.names)]


def test_another_tokenizer_of_the_same_size(run: RunFolder, corpus: Path) -> None:
    """Named in `translate`, and where a training goes on; a run that is older takes it.

    The weights name it, whatever else is in the folder.
    """
    other = untrained_run(corpus.parent / "other", write_folder(corpus.parent / "more", OTHERS))
    shutil.copy(other / "tokenizer.model", run.source_tokenizer)
    expected = r"tokenizer\.model: expected a file of SHA-256 \w+\.\.\., with which"
    with pytest.raises(ValueError, match=rf"{expected} best\.keras was made"):
        run.load_model()
    with pytest.raises(ValueError, match=rf"{expected} checkpoint\.npz was made"):
        load_tokenizers(run)

    run.best_score.unlink()
    with pytest.raises(ValueError, match=rf"{expected} best\.keras was made"):
        run.load_model()
    build(read_config(run), 310, 310).save(run.best)
    run.load_model()
    run.checkpoint.unlink()
    load_tokenizers(run)


OTHERS = [(f"{one} {two}.", f"{two} {one}!") for one in "abcdefghijklmnop" for two in "qrstuvwxyz"]


def test_a_second_tokenizer_that_was_not_there(run: RunFolder) -> None:
    shutil.copy(run.source_tokenizer, run.target_tokenizer)
    with pytest.raises(ValueError, match=r"tokenizer\.target\.model: expected no such file"):
        run.load_model()


@pytest.mark.parametrize("entry", ["numbers", "best_bleu", "variable:0", "variable:30"])
def test_a_checkpoint_without_an_entry(entry: str, run: RunFolder) -> None:
    found = dict(read_arrays(run.checkpoint))
    del found[entry]
    np.savez(run.checkpoint, **found)  # type: ignore[arg-type]
    config = read_config(run)
    progress = Progress(build(config, 310, 310), 0.0)
    with pytest.raises(ValueError, match=rf"checkpoint\.npz: expected .*{entry}"):
        progress.load(run.checkpoint)


def test_best_weights_that_are_missing_or_damaged_do_not_wait_for_the_end(run: RunFolder) -> None:
    loop._check_best(run, 3)
    run.best.write_bytes(run.best.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"best\.keras: expected a whole Keras file"):
        loop._check_best(run, 3)
    run.best.unlink()
    with pytest.raises(ValueError, match=r"best\.keras: expected the weights of step 3"):
        loop._check_best(run, 3)
    loop._check_best(run, 0)
    with pytest.raises(FileNotFoundError, match=r"has no best\.keras"):
        run.load_model()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ({"steps": "many"}, r"`steps` must be an integer\. Received: 'many'"),
        ({"steps": True}, "`steps` must be an integer"),
        ({"learning_rate": None}, "`learning_rate` must be a number"),
        ({"jit_compile": 1}, "`jit_compile` must be true or false"),
        ({"dev_split": 3}, "`dev_split` must be a string or null"),
        ({"model": [1]}, "`model` must be a record"),
        ({"model": {"attention": "none of ours"}}, "`attention` must be one of"),
        ({"model": {"cell": {"kind": 3}}}, "`kind` must be a string"),
        ({"search": {"beam_size": 1.5}}, "`beam_size` must be an integer"),
        ({"search": None}, "`search` must be a record"),
    ],
)
def test_a_config_of_a_wrong_type(damage: dict[str, Any], expected: str, run: RunFolder) -> None:
    run.config.write_text(json.dumps({**run.read_config(), **damage}))
    with pytest.raises(ValueError, match=rf"config\.json: {expected}"):
        read_config(run)
    if "search" in damage:
        with pytest.raises(ValueError, match=rf"config\.json: {expected}"):
            run.read_search()


@pytest.mark.parametrize("content", ["", "[]", "{", '"text"'])
def test_files_that_hold_no_record(content: str, run: RunFolder) -> None:
    config = read_config(run)
    for path, read in (
        (run.data, lambda: claim(run, config, fingerprints(config))),
        (run.config, lambda: read_config(run)),
    ):
        before = path.read_bytes()
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"{path.name}: expected (a )?JSON"):
            read()
        path.write_bytes(before)


def test_fingerprints_that_were_deleted(run: RunFolder, corpus: Path, tmp_path: Path) -> None:
    """The checkpoint has them, too: other texts are refused, the same ones are taken."""
    config = read_config(run)
    run.data.unlink()
    claim(run, config, fingerprints(config))
    assert json.loads(run.data.read_text()) == fingerprints(config)

    run.data.write_text('{"steps": "many"}')
    with pytest.raises(ValueError, match=r"data\.json: expected records of sums"):
        claim(run, config, fingerprints(config))

    run.data.write_text("{}")
    changed = Path(shutil.copytree(corpus, tmp_path / "changed"))
    for language in ("en", "fr"):
        (changed / f"{language}.train.txt").write_text("other texts\n" * 9)
    other = fingerprints(from_dict(TrainConfig, {"dataset": str(changed)}))
    with pytest.raises(ValueError, match=r"of other texts\. Different: those of train\."):
        claim(run, config, other)


def test_the_same_texts_elsewhere(run: RunFolder, corpus: Path, tmp_path: Path) -> None:
    """A folder that was moved, and a slash behind its name; the config follows."""
    moved = Path(shutil.copytree(corpus, tmp_path / "moved"))
    for dataset in (f"{corpus}/", str(moved)):
        values = {**run.read_config(), "dataset": dataset}
        config = from_dict(TrainConfig, values)
        claim(run, config, fingerprints(config))
        assert read_config(run).dataset == dataset

    values["steps"] = 7000
    config = from_dict(TrainConfig, values)
    with pytest.raises(ValueError, match=r"of another config\. Different: steps"):
        claim(run, config, fingerprints(config))

    values = {**run.read_config(), "dataset": "elsewhere"}
    with pytest.raises(ValueError, match=r"Different: dataset: '.*moved' there, 'elsewhere' here"):
        claim(run, from_dict(TrainConfig, values), {"train": {"en.train.txt": "another"}})


def test_a_link_in_a_run_folder_is_not_followed(run: RunFolder, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for path in (run.best, run.best_score, run.checkpoint):
        path.unlink()
        path.symlink_to(precious)
    model = build(read_config(run), 310, 310)
    keep_best(run, model, step=1, dev_bleu=1.0, dev_sentences=1, tokenizers={})
    Progress(model, 0.0).save(run.checkpoint)
    assert precious.read_text() == "precious"
    assert not any(path.is_symlink() for path in run.path.iterdir())


def test_leftovers_go_under_the_lock(run: RunFolder) -> None:
    names = {
        ".best.partial-0a1b2c3d.keras",
        ".checkpoint.partial-00000000.npz",
        ".tokenizer.target.partial-ffffffff.model",
    }
    other = ".notes.partial-0a1b2c3d.txt"
    before = {path.name for path in run.path.iterdir()}
    for name in (*names, other):
        (run.path / name).write_text("half")
    with alone(run.path):
        assert {path.name for path in run.path.iterdir()} == before | {other}


def test_a_setting_that_changes_no_weight_is_free(run: RunFolder) -> None:
    values = {**run.read_config(), "maximum_skipped_steps": 100}
    config = from_dict(TrainConfig, values)
    claim(run, config, fingerprints(config))


def test_a_recording_is_not_removed_for_another_config(run: RunFolder) -> None:
    """It may have taken hours; a run that has nothing is begun anew."""
    for path in (run.best, run.best_score, run.checkpoint):
        path.unlink()
    run.recording.write_bytes(b"batches")
    config = from_dict(TrainConfig, {**run.read_config(), "learning_rate": 0.5})
    with pytest.raises(ValueError, match=r"of another config\. Different: learning_rate"):
        claim(run, config, fingerprints(config))
    assert run.recording.read_bytes() == b"batches"

    run.recording.unlink()
    claim(run, config, fingerprints(config))
    assert read_config(run).learning_rate == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"embedding_size": "many"},
        {"embedding_size": None},
        {"attention_units": [1]},
    ],
    ids=str,
)
def test_a_keras_file_whose_config_is_of_a_wrong_type(
    change: dict[str, Any], run: RunFolder
) -> None:
    def spoil(entries: dict[str, bytes]) -> None:
        config = json.loads(entries["config.json"])
        config["config"]["config"].update(change)
        entries["config.json"] = json.dumps(config).encode()

    rewritten(run.best, spoil, zipfile.ZIP_STORED)
    with pytest.raises(ValueError, match=r"best\.keras: expected a whole Keras file"):
        run.load_model()


def test_an_error_of_a_reader_is_none_of_the_file(run: RunFolder) -> None:
    """A device that runs out of memory says so by a `RuntimeError`."""

    def read() -> None:
        with open_arrays(run.checkpoint, "checkpoint") as arrays:
            assert arrays["numbers"].size
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        read()


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], method: int) -> None:
    """Writes an archive anew with other entries."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def weights_of(size: int) -> bytes:
    """An HDF5 file that declares a large array and stores none of it."""
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        weights.create_dataset("layer/vars/0", shape=(size,), dtype="float32", chunks=(1024,))
    return file.getvalue()


@pytest.mark.parametrize("bomb", ["entry", "array", "model"])
def test_a_model_file_that_would_take_gigabytes(bomb: str, run: RunFolder) -> None:
    def change(entries: dict[str, bytes]) -> None:
        if bomb == "entry":
            entries["assets/zeros"] = bytes(50_000_000)
        elif bomb == "array":
            entries["model.weights.h5"] = weights_of(10**9)
        else:
            config = json.loads(entries["config.json"])
            config["config"]["config"]["source_vocabulary_size"] = 10**9
            entries["config.json"] = json.dumps(config).encode()

    method = zipfile.ZIP_DEFLATED if bomb == "entry" else zipfile.ZIP_STORED
    rewritten(run.best, change, method)
    with pytest.raises(ValueError, match=r"best\.keras: expected (at most|a model of at most)"):
        load_model(run.best)


def test_a_checkpoint_that_would_take_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    np.savez_compressed(path, zeros=np.zeros(10**7))
    with (
        pytest.raises(ValueError, match=r"checkpoint\.npz: expected at most"),
        open_arrays(path, "checkpoint"),
    ):
        pytest.fail("it opens")

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("large.npy", header.getvalue() + bytes(100))
    with (
        open_arrays(path, "checkpoint") as arrays,
        pytest.raises(ValueError, match=r"bytes of the entry 'large'\. Received: 8,000"),
    ):
        arrays["large"]


def recording() -> Recording:
    rows = np.array([[5, 6, 3], [7, 3, 0]], np.int32)
    batch = ({"source": rows, "target": rows}, rows, (rows != 0).astype(np.float32))
    sums = {"tokenizer.model": "abc"}
    return Recording.of([batch, batch], [[4, 3], [5, 6, 3]], ["one", "two"], sums)


def test_recordings_know_their_tokenizers_and_their_lengths(tmp_path: Path) -> None:
    path = tmp_path / "recording.npz"
    recording().save(path)
    assert Recording.load(path).tokenizer_sums() == {"tokenizer.model": "abc"}

    with open_arrays(path, "recording", COMPRESSED) as arrays:
        names = [*Recording.__dataclass_fields__]
        found = {name: arrays[name] for name in names}
    older = {name: array for name, array in found.items() if name != "tokenizers"}
    np.savez_compressed(path, **older)  # type: ignore[arg-type]
    assert Recording.load(path).tokenizer_sums() == {}

    for name in older:
        np.savez_compressed(path, **{**found, name: found[name][:-1]})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"recording\.npz: expected a whole recording"):
            Recording.load(path)
        fewer = {other: array for other, array in found.items() if other != name}
        np.savez_compressed(path, **fewer)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=rf"recording\.npz: expected a whole .*{name}"):
            Recording.load(path)


def test_the_smallest_variants_are_no_bombs(tmp_path: Path) -> None:
    """What a model has at least is no more than what it has."""
    both = {"encoder": "transformer", "decoder": "transformer", "transformer": {"heads": 3}}
    variants: list[dict[str, Any]] = [{}, {"attention": "none"}, {"encoder_layers": 3}, both]
    for number, options in enumerate(variants):
        model = build(TrainConfig(model=tiny_config(**options)), 40, 40)
        path = tmp_path / f"{number}.keras"
        model.save(path)
        load_model(path)
