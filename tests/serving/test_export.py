"""A run through every product that is a file: SavedModel and LiteRT, each equal to `Translator`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.lite.python import schema_py_generated as schema_fb

from attention_nmt.config import ModelConfig
from attention_nmt.data.tokenizer import SPACE, Tokenizer
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from serving import benchmark, export, tflite
from tests.attention_nmt.tiny import VARIANTS
from tests.serving.exported import SIGNATURES, TEXTS, predict, random_run
from tests.training.corpora import PAIRS

OPERATIONS = yaml.safe_load(
    (Path(export.__file__).parent / "deploy/operations.yml").read_text(encoding="utf-8")
)


def test_the_saved_model_translates_as_the_translator_does(run_dir: Path, version: Path) -> None:
    expected = Translator.from_run(run_dir)(TEXTS)
    translations, scores = predict(version, TEXTS)
    assert translations == [t.text for t in expected]
    assert len(set(translations)) > 5
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)


def graph_of(version: Path) -> tuple[set[str], set[str]]:
    """The operations and the signatures of an export."""
    saved = saved_model_pb2.SavedModel.FromString(
        (version / "saved_model.pb").read_bytes()
    ).meta_graphs[0]
    functions = saved.graph_def.library.function
    operations = {node.op for node in saved.graph_def.node} | {
        n.op for f in functions for n in f.node_def
    }
    return operations, set(saved.signature_def)


def test_the_graph_holds_nothing_that_tensorflow_serving_lacks(version: Path) -> None:
    operations, signatures = graph_of(version)
    assert operations == {
        name for kind, names in OPERATIONS.items() if kind != "options" for name in names
    }
    assert signatures >= SIGNATURES


def test_an_export_holds_each_weight_once(run_dir: Path, version: Path) -> None:
    """And, beside the weights, the products of all words and the kernel of the output product, row
    by row."""
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    held = sum(
        int(np.prod(shape))
        for name, shape in reader.get_variable_to_shape_map().items()
        if "VALUE" in name
    )
    model = Translator.from_run(run_dir).model
    weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    config = model.config
    columns = 3 * config.decoder_units + 2 * config.readout_units + config.readout_units
    assert held == weights + config.target_vocabulary_size * columns


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
    monkeypatch.setattr(export, "signatures", lambda _: {"count": count})


@pytest.mark.usefixtures("_one_signature")
def test_exporting_again_writes_the_next_version_and_nothing_else(
    run_dir: Path, tmp_path: Path
) -> None:
    translator = Translator.from_run(run_dir)
    (tmp_path / "007").mkdir()
    (tmp_path / "12").write_text("a file is no version")
    assert export.export(translator, tmp_path) == tmp_path / "8"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["007", "12", "8"]
    (tmp_path / "9").write_text("nor is it replaced")
    assert export.export(translator, tmp_path) == tmp_path / "10"
    assert export.prune(tmp_path, keep=1) == [7, 8]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["10", "12", "9"]


@pytest.mark.usefixtures("_one_signature")
def test_an_export_that_fails_leaves_nothing(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(export, "versions", fail)
    with pytest.raises(OSError, match="disk full"):
        export.export(Translator.from_run(run_dir), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--run-dir", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "is not a run folder: it has no config.json" in capsys.readouterr().err


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
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_other_kinds_of_model_and_search_are_exported(kind: str, tmp_path: Path) -> None:
    """To a SavedModel and to LiteRT, one of them with two vocabularies."""
    two = {"target_vocabulary_size": 289} if kind == "everything" else {}
    run = random_run(tmp_path / "run", SEARCHES[kind], **VARIANTS[kind], **two)
    count = sum(1 for text in TEXTS if text)
    translator = Translator.from_run(run)
    expected = translator(TEXTS)
    version = export.export(translator, tmp_path / "nmt")
    translations, scores = predict(version, TEXTS)
    assert graph_of(version)[0] <= {name for names in OPERATIONS.values() for name in names}
    assert translations == [t.text for t in expected]
    assert len(set(translations)) > 3
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)
    said = tflite.run(tflite.ConvertConfig(run, tmp_path / "model.tflite"))
    assert f"{count} of {count} translations equal to the SavedModel's" in said
    pieces = [
        Tokenizer.load(tmp_path / f"model.{side}.model").vocabulary_size
        for side in ("source", "target")
    ]
    assert pieces == [310, 289 if two else 310]


@pytest.mark.parametrize(
    "changes",
    [{"beam_size": 1}, {"beam_size": 3}, {"length_penalty": 0.5, "coverage_penalty": 0.2}],
    ids=str,
)
def test_litert_translates_as_the_saved_model_does(
    changes: dict[str, Any], run_dir: Path, tmp_path: Path
) -> None:
    """With built-in operations only; an empty line stays one, and the last needs no end."""
    output, written, lines = (
        tmp_path / name for name in ("model.tflite", "written.txt", "lines.txt")
    )
    lines.write_text("\n".join(TEXTS), encoding="utf-8")
    said = tflite.run(
        tflite.ConvertConfig(run_dir, output, check=lines, translations=written, **changes)
    )
    count = sum(1 for text in TEXTS if text)
    assert f"{count} of {count} translations equal to the SavedModel's" in said
    tokenizer = Tokenizer.load(output.with_suffix(".source.model"))
    assert tflite.translate(str(output), [[]]) == [[]]
    found = tflite.translate(str(output), tokenizer.encode(TEXTS[:4]))
    search = RunFolder(run_dir).read_search(**changes)
    expected = [t.text for t in Translator.from_run(run_dir, search)(TEXTS[:4])]
    assert [
        x.decode() for x in tokenizer.detokenize(tf.ragged.constant(found).to_tensor()).numpy()
    ] == expected
    translated = written.read_text(encoding="utf-8").split("\n")
    assert translated[:4] == expected
    assert len(translated) == len(TEXTS) + 1
    assert translated[TEXTS.index("")] == ""
    assert tflite.custom_operations(output.read_bytes()) == set()


def test_text_to_text_in_litert(run_dir: Path, tmp_path: Path) -> None:
    output, written = tmp_path / "text.tflite", tmp_path / "written.txt"
    said = tflite.run(tflite.ConvertConfig(run_dir, output, text=True, translations=written))
    count = sum(1 for text in TEXTS if text)
    assert f"{count} of {count} translations equal to the SavedModel's" in said
    found = tflite.translate_text(str(output), TEXTS[:4])
    assert written.read_text(encoding="utf-8").splitlines()[:4] == found
    # Random weights write pieces of bytes, too, which LiteRT's tokenizer leaves out and the
    # server's puts together.
    translator = Translator.from_run(run_dir, RunFolder(run_dir).read_search())
    for text, translation in zip(found, translator(TEXTS[:4]), strict=True):
        words = [
            t
            for t in translation.target_tokens
            if t not in ("<s>", "</s>") and not t.startswith("<0x")
        ]
        assert text.replace(" ", "") == "".join(words).replace(SPACE, "")
    assert tflite.translate_text(str(output), ["", "  "]) == ["", ""]
    assert tflite.custom_operations(output.read_bytes()) == tflite.TEXT_OPERATIONS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.tflite", "written.txt"]


def test_quantized_models_are_smaller(run_dir: Path, tmp_path: Path) -> None:
    """And float16 translates as float32 does; what int8 makes of random weights, whose scores are
    close, may differ."""
    sizes, equal = {}, {}
    for quantize in ("none", "float16", "int8"):
        output = tmp_path / f"{quantize}.tflite"
        said = tflite.run(tflite.ConvertConfig(run_dir, output, quantize))
        found = re.search(r"(\d+) of 13 translations equal", said)
        assert found, said
        equal[quantize] = int(found[1])
        sizes[quantize] = output.stat().st_size
    assert (equal["none"], equal["float16"]) == (13, 13)
    assert equal["int8"] >= 10
    assert max(sizes["int8"], sizes["float16"]) < sizes["none"]


class FakeModel:
    """Stands for both an interpreter and a loaded SavedModel that give these ids and this score."""

    structured_input_signature = ((), {"source": None})

    def __init__(self, ids: list[int], score: float) -> None:
        self.answer = {"ids": np.array([ids]), "score": np.array([score])}
        self.signatures = {tflite.SIGNATURE: self}

    def __call__(self, **_: Any) -> dict[str, tf.Tensor]:
        return {name: tf.constant(value) for name, value in self.answer.items()}

    def get_signature_runner(self, _: str) -> Callable[..., dict[str, np.ndarray]]:
        return lambda **_: self.answer


@pytest.mark.parametrize(
    ("ids", "score", "fine"),
    [
        ([5, 3], -0.5, True),
        ([6, 3], -0.5002, True),  # a tie that fell otherwise
        ([5, 3], -0.51, False),
        ([6, 3], -0.51, False),
        ([5, 3], float("nan"), False),
    ],
)
def test_scores_of_litert_must_be_those_of_the_saved_model(
    ids: list[int], score: float, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite, "interpreter", lambda _: FakeModel(ids, score))
    monkeypatch.setattr(tf.saved_model, "load", lambda _: FakeModel([5, 3], -0.5))
    inputs = [np.array([[5, 3]], np.int32)]
    equal = int(ids == [5, 3])
    assert tflite.check(b"", "", inputs, exact=False)[0] == equal
    if fine:
        assert tflite.check(b"", "", inputs, exact=True)[0] == equal
    else:
        with pytest.raises(ValueError, match="LiteRT and the SavedModel differ on"):
            tflite.check(b"", "", inputs, exact=True)


def test_a_tied_embedding_is_in_an_int8_file_once(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    model = Seq2Seq(
        ModelConfig(
            310,
            310,
            128,
            4,
            4,
            attention_units=4,
            readout_units=128,
            tie_source=True,
            tie_output=True,
        )
    )
    tflite.save_ids_model(Translator(model, tokenizer), str(tmp_path))
    parsed = schema_fb.Model.GetRootAs(tflite.convert(str(tmp_path), "int8"))
    sizes = [parsed.Buffers(index).DataLength() for index in range(parsed.BuffersLength())]
    assert [size for size in sizes if size >= 310 * 128] == [310 * 128]


def test_the_benchmark_measures_every_runtime(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "en.txt").write_text("".join(text + "\n" for text in TEXTS if text))
    arguments = [
        "--run-dir",
        str(run_dir),
        "--input",
        str(tmp_path / "en.txt"),
        "--beam-sizes",
        "1",
        "--requests",
        "3",
    ]
    assert benchmark.main([*arguments, "--words", "7", "--readings", "2"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])["beam 1"]
    assert len(report["throughput"]["readings"]) == 2
    assert report["throughput"]["pieces_per_s"] > report["throughput"]["sentences_per_s"] > 0
    litert = {f"LiteRT {kind}" for kind in ("float32", "float16", "int8", "text")}
    assert report["latency"].keys() == {"in process", "gRPC"} | litert
    assert all(0 < times["p50_ms"] <= times["p99_ms"] for times in report["latency"].values())
    assert benchmark.main([*arguments, "--words", "99"]) == 1
    assert "must be the length of some line" in capsys.readouterr().err
