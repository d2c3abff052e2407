"""Trainings with a pretrained encoder of KerasHub, and what comes after them."""

import shutil
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest

from attention_nmt.config import ModelConfig, SearchConfig
from attention_nmt.data.hub_tokenizer import HubTokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.layers.pretrained_encoder import describe_backbone
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.translation.translator import Translator
from serving import tflite
from serving.export import export
from serving.servable import Servable
from serving.web import command as web
from tests.hub_presets import KINDS, write_preset
from tests.serving.exported import predict
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import shortlist
from training.folder import read_config
from training.train import main

TEXTS = [source for source, _ in PAIRS[::60]] + ["", "Zebra \u65e5\u672c!"]
STEPS = ["--warmup-steps=1", "--evaluate-steps=4", "--checkpoint-steps=2", "--steps=4"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_preset(tmp_path_factory.mktemp("presets") / "bert", "bert")


def train(preset: Path, corpus: Path, run: Path, *arguments: str) -> int:
    sizes = [*TINY_MODEL, "--vocabulary-size=289", "--maximum-source-length=60"]
    flags = [*sizes, *STEPS, *arguments]
    where = ["--encoder", f"keras_hub:{preset}", "--dataset", str(corpus), "--run-dir", str(run)]
    return main([*where, *flags])


@pytest.fixture(scope="module")
def run(preset: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps with a frozen encoder."""
    path = tmp_path_factory.mktemp("runs") / "run"
    frozen = [
        "--freeze",
        "encoder",
        "--decoder",
        "transformer",
        "--decoder-layers=1",
        "--transformer.heads=2",
    ]
    assert train(preset, corpus, path, *frozen) == 0
    return path


def weights_by_path(preset: Path) -> list[keras.Variable]:
    """Those of a preset's backbone that annotate words."""
    backbone = keras_hub.models.Backbone.from_preset(str(preset))
    return [weight for weight in backbone.weights if "pooled_dense" not in weight.path]


def weights_of(preset: Path) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in weights_by_path(preset)]


def encoder_of(run: Path) -> list[np.ndarray]:
    return RunFolder(run).load_model().encoder.get_weights()


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(*pair) for pair in zip(one, other, strict=True)]


def test_a_frozen_encoder_is_the_presets(preset: Path, run: Path) -> None:
    assert all(equal(weights_of(preset), encoder_of(run)))
    config = read_config(RunFolder(run))
    assert config.model.encoder == f"keras_hub:{preset}"
    assert not config.shared_vocabulary
    source, target = RunFolder(run).load_tokenizers()
    hub = keras_hub.models.Tokenizer.from_preset(str(preset))
    assert source.encode(TEXTS) == [[i + 1 for i in hub.tokenize(text)] for text in TEXTS]
    assert config.model.source_vocabulary_size == hub.vocabulary_size() + 1
    assert config.model.target_vocabulary_size == target.vocabulary_size == 289


def check_what_comes_after(run: Path, folder: Path) -> None:
    """A SavedModel, LiteRT and a folder to share translate as the run does."""
    translator = Translator.from_preset(run)
    expected = translator(TEXTS)
    assert expected[0].source_tokens[0] in ("[CLS]", "<s>")

    servable = Servable("nmt", 1, export(translator, folder / "nmt"))
    translations, scores = predict(servable, TEXTS)
    servable.close()
    assert translations == [one.text for one in expected]
    np.testing.assert_allclose(scores, [one.score for one in expected], atol=1e-4)

    said = tflite.convert(tflite.ConvertConfig(run_dir=run, output=folder / "model.tflite"))
    assert "translations equal to the SavedModel's" in said

    translator.save(folder / "shared")
    shared = Translator.from_preset(folder / "shared")
    assert [one.text for one in shared(TEXTS)] == [one.text for one in expected]


def test_it_is_exported_converted_and_shared(run: Path, tmp_path: Path) -> None:
    check_what_comes_after(run, tmp_path)


def test_a_shortlist_of_its_pieces(run: Path, tmp_path: Path) -> None:
    """A list is by the source's pieces, which are spelled otherwise than the target's."""
    flags = ["--run-dir", str(run), "--pieces", "2", "--usual", "12"]
    assert shortlist.main([*flags, "--output", str(tmp_path / "list.npz")]) == 0
    listed = Shortlist.load(tmp_path / "list.npz")
    translator = Translator.from_preset(run)
    tokenizer = translator.target_tokenizer
    for text, found in zip(TEXTS, translator.with_shortlist(listed)(TEXTS), strict=True):
        ids = np.array(translator.source_tokenizer.source_ids([text], 60))
        pieces = np.flatnonzero(listed.allowed(ids)[0]).tolist()
        assert 12 <= len(pieces) < 60
        assert set(found.target_tokens) <= set(tokenizer.tokens(pieces))


def test_neither_a_page_nor_text_in_litert_is_made_of_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "check_runtime", lambda: None)  # LiteRT.js may not be here
    config = tflite.ConvertConfig(run_dir=run, output=tmp_path / "model.tflite", text=True)
    with pytest.raises(ValueError, match="`text` must be left out: no pieces of a pretr"):
        tflite.convert(config)
    with pytest.raises(ValueError, match="`model` must be one whose tokenizer is its own"):
        web.write(web.WebConfig(run_dir=run, output=tmp_path / "site"))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind != "bert"]
)
def test_other_backbones(kind: str, corpus: Path, tmp_path: Path) -> None:
    preset = write_preset(tmp_path / kind, kind)
    run = tmp_path / "run"
    assert train(preset, corpus, run, "--steps=2", "--evaluate-steps=2", "--freeze=encoder") == 0
    assert all(equal(weights_of(preset), encoder_of(run)))
    check_what_comes_after(run, tmp_path)


def test_it_is_trained_at_a_pace_of_its_own_and_goes_on_without_the_preset(
    preset: Path, corpus: Path, tmp_path: Path, capsys: Any
) -> None:
    """Four steps, of which the last layer is trained from the second on, the rest never."""
    moved = tmp_path / "preset"
    shutil.copytree(preset, moved)
    run = tmp_path / "run"
    pace = ["--thaw-steps=2", "--encoder-rate=0.5"]
    assert train(moved, corpus, run, *pace, "--steps=2", "--evaluate-steps=2") == 0
    assert all(equal(weights_of(preset), encoder_of(run)))

    shutil.rmtree(moved)
    assert train(moved, corpus, run, *pace, "--steps=4", "--evaluate-steps=2") == 0
    said = capsys.readouterr()
    assert "Going on from step 2 of 4." in said.out
    assert "--thaw-steps 2 begins with 1 of the encoder's 3 layers" in said.err
    with np.load(run / "checkpoint.npz") as arrays:
        held = [arrays[name] for name in arrays if name.startswith("variable:")]

    for weight in weights_by_path(preset):
        path, value = weight.path, np.asarray(weight)
        is_kept = any(np.array_equal(value, found) for found in held)
        # A bias of all keys alike changes no softmax.
        if not path.endswith("key/bias"):
            assert is_kept == ("transformer_layer_1" not in path), path


@pytest.mark.long
def test_another_training_begins_with_it(run: Path, corpus: Path, tmp_path: Path) -> None:
    """On the same texts, with a vocabulary that is new for the target alone."""
    tuned = tmp_path / "tuned"
    given = ["--initial", str(run), "--dataset", str(corpus), "--run-dir", str(tuned)]
    flags = ["--vocabulary=new", "--vocabulary-size=285", "--batch-size=16", "--buckets=2"]
    assert main([*given, *flags, *STEPS, "--no-jit-compile", "--dev-sentences=8"]) == 0
    source, target = RunFolder(tuned).load_tokenizers()
    assert isinstance(source, HubTokenizer)
    assert source.content == RunFolder(run).load_tokenizers()[0].content
    assert target.vocabulary_size == 285


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--maximum-length=65"], "--maximum-length must be at most the encoder's 64 positions"),
        (["--maximum-source-length=65"], "at most the encoder's 64 positions"),
        (["--tie-source"], "--tie-source must be False with"),
        (["--backbone={}"], "--backbone must be left out"),
        (["--freeze=encoder", "--thaw-steps=1"], "--freeze must be without the encoder where"),
        (["--attention=none", "--no-word-query"], "that aligns, with a pretrained encoder"),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    flags: list[str], said: str, preset: Path, corpus: Path, tmp_path: Path, capsys: Any
) -> None:
    assert train(preset, corpus, tmp_path / "run", *flags) != 0
    assert said in capsys.readouterr().err


def test_a_preset_that_is_not_there_is_named(corpus: Path, tmp_path: Path, capsys: Any) -> None:
    assert train(tmp_path / "nothing", corpus, tmp_path / "run") != 0
    said = capsys.readouterr().err
    assert "--encoder must be 'keras_hub:' with a preset that KerasHub loads" in said
    assert "nothing" in said


def test_layers_of_another_encoder_are_not_thawed(
    corpus: Path, tmp_path: Path, capsys: Any
) -> None:
    given = ["--dataset", str(corpus), "--run-dir", str(tmp_path / "run"), "--thaw-steps=2"]
    assert main([*given, *TINY_MODEL, *STEPS]) != 0
    said = "--thaw-steps must be 0 where the encoder is not pretrained"
    assert said in capsys.readouterr().err


def test_a_script_makes_one(preset: Path) -> None:
    """As docs/training.md says."""
    backbone = keras_hub.models.Backbone.from_preset(str(preset))
    source = HubTokenizer.from_preset(str(preset))
    target = Tokenizer.train([text for _, text in PAIRS], 289)
    model = Seq2Seq.from_tokenizer(
        source,
        target,
        encoder=f"keras_hub:{preset}",
        backbone=describe_backbone(backbone),
        decoder_units=8,
        attention_units=4,
    )
    model.encoder.copy_weights(backbone)  # type: ignore[attr-defined]
    assert all(equal(weights_of(preset), model.encoder.get_weights()))  # type: ignore[attr-defined]
    search = SearchConfig(maximum_source_length=64)
    assert len(Translator(model, source, search, target)(TEXTS)) == len(TEXTS)

    with pytest.raises(ValueError, match="at most the encoder's 64 positions"):
        Translator(model, source, target_tokenizer=target)
    with pytest.raises(TypeError, match="`tokenizer` must be a HubTokenizer, and of a pretrained"):
        Seq2Seq.from_tokenizer(source, target)
    options: dict[str, Any] = {
        "encoder": "keras_hub:x",
        "backbone": describe_backbone(backbone),
    }
    with pytest.raises(ValueError, match="`source_vocabulary_size` must be at most"):
        Seq2Seq(ModelConfig(source_vocabulary_size=4000, **options))
    with pytest.raises(ValueError, match="`backbone` must be KerasHub's description"):
        Seq2Seq(ModelConfig(**{**options, "backbone": "{}"}))


@pytest.mark.long
def test_a_run_that_has_no_weights_is_begun_with_another_preset(
    preset: Path, corpus: Path, tmp_path: Path
) -> None:
    other = write_preset(tmp_path / "other", "distil_bert")
    run = tmp_path / "run"
    assert train(preset, corpus, run, "--vocabulary-size=20000") != 0
    assert train(other, corpus, run, "--steps=2", "--freeze=encoder") == 0
    assert all(equal(weights_of(other), encoder_of(run)))
