"""A run as a folder to share, which every command takes in its place."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attention_nmt.model_folder import ModelFolder
from attention_nmt.stored import open_model
from attention_nmt.translation.translator import Translator
from serving import export, save, tflite, translate
from serving.servable import Servable
from tests.serving.exported import TEXTS, predict
from tests.training.corpora import write_folder
from training import evaluate


@pytest.fixture(scope="module")
def folder(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as a folder."""
    parent = tmp_path_factory.mktemp("saved")
    card = parent / "card.md"
    card.write_bytes(b"\xef\xbb\xbfTrained on *nothing*.\r\n\r\nAs on Windows.\r\n")
    flags = ["--storage", "int8", "--license", "cc-by-2.0", "--text", str(card)]
    arguments = ["--run-dir", str(run_dir), "--output", str(parent / "model"), *flags]
    assert save.main(arguments) == 0
    return parent / "model"


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[str]:
    return [found.text for found in Translator.from_preset(folder)(TEXTS)]


def test_the_folder_has_what_the_run_has(folder: Path, run_dir: Path) -> None:
    stored = ModelFolder(folder)
    run = open_model(run_dir)
    assert stored.read_search() == run.read_search()
    assert stored.samples == run.samples
    assert b"\nTrained on *nothing*.\n\nAs on Windows.\n" in stored.readme.read_bytes()
    assert stored.read_card().license == "cc-by-2.0"


def test_it_translates(
    folder: Path, expected: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert translate.main(["--model", str(folder), *TEXTS[:3]]) == 0
    assert capfd.readouterr().out.splitlines() == [text.strip() for text in expected[:3]]


def test_it_is_exported(folder: Path, expected: list[str], tmp_path: Path) -> None:
    assert export.main(["--model", str(folder), "--output", str(tmp_path / "nmt")]) == 0
    servable = Servable("nmt", 1, tmp_path / "nmt" / "1")
    assert predict(servable, TEXTS)[0] == expected
    servable.close()

    card = tmp_path / "nmt" / "1" / "assets.extra" / "model_card.json"
    about = json.loads(card.read_text(encoding="utf-8"))
    assert about["card"]["license"] == "cc-by-2.0"
    assert about["metadata"]["storage"] == "int8"


def test_it_is_converted(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "nmt.tflite"
    assert tflite.main(["--model", str(folder), "--output", str(output)]) == 0
    count = len([text for text in TEXTS if text])
    assert f"{count} of {count} translations equal" in capfd.readouterr().out
    assert output.is_file()


def test_it_is_evaluated_on_a_dataset_that_is_given(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus = write_folder(tmp_path / "corpus")
    arguments = ["--model", str(folder), "--source", "en", "--target", "fr"]
    assert evaluate.main(arguments) == 1
    assert "--dataset must be given: model does not say it" in capfd.readouterr().err

    output = tmp_path / "scores"
    arguments += ["--dataset", str(corpus), "--output", str(output)]
    assert evaluate.main(arguments) == 0
    assert "BLEU" in capfd.readouterr().out
    assert (output / "scores.json").is_file()
    assert not (folder / "evaluation").exists()


def test_a_model_is_asked_for_once(capfd: pytest.CaptureFixture[str]) -> None:
    expected = "error: --model must be given, by itself or by its older spelling --run-dir."
    assert translate.main(["a"]) == 1
    assert capfd.readouterr().err.startswith(expected)
    assert translate.main(["--model", "a", "--run-dir", "b", "c"]) == 1
    assert capfd.readouterr().err.startswith(expected)


def test_a_text_that_is_not_utf8_is_named(
    run_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "card.md"
    card.write_bytes("schön".encode("latin-1"))
    flags = ["--run-dir", str(run_dir), "--output", str(tmp_path / "model"), "--text", str(card)]
    assert save.main(flags) == 1
    assert f"{card}, line 1, byte 4: expected UTF-8" in capfd.readouterr().err


@pytest.mark.long
def test_a_keras_script_gets_to_a_server(tmp_path: Path) -> None:
    """`fit`, `save`, and the command line on what the script saved."""
    script = """
import keras, tensorflow as tf
import attention_nmt as nmt

pairs = [(f"the {c} {n}", f"la {n} {c}") for c in ("red", "blue") for n in ("dress", "car")]
english, french = map(list, zip(*pairs))
tokenizer = nmt.Tokenizer.train(english + french, vocabulary_size=276)
dataset = tf.data.Dataset.from_tensor_slices((english, french))
batches = nmt.TrainingBatches(dataset, tokenizer, tokenizer, nmt.BatchConfig(batch_size=4))
size = tokenizer.vocabulary_size
model = nmt.Seq2Seq(nmt.ModelConfig(
    source_vocabulary_size=size, target_vocabulary_size=size, embedding_size=8, encoder_units=8,
    decoder_units=8, attention_units=8, readout_units=8))
model.compile("adam", nmt.CrossEntropy(), jit_compile=False)
model.fit(batches.dataset(), verbose=0)
card = nmt.ModelCard(source="en", target="fr")
nmt.Translator(model, tokenizer).save("model", card=card, samples=english)
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    folder = str(tmp_path / "model")
    assert export.main(["--model", folder, "--output", str(tmp_path / "nmt")]) == 0
    servable = Servable("nmt", 1, tmp_path / "nmt" / "1")
    translations, _ = predict(servable, ["the red dress"])
    servable.close()
    assert translations == [
        found.text for found in Translator.from_preset(folder)(["the red dress"])
    ]
