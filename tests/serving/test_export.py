"""A run as a SavedModel, and other kinds of model as every product that is a file."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format

from attention_nmt.command import main
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.files import temporary_folder
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.translation.translator import Translator
from serving import export, saved_model, signatures, tflite
from serving.servable import Servable
from tests.attention_nmt.tiny import VARIANTS
from tests.serving.deployed import message, read
from tests.serving.exported import SIGNATURES, TEXTS, graph_of, predict, random_run

OPERATIONS = yaml.safe_load(
    (Path(export.__file__).parent / "deploy/operations.yml").read_text(encoding="utf-8")
)


def test_the_saved_model_translates_as_the_translator_does(
    translator: Translator, servable: Servable
) -> None:
    expected = translator(TEXTS)
    translations, scores = predict(servable, TEXTS)
    assert translations == [t.text for t in expected]
    assert len(set(translations)) > 5
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)


def test_the_graph_holds_nothing_that_tensorflow_serving_lacks(version: Path) -> None:
    operations, signatures = graph_of(version)
    assert operations == {
        name for kind, names in OPERATIONS.items() if kind != "options" for name in names
    }
    assert signatures >= SIGNATURES


def numbers_held(version: Path) -> int:
    """How many numbers the variables of an export have."""
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map().items()
    return sum(int(np.prod(shape)) for name, shape in shapes if "VALUE" in name)


def numbers_of(translator: Translator, word_products: bool = True) -> int:
    """Those of the weights, of the output kernel as a search reads it, and of the products of all
    words."""
    model: Any = translator.model
    weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    config = model.config
    columns = config.readout_units
    if word_products:
        columns += 3 * config.decoder_units + 2 * config.readout_units
    return weights + config.target_vocabulary_size * columns


def test_an_export_holds_each_weight_once(translator: Translator, version: Path) -> None:
    assert numbers_held(version) == numbers_of(translator)


def test_an_export_of_long_alignments_loads(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its warm-up has as many texts as a request may have."""

    def aligned(translator: Translator) -> dict[str, Any]:
        name = "translate_with_alignment"
        return {name: signatures.signatures(translator)[name]}

    monkeypatch.setattr(saved_model, "signatures", aligned)
    flags = ["--run-dir", str(run_dir), "--output", str(tmp_path)]
    assert export.main([*flags, "--maximum-source-length", "1000"]) == 0

    card = json.loads((tmp_path / "1" / "assets.extra" / "model_card.json").read_text())
    assert card["maximum_batch_with_alignment"] == 2**20 * 10 // (1000 * 1510) == 6
    Servable("nmt", 1, tmp_path / "1").close()


@pytest.fixture
def _two_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that take half the time, with signatures that read all weights between them."""

    def two(translator: Translator) -> dict[str, Any]:
        made = signatures.signatures(translator)
        return {name: made[name] for name in ("serving_default", "score_pairs")}

    monkeypatch.setattr(saved_model, "signatures", two)


@pytest.mark.usefixtures("_two_signatures")
def test_an_export_without_products_of_words(run_dir: Path, tmp_path: Path) -> None:
    """It is smaller, and translates as others do."""
    flags = ["--run-dir", str(run_dir), "--output", str(tmp_path), "--word-products-mb", "0"]
    assert export.main(flags) == 0

    translator = Translator.from_run(run_dir)
    assert numbers_held(tmp_path / "1") == numbers_of(translator, word_products=False)

    servable = Servable("nmt", 1, tmp_path / "1")
    translations, scores = predict(servable, TEXTS)
    servable.close()
    expected = translator(TEXTS)
    assert translations == [t.text for t in expected]
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)


@pytest.mark.usefixtures("_two_signatures")
def test_an_export_with_a_shortlist(tmp_path: Path) -> None:
    """It holds the output kernel once, too, a row for each piece, and the table of candidates."""
    translator = Translator.from_run(random_run(tmp_path / "run"))
    pieces = np.arange(310)
    shortlist = Shortlist(np.stack([pieces, 309 - pieces], axis=1), np.arange(150), 310)
    listed = translator.with_shortlist(shortlist)
    version = export.export(listed, tmp_path / "nmt")
    assert numbers_held(version) == numbers_of(translator) + shortlist.candidates.size
    assert graph_of(version)[0] <= {name for names in OPERATIONS.values() for name in names}

    expected = listed(TEXTS)
    assert [t.text for t in expected] != [t.text for t in translator(TEXTS)]
    servable = Servable("nmt", 1, version)
    translations, scores = predict(servable, TEXTS)
    servable.close()
    assert translations == [t.text for t in expected]
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)


def test_no_signature_reaches_an_operation_on_files(version: Path) -> None:
    """In the session that a server loads, with all functions that the signatures' nodes call."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        outputs = [
            x.name.split(":")[0]
            for name in SIGNATURES
            for x in loaded.signature_def[name].outputs.values()
        ]
        definition = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), outputs)
    functions = {function.signature.name: function for function in definition.library.function}
    pending, reached, seen = list(definition.node), set(), set[str]()
    while pending:
        node = pending.pop()
        reached.add(node.op)
        called = {a.func.name for a in node.attr.values() if a.HasField("func")} | (
            {node.op} & functions.keys()
        )
        for name in called - seen:
            seen.add(name)
            pending += functions[name].node_def
    assert {"SentencepieceTokenizeOp", "MatMul", "TopKV2"} < reached
    assert reached <= {*OPERATIONS["tensorflow"], *OPERATIONS["tensorflow-text"]}


@pytest.fixture
def _one_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports that take no time: of what is in a folder, not in a model."""
    texts = [tf.TensorSpec([None], tf.string)]
    count = tf.function(
        lambda text: {"count": tf.size(text)}, input_signature=texts, autograph=False
    )
    monkeypatch.setattr(saved_model, "signatures", lambda _: {"count": count})


@pytest.mark.usefixtures("_one_signature")
def test_exporting_again_writes_the_next_version_and_nothing_else(
    translator: Translator, tmp_path: Path
) -> None:
    (tmp_path / "007").mkdir()
    (tmp_path / "12").write_text("a file is no version")
    assert export.export(translator, tmp_path) == tmp_path / "8"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["007", "12", "8"]
    (tmp_path / "9").write_text("nor is it replaced")
    assert export.export(translator, str(tmp_path)) == tmp_path / "10"
    assert export.prune(tmp_path, keep=1) == [7, 8]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10", "12", "9"]


@pytest.mark.usefixtures("_one_signature")
def test_an_export_that_fails_leaves_nothing(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(export, "versions", fail)
    with pytest.raises(OSError, match="disk full"):
        export.export(translator, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_no_folder(translator: Translator, tmp_path: Path) -> None:
    """Nor one above it; a folder that was there stays."""
    (tmp_path / "models").mkdir()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_model, "write_saved_model", fail)
        for output in ("models", "models/nmt", "other/models/nmt"):
            with pytest.raises(OSError, match="disk full"):
                export.export(translator, str(tmp_path / output))
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "models"]


@pytest.mark.usefixtures("_one_signature")
def test_what_a_killed_export_left_is_removed_by_the_next(
    translator: Translator, tmp_path: Path
) -> None:
    """And what another process is writing is not."""
    for name in (".exporting-0a1b2c3d", ".removing-0a1b2c3d", ".exporting-of-mine"):
        (tmp_path / name / "model").mkdir(parents=True)
    (tmp_path / "1").mkdir()
    with temporary_folder(tmp_path, ".exporting-") as alive:
        export.export(translator, tmp_path)
        assert alive.is_dir()
    export.prune(str(tmp_path), keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".exporting-of-mine", "2"]


@pytest.mark.usefixtures("_one_signature")
def test_a_published_version_lasts_when_the_power_goes(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is synchronized before it gets its name, and the folder that has the name after."""
    steps = []
    rename = Path.rename

    def noted(path: Path, target: Path) -> Path:
        steps.append(f"rename to {target.name}")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", noted)
    monkeypatch.setattr(export, "sync_tree", lambda path: steps.append(f"tree {path.name}"))
    monkeypatch.setattr(export, "sync_folder", lambda path: steps.append(f"folder {path.name}"))
    export.export(translator, tmp_path / "nmt")
    assert steps == ["tree model", "rename to 1", "folder nmt"]


def test_weights_that_are_not_finite_are_not_exported(run_dir: Path, tmp_path: Path) -> None:
    broken = Translator.from_run(run_dir)
    weight = cast(keras.Model, broken.model).weights[0]
    weight.assign(weight * np.nan)
    with pytest.raises(ValueError, match="expected weights that are finite numbers"):
        export.export(broken, tmp_path / "nmt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["export", "--output", "OUT"],
        ["tflite", "--output", "OUT/model.tflite"],
        ["translate", "--output", "OUT/text", "--input", "OUT/../lines"],
    ],
    ids=lambda command: command[0],
)
def test_another_backend_is_refused_at_once_and_in_one_line(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    name, *flags = [part.replace("OUT", str(tmp_path / "out")) for part in command]
    assert main([name, "--run-dir", str(tmp_path), *flags]) == 1
    expected = f"error: `KERAS_BACKEND` must be 'tensorflow' for {name}, which runs a graph of"
    written = capsys.readouterr().err
    assert written.startswith(expected)
    assert written.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_tokenizers_than_the_cards_are_not_served(version: Path, tmp_path: Path) -> None:
    shutil.copytree(version, tmp_path / "1")
    path = tmp_path / "1" / "assets.extra" / "model_card.json"
    card = json.loads(path.read_text())
    card["tokenizers_sha256"]["target"] = "0" * 64
    path.write_text(json.dumps(card))
    with pytest.raises(RuntimeError, match=r"model_card.json: expected tokenizers of the SHA-256"):
        Servable("nmt", 1, str(tmp_path / "1"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "model_card.json: expected a JSON record. Received: a list"),
        ("{", "model_card.json: expected JSON. Received: "),
        ('{"tokenizers_sha256": []}', r"expected a record of sums .*\. Received: \[\]"),
        ('{"tokenizers_sha256": {"source": 1}}', r"expected a record of sums .*\{'source': 1\}"),
    ],
)
def test_a_broken_card_is_named_and_the_session_is_closed(
    content: str, message: str, version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(version, tmp_path / "1")
    (tmp_path / "1" / "assets.extra" / "model_card.json").write_text(content)
    closed = []
    close = Servable.close

    def noted(servable: Servable) -> None:
        closed.append(servable)
        close(servable)

    monkeypatch.setattr(Servable, "close", noted)
    with pytest.raises(RuntimeError, match=message):
        Servable("nmt", 1, tmp_path / "1")
    assert len(closed) == 1
    with pytest.raises(RuntimeError, match="closed"):
        closed[0]._session.run([])


@pytest.mark.parametrize("which", ["config", "best_score"])
def test_a_broken_record_of_a_run_is_named(which: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.config.write_text('{"search": {}}')
    run.best_score.write_text('{"dev_bleu": 12.5}')
    assert run.about() == {"training": {"search": {}}, "dev_bleu": 12.5}
    path = getattr(run, which)
    path.write_text("[12.5]")
    with pytest.raises(ValueError, match=f"{path.name}: expected a JSON record. Received: a list"):
        run.about()


@pytest.mark.usefixtures("_one_signature")
@pytest.mark.parametrize(
    ("search", "texts"),
    [
        ({}, 32),
        ({"maximum_source_length": 800, "maximum_length_ratio": 2.0}, 8),
        ({"maximum_source_length": 2287, "maximum_length_ratio": 2.0}, 1),
    ],
)
def test_a_server_puts_as_many_texts_together_as_the_card_says(
    search: dict[str, Any], texts: int, translator: Translator, tmp_path: Path
) -> None:
    """Of its own file for each version, in place of those of `batching.config`."""
    changed = Translator(
        translator.model,
        translator.source_tokenizer,
        dataclasses.replace(translator.search, **search),
        translator.target_tokenizer,
    )
    version = export.export(changed, tmp_path)
    batching = text_format.Parse(
        (version / "batching_params.pbtxt").read_text(), message("BatchingParameters")
    )
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert batching.max_batch_size.value == texts
    assert batching.max_batch_size.value == min(32, card["maximum_batch_with_alignment"])

    common = read("batching.config", message("BatchingParameters"))
    batching.max_batch_size.value = common.max_batch_size.value
    batching.num_batch_threads.value = common.num_batch_threads.value  # of the server alone
    assert str(batching) == str(common)


def test_an_alignment_that_no_client_takes_is_not_exported(
    translator: Translator, tmp_path: Path
) -> None:
    changed = Translator(
        translator.model,
        translator.source_tokenizer,
        dataclasses.replace(translator.search, maximum_source_length=5000),
        translator.target_tokenizer,
    )
    # 2,640 times 3,970 weights, with a ratio of 1.5.
    expected = r"`maximum_source_length` must be at most 2,640 .* Received: 5000"
    with pytest.raises(ValueError, match=expected):
        export.export(changed, tmp_path / "nmt")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--run-dir", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "is not a run folder or a model's: it has no config.json" in capsys.readouterr().err


def test_code_in_a_run_is_refused(run_dir: Path, tmp_path: Path) -> None:
    """Keras can store the bytecode of a Python function in a `.keras` file; nothing here loads
    one."""
    shutil.copytree(run_dir, tmp_path / "run")
    trap = keras.Sequential([keras.layers.Input((1,)), keras.layers.Lambda(lambda x: x + 1)])
    trap.save(RunFolder(tmp_path / "run").best)
    with pytest.raises(ValueError, match="`Lambda`"):
        Translator.from_run(tmp_path / "run")


SEARCHES: dict[str, dict[str, Any]] = {
    "no attention, lstm layers": {"temperature": 0.7, "sampling_seed": 5},
    "luong dot, fed": {},
    "everything": {"coverage_penalty": 0.3},
    "transformer": {},
    "transformer encoder": {},
    "transformer decoder": {},
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("no attention, lstm layers", marks=pytest.mark.long),
        pytest.param("luong dot, fed", marks=pytest.mark.long),
        pytest.param("everything", marks=pytest.mark.long),
        pytest.param("transformer", marks=pytest.mark.long),
        pytest.param("transformer encoder", marks=pytest.mark.long),
        pytest.param("transformer decoder", marks=pytest.mark.long),
    ],
)
def test_other_kinds_of_model_and_search_are_exported(kind: str, tmp_path: Path) -> None:
    """To a SavedModel and to LiteRT, one of them with two vocabularies."""
    two = {"target_vocabulary_size": 289} if kind == "everything" else {}
    run = random_run(tmp_path / "run", SEARCHES[kind], **VARIANTS[kind], **two)
    count = sum(1 for text in TEXTS if text)
    translator = Translator.from_run(run)
    expected = translator(TEXTS)
    version = export.export(translator, tmp_path / "nmt")
    servable = Servable("nmt", 1, version)
    translations, scores = predict(servable, TEXTS)
    servable.close()
    assert graph_of(version)[0] <= {name for names in OPERATIONS.values() for name in names}
    assert translations == [t.text for t in expected]
    assert len(set(translations)) > 3
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)
    config = tflite.ConvertConfig(run_dir=run, output=tmp_path / "model.tflite")
    said = tflite.convert(config)
    assert f"{count} of {count} translations equal to the SavedModel's" in said
    pieces = [
        Tokenizer.load(tmp_path / f"model.{side}.model").vocabulary_size
        for side in ("source", "target")
    ]
    assert pieces == [310, 289 if two else 310]


@pytest.mark.usefixtures("_one_signature")
def test_flags_of_the_search_and_pruning(run_dir: Path, tmp_path: Path) -> None:
    for number in ("3", "7"):
        (tmp_path / number).mkdir()
    flags = [
        "--beam-size",
        "2",
        "--length-penalty",
        "0.5",
        "--maximum-length-ratio",
        "1.1",
        "--keep",
        "2",
    ]
    assert export.main(["--run-dir", str(run_dir), "--output", str(tmp_path), *flags]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8"]
    search = json.loads((tmp_path / "8" / "assets.extra" / "model_card.json").read_text())["search"]
    assert (search["beam_size"], search["length_penalty"], search["maximum_length_ratio"]) == (
        2,
        0.5,
        1.1,
    )
