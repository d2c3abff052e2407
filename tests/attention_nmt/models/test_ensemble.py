"""Several models as one: the mean of their probabilities, wherever one model goes."""

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from attention_nmt.backend import compiled
from attention_nmt.config import SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelCard
from attention_nmt.models.ensemble import Ensemble, _together
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import longest_translation, search_model
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.stored import open_model
from attention_nmt.translation.translator import Translator
from serving import litert, litert_runtime, save
from serving.export import export
from serving.servable import Servable
from tests.attention_nmt.models import oracle
from tests.attention_nmt.tiny import VARIANTS, tiny_batch, tiny_model
from tests.serving.exported import TEXTS, predict
from tests.training.corpora import PAIRS

KINDS = ("lstm, word query", "transformer", "no attention", "transformer decoder")
LENGTHS = [(5, 4), (3, 6), (1, 1), (6, 5)]
PIECES = 310
SEARCH = SearchConfig(beam_size=3, n_best=2, maximum_length_ratio=1.5)


def members(pieces: int = 40) -> list[Seq2Seq]:
    """Models of four kinds, each with weights of its own."""
    sizes: dict[str, Any] = {"source_vocabulary_size": pieces, "target_vocabulary_size": pieces}
    return [tiny_model(seed, **VARIANTS[kind], **sizes) for seed, kind in enumerate(KINDS)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for pair in PAIRS for text in pair], PIECES)


@pytest.fixture(scope="module")
def translators(tokenizer: Tokenizer) -> list[Translator]:
    return [Translator(model, tokenizer, SEARCH) for model in members(PIECES)]


def expected_rows(models: list[Seq2Seq], inputs: dict[str, np.ndarray], row: int) -> tuple:
    """Mean probabilities `[T, V]` and alignments `[T, S]` of a pair, by the equations."""
    source_length, target_length = LENGTHS[row]
    pair = inputs["source"][row, :source_length], inputs["target"][row, :target_length]
    runs = [oracle.run(model, *pair) for model in models]
    scores = [np.exp(run.logits) for run in runs]
    probabilities = np.mean([s / s.sum(axis=-1, keepdims=True) for s in scores], axis=0)
    aligned = [run.alignments for run, model in zip(runs, models, strict=True) if model.aligns]
    return probabilities, np.mean(aligned, axis=0)


def test_probabilities_and_alignments_are_the_means_of_the_members() -> None:
    """By teacher forcing and step by step, with two equal hypotheses a sentence."""
    models = members()
    ensemble = Ensemble(models)
    inputs, _, _ = tiny_batch(LENGTHS)
    logits = np.asarray(ensemble(inputs))
    alignment = np.asarray(ensemble.align(inputs))
    rows = [expected_rows(models, inputs, row) for row in range(len(LENGTHS))]
    for row, (s, t) in enumerate(LENGTHS):
        np.testing.assert_allclose(np.exp(logits[row, :t]), rows[row][0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(alignment[row, :t, :s], rows[row][1], rtol=0, atol=1e-5)

    memory, state = ensemble.start(inputs["source"], 6)
    state = keras.tree.map_structure(
        lambda x: keras.ops.repeat(x, 2, axis=1) if len(x.shape) else x, state
    )
    for position in range(6):
        ids = np.repeat(inputs["target"][:, position, None], 2, axis=1)
        step = ensemble.step(ids, state, memory)
        state = step.state
        for row, (s, t) in enumerate(LENGTHS):
            if position >= t:
                continue
            for beam in (0, 1):
                found = np.exp(step.logits[row, beam])
                np.testing.assert_allclose(found, rows[row][0][position], rtol=0, atol=1e-6)
                aligned = np.asarray(step.alignment)[row, beam, :s]
                np.testing.assert_allclose(aligned, rows[row][1][position], rtol=0, atol=1e-5)


def test_weights_laid_out_change_nothing() -> None:
    ensemble = Ensemble(members())
    source = tiny_batch(LENGTHS)[0]["source"]
    plain = search_model(ensemble, source, SEARCH)
    laid_out = search_model(ensemble, source, SEARCH, weights=ensemble.search_weights(2**20))
    np.testing.assert_array_equal(laid_out.ids, plain.ids)
    np.testing.assert_allclose(laid_out.scores, plain.scores, rtol=0, atol=1e-5)


def test_a_shortlist_means_the_same_in_every_batch_and_loop() -> None:
    """Members that are sure of other pieces: each counts by its probabilities of all of them,
    whatever the list has for the other sentences of a batch."""
    models = [tiny_model(seed, 2.0, **VARIANTS[kind]) for seed, kind in enumerate(KINDS[:2])]
    ensemble = Ensemble(models)
    source = tiny_batch(LENGTHS * 2)[0]["source"]
    generator = np.random.default_rng(5)
    candidates = generator.integers(4, 40, (40, 2)).astype(np.int32)
    shortlist = Shortlist(candidates, np.array([3, 5, 6, 7, 8]), 40)
    plain = search_model(ensemble, source, SEARCH, shortlist=shortlist)
    loop = LoopOptions(changing_shapes=True)
    together = search_model(ensemble, source, SEARCH, shortlist=shortlist, loop=loop)
    np.testing.assert_allclose(together.scores, plain.scores, rtol=0, atol=1e-4)
    for row, (length, _) in enumerate(LENGTHS):
        one = source[row : row + 1, :length]
        alone = search_model(ensemble, one, SEARCH, shortlist=shortlist, loop=loop)
        np.testing.assert_allclose(alone.scores[0], plain.scores[row], rtol=0, atol=1e-4)
        for found in (alone.ids[0, 0], together.ids[row, 0]):
            pieces = np.trim_zeros(np.asarray(plain.ids[row, 0]), "b")
            np.testing.assert_array_equal(np.trim_zeros(np.asarray(found), "b"), pieces)


def test_what_no_member_thinks_possible_is_finite() -> None:
    """An infinite log-probability would make a difference of two of them no number."""
    logits = np.array([[0.0, -200.0]], np.float32)
    found = np.asarray(_together([logits, logits]))
    np.testing.assert_allclose(found, [[0.0, np.log(1.2e-38)]], atol=1e-4)


def test_one_model_is_itself(translators: list[Translator]) -> None:
    alone = translators[0]
    expected = alone(TEXTS)
    found = Translator.together([alone])(TEXTS)
    assert [t.text for t in found] == [t.text for t in expected]
    np.testing.assert_allclose([t.score for t in found], [t.score for t in expected], atol=1e-5)


@pytest.mark.parametrize("count", [2, pytest.param(len(KINDS), marks=pytest.mark.long)])
def test_saved_models_served_and_converted(
    count: int, translators: list[Translator], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The command makes one folder of several; the v1 loader and LiteRT translate as that does."""
    translators = translators[:count]
    names = [str(tmp_path / f"member-{index}") for index in range(len(translators))]
    for name, translator in zip(names, translators, strict=True):
        translator.save(name)
    output = tmp_path / "together"
    arguments = ["--model", names[0], "--together-with", *names[1:], "--output", str(output)]
    assert save.main(arguments) == 0

    expected = Translator.together(translators)(TEXTS)
    assert len({t.text for t in expected}) > 3
    translator = Translator.from_preset(output)
    assert isinstance(translator.model, Ensemble)
    assert translator.search == SEARCH
    found = translator(TEXTS)
    assert [t.text for t in found] == [t.text for t in expected]
    np.testing.assert_allclose([t.score for t in found], [t.score for t in expected], atol=1e-5)

    servable = Servable("nmt", 1, export(translator, tmp_path / "export"))
    texts, scores = predict(servable, TEXTS)
    servable.close()
    assert texts == [t.text for t in expected]
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)

    litert.save_ids_model(translator, str(tmp_path / "ids"))
    model = litert.convert(str(tmp_path / "ids"), "none")
    ids = litert_runtime.translate(model, tokenizer.encode(TEXTS))
    assert tokenizer.decode(ids) == [t.text for t in expected]


def test_a_weight_of_a_member_that_is_not_finite(tokenizer: Tokenizer, tmp_path: Path) -> None:
    models = members(PIECES)
    together = Translator.together([Translator(model, tokenizer) for model in models])
    models[2].weights[0].assign(np.full(models[2].weights[0].shape, np.nan))
    with pytest.raises(ValueError, match="finite"):
        together.save(tmp_path / "model")
    with pytest.raises(ValueError, match="finite"):
        export(together, tmp_path / "export")


def test_a_description_of_more_weights_than_the_file_has(
    translators: list[Translator], tmp_path: Path
) -> None:
    """Is refused before memory is taken."""
    folder = tmp_path / "together"
    Translator.together(translators).save(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"decoder_units": 7', '"decoder_units": 70000000'))
    with pytest.raises(ValueError, match=r"config\.json: expected a model of at most .* weights"):
        open_model(folder).load_model()


def test_what_is_refused(translators: list[Translator]) -> None:
    with pytest.raises(ValueError, match="`members` must be at least one model"):
        Ensemble([])
    with pytest.raises(TypeError, match=r"`members\[1\]` must be a model of Keras"):
        Ensemble([members()[0], "model"])
    with pytest.raises(TypeError, match=r"`members\[0\]` must be a model of Keras that keeps"):
        Ensemble([keras.Sequential()])
    one, second = members()[:2]
    for sharing in ([one, one], [one, Ensemble([one, second])]):
        with pytest.raises(ValueError, match="`members` must be models that share no weights"):
            Ensemble(sharing)
    with pytest.raises(ValueError, match="`quantize` must be left out"):
        Ensemble([one]).quantize("int8")
    with pytest.raises(ValueError, match=r"the same numbers of pieces, \(40, 40\) as the first"):
        Ensemble([members()[0], members(PIECES)[0]])
    with pytest.raises(ValueError, match="`members` must be one that aligns at least"):
        Ensemble([members()[2]]).align(tiny_batch(LENGTHS)[0])

    other = Tokenizer.train([source for source, _ in PAIRS], 290)
    sizes: dict[str, Any] = {"source_vocabulary_size": 290, "target_vocabulary_size": 290}
    with pytest.raises(ValueError, match=r"`translators\[1\]` must be .* source_tokenizer"):
        Translator.together([translators[0], Translator(tiny_model(**sizes), other)])
    with pytest.raises(TypeError, match=r"`translators\[0\]` must be a Translator"):
        Translator.together(["runs/a"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="`translators` must be at least one"):
        Translator.together([])


def test_the_positions_that_all_members_read() -> None:
    assert Ensemble(members()).longest_source is None
    limited = tiny_model(**VARIANTS["pretrained encoder"])
    assert Ensemble([members()[0], limited]).longest_source == limited.longest_source


def test_models_that_the_command_does_not_put_together(
    translators: list[Translator], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Known before weights are read: languages and tokenizers."""
    other = Tokenizer.train([source for source, _ in PAIRS], 290)
    sizes: dict[str, Any] = {"source_vocabulary_size": 290, "target_vocabulary_size": 290}
    french, german, small = (str(tmp_path / name) for name in ("french", "german", "small"))
    translators[0].save(french, card=ModelCard(source="en", target="fr"))
    translators[1].save(german, card=ModelCard(source="en", target="de"))
    Translator(tiny_model(**sizes), other).save(small)
    for name, said in ((german, "models whose target is 'fr'"), (small, "source tokenizer")):
        arguments = ["--model", french, "--together-with", name, "--output", str(tmp_path / "out")]
        assert save.main(arguments) == 1
        error = capsys.readouterr().err
        assert "--together-with must be models" in error
        assert said in error
        assert name in error
    assert not (tmp_path / "out").exists()


def test_a_keras_file(tmp_path: Path) -> None:
    ensemble = Ensemble(members())
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.saving.load_model(tmp_path / "ensemble.keras")
    inputs, _, _ = tiny_batch(LENGTHS)
    np.testing.assert_allclose(loaded(inputs), ensemble(inputs), rtol=0, atol=1e-6)


ON_JAX = """
import sys
import keras
import numpy as np
from tests.attention_nmt.models.test_ensemble import found_by_steps
folder, = sys.argv[1:]
model = keras.saving.load_model(folder + "/ensemble.keras")
np.savez(folder + "/found.npz", **found_by_steps(model))
"""


def found_by_steps(model: Ensemble) -> dict[str, np.ndarray]:
    """Log-probabilities by teacher forcing, and what a beam finds, on any backend."""
    inputs = tiny_batch(LENGTHS)[0]
    options = LoopOptions(static_length=longest_translation(inputs["source"].shape[1], SEARCH))
    search = functools.partial(search_model, model, config=SEARCH, loop=options)
    found = compiled(search, jit_compile=False)(keras.ops.convert_to_tensor(inputs["source"]))
    return {
        "logits": np.asarray(model(inputs)),
        "ids": np.asarray(found.ids),
        "scores": np.asarray(found.scores),
    }


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_on_jax(tmp_path: Path) -> None:
    ensemble = Ensemble(members())
    ensemble.save(tmp_path / "ensemble.keras")
    process = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    with np.load(tmp_path / "found.npz") as on_jax:
        for name, value in found_by_steps(ensemble).items():
            np.testing.assert_allclose(on_jax[name], value, rtol=0, atol=1e-5, err_msg=name)
