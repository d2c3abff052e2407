"""A model that keeps the contract goes through everything, though it is no `Seq2Seq`."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from attention_nmt.config import SearchConfig, to_json
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import search_model
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.translation.translator import Translator
from serving import litert, litert_runtime
from serving.export import export
from serving.servable import Servable
from tests.bigram import Bigrams
from tests.serving.exported import TEXTS, predict
from tests.training.corpora import PAIRS, write_folder
from training import evaluate
from training.presets import TrainConfig

PIECES = 310
END = 3
SEARCH = SearchConfig(beam_size=3, n_best=2, maximum_length_ratio=1.5)


def random_bigrams(aligns: bool) -> Bigrams:
    """A random table that ends the sooner the later it is."""
    model = Bigrams(PIECES, aligns)
    generator = np.random.default_rng(7)
    for weight in (model.next, model.lexicon):
        weight.assign(generator.normal(0, 2, weight.shape))
    model.hurry.assign(np.eye(PIECES)[END])
    return model


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for pair in PAIRS for text in pair], PIECES)


def scored(
    model: Bigrams, source: list[int], ids: list[int], listed: np.ndarray | None = None
) -> float:
    """The score of a translation, written once more in NumPy, among listed pieces."""
    among = np.arange(PIECES) if listed is None else listed
    table = np.asarray(model.next, np.float64)
    bag = np.asarray(model.lexicon, np.float64)[source].mean(axis=0)
    total = 0.0
    for position, (previous, piece) in enumerate(zip([2, *ids[:-1]], ids, strict=True)):
        logits = table[previous] + bag
        logits[END] += position
        total += logits[piece] - np.log(np.exp(logits[among]).sum())
    return total / ((5 + len(ids)) / 6)


def test_a_shortlist(tokenizer: Tokenizer) -> None:
    """Scores are shares among its pieces, whether the model leaves the others out or they are
    masked."""
    model = random_bigrams(aligns=False)
    (ids,) = tokenizer.encode(TEXTS[:1])
    source = np.array([[*ids, END]])
    listed = np.arange(0, PIECES, 3)
    shortlist = Shortlist(np.zeros((PIECES, 1), np.int32), listed, PIECES)
    for changing in (False, True):
        loop = LoopOptions(changing_shapes=changing)
        found = search_model(model, source, SEARCH, shortlist=shortlist, loop=loop)
        pieces = np.trim_zeros(np.asarray(found.ids[0, 0]), "b").tolist()
        assert set(pieces) <= set(listed.tolist())
        expected = scored(model, [*ids, END], pieces, listed)
        assert float(found.scores[0, 0]) == pytest.approx(expected, abs=1e-4)


SEARCHES = {
    "greedy": SearchConfig(beam_size=1, maximum_length_ratio=1.5),
    "beam": SEARCH,
    "samples": SearchConfig(beam_size=3, n_best=2, temperature=0.5, maximum_length_ratio=1.5),
}


@pytest.mark.parametrize("aligns", [False, True])
@pytest.mark.parametrize("search", SEARCHES.values(), ids=list(SEARCHES))
def test_a_search(search: SearchConfig, aligns: bool, tokenizer: Tokenizer) -> None:
    """Its state has a scalar, which every search hands on as it is."""
    model = random_bigrams(aligns)
    sources = [[*ids, END] for ids in tokenizer.encode(TEXTS[:3])]
    width = max(map(len, sources))
    source = np.array([ids + [0] * (width - len(ids)) for ids in sources])
    found = search_model(model, source, search)
    assert (found.alignments is not None) == aligns
    for row, ids in enumerate(sources):
        for n in range(search.n_best):
            pieces = np.trim_zeros(np.asarray(found.ids[row, n]), "b").tolist()
            assert float(found.scores[row, n]) == pytest.approx(
                scored(model, ids, pieces), abs=1e-4
            )


@pytest.mark.parametrize("aligns", [pytest.param(False, marks=pytest.mark.long), True])
def test_translator_saved_model_and_litert(
    aligns: bool, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The v1 loader that serves and LiteRT's interpreter give what the translator gives."""
    translator = Translator(random_bigrams(aligns), tokenizer, SEARCH)
    expected = translator(TEXTS)
    assert len({t.text for t in expected}) > 5
    frozen = translator.frozen()(TEXTS)
    assert [t.text for t in frozen] == [t.text for t in expected]
    for translation in expected:
        assert (translation.alignment is not None) == aligns
        if translation.alignment is not None and translation.target_tokens:
            count = len(translation.source_tokens)
            np.testing.assert_allclose(translation.alignment, 1 / count, atol=1e-6)

    servable = Servable("nmt", 1, export(translator, tmp_path / "model"))
    texts, scores = predict(servable, TEXTS)
    servable.close()
    assert texts == [t.text for t in expected]
    np.testing.assert_allclose(scores, [t.score for t in expected], atol=1e-4)

    folder = str(tmp_path / "ids")
    litert.save_ids_model(translator, folder)
    model = litert.convert(folder, "none")
    sources = tokenizer.encode(TEXTS)
    found = litert_runtime.translate(model, sources)
    assert tokenizer.decode(found) == [t.text for t in expected]


@pytest.mark.parametrize("aligns", [False, pytest.param(True, marks=pytest.mark.long)])
def test_an_evaluation(aligns: bool, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """From a run folder, whose `best.keras` is of a class that the package has never heard of."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    dataset = write_folder(tmp_path / "data")
    run.config.write_text(to_json(TrainConfig(dataset=str(dataset), search=SEARCH)))
    tokenizer.save(run.source_tokenizer)
    random_bigrams(aligns).save(run.best)
    keras.utils.clear_session()

    assert evaluate.main(["--run-dir", str(run.path), "--split", "test"]) == 0
    folder = run.path / "evaluation" / "test"
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["sentences"] == 10
    assert ("habits" in scores) == aligns
    translator = Translator.from_run(run.path)
    sources = [source for source, _ in PAIRS[-10:]]
    expected = "".join(f"{t.text}\n" for t in translator(sources))
    assert (folder / "hypotheses.txt").read_text() == expected
