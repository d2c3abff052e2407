"""Shortlists: counted by hand, and used by everything that translates."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.translation.translator import Translator
from serving import export, litert_runtime, onnx, save, tflite
from serving.servable import Servable
from tests.serving.exported import predict
from tests.training.corpora import PAIRS, write_folder
from tests.training.runs import untrained_run
from training import shortlist
from training.shortlisting import SMALLEST_WEIGHT, Links, choose, count_links, coverage

TEXTS = [source for source, _ in PAIRS[:6]]


class Made(NamedTuple):
    """A model, its shortlist, and a model that has it."""

    run: Path
    file: Path
    short: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("shortlist")
    corpus = write_folder(folder / "corpus")
    found = Made(folder / "run", folder / "shortlist.npz", folder / "short")
    untrained_run(found.run, corpus)
    run = ["--run-dir", str(found.run)]
    flags = ["--pieces", "3", "--usual", "20"]
    assert shortlist.main([*run, "--output", str(found.file), *flags]) == 0
    assert save.main([*run, "--output", str(found.short), "--shortlist", str(found.file)]) == 0
    return found


def test_links_are_counted(made: Made) -> None:
    translator = Translator.from_preset(made.run)
    sources, targets = ([pair[side] for pair in PAIRS[:5]] for side in (0, 1))
    links = count_links(translator, sources, targets)

    tokenizer = translator.source_tokenizer
    expected: Counter[tuple[str, str]] = Counter()
    for found in translator.align(sources, targets):
        for row, written in zip(found.weights, found.target_tokens, strict=True):
            for weight, read in zip(row, found.source_tokens, strict=True):
                expected[read, written] += weight if weight >= SMALLEST_WEIGHT else 0

    tokens = [tokenizer.tokens(ids.tolist()) for ids in (links.source, links.target)]
    counted = dict(zip(zip(*tokens, strict=True), links.weights, strict=True))
    assert counted == pytest.approx({couple: n for couple, n in expected.items() if n})


def test_the_best_are_chosen() -> None:
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    links = Links(
        source=np.array([9, 9, 9, 9, 30, 30, 3]),
        target=np.array([40, 41, 42, 43, 44, 45, 3]),
        weights=np.array([1.0, 5.0, 3.0, 0.05, 2.0, 2.0, 4.0]),
    )
    found = choose(links, tokenizer, tokenizer, pieces=2, share=0.01, usual=2)
    np.testing.assert_array_equal(found.candidates[9], [9, 41, 42])
    np.testing.assert_array_equal(found.candidates[30], [30, 44, 45])
    np.testing.assert_array_equal(found.candidates[50], [50, 0, 0])
    np.testing.assert_array_equal(found.candidates[3], [0, 3, 0])
    np.testing.assert_array_equal(found.candidates[0], [0, 0, 0])
    np.testing.assert_array_equal(found.usual, [3, 41])

    found = choose(links, tokenizer, tokenizer, pieces=9, share=0.01, usual=1)
    np.testing.assert_array_equal(found.candidates[9], [9, 41, 42, 40])


def test_what_a_list_leaves(made: Made) -> None:
    """Of two pairs, by hand."""
    translator = Translator.from_preset(made.run)
    tokenizer = translator.source_tokenizer
    (first, _), written = (
        tokenizer.encode(["black", "dog"]),
        tokenizer.encode(["noir", "chien"]),
    )
    candidates = np.zeros((310, 1), np.int32)
    for piece in first:
        candidates[piece] = written[0][0]
    usual = np.array([3, *written[1][:1]])
    found = coverage(
        Shortlist(candidates, usual, 310), translator, ["black", "dog"], ["noir", "chien"]
    )
    allowed = [{0, 3, written[0][0], written[1][0]}, {0, 3, written[1][0]}]
    there = sum(piece in allowed[row] for row in (0, 1) for piece in written[row])
    assert found.share == there / sum(map(len, written)) < 1
    assert found.alone == np.mean([len(one) for one in allowed])
    assert found.together == len(set().union(*allowed))


def test_everything_translates_by_it(made: Made, tmp_path: Path) -> None:
    """Translator, SavedModel and LiteRT write the same, and nothing that is not on the list."""
    translator = Translator.from_preset(made.short)
    tokenizer = translator.source_tokenizer
    listed = Shortlist.load(made.file)
    found = translator(TEXTS)
    free = Translator.from_preset(made.run)(TEXTS)
    assert [one.text for one in found] != [one.text for one in free]
    for text, translation in zip(TEXTS, found, strict=True):
        ids = np.array(tokenizer.source_ids([text], 100))
        allowed = set(tokenizer.tokens(np.flatnonzero(listed.allowed(ids)).tolist()))
        assert set(translation.target_tokens) <= allowed

    model = ["--model", str(made.short)]
    assert export.main([*model, "--output", str(tmp_path / "nmt")]) == 0
    servable = Servable("nmt", 1, tmp_path / "nmt" / "1")
    assert predict(servable, TEXTS)[0] == [one.text for one in found]
    servable.close()

    lite = tmp_path / "model.tflite"
    assert tflite.main([*model, "--output", str(lite)]) == 0
    written = litert_runtime.translate(str(lite), tokenizer.encode(TEXTS))
    assert Tokenizer.load(lite.with_suffix(".target.model")).decode(written) == [
        one.text for one in found
    ]


@pytest.mark.long
def test_onnx_translates_by_it(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    check = tmp_path / "check.txt"
    check.write_text("\n".join(TEXTS), encoding="utf-8")
    flags = ["--output", str(tmp_path / "m.onnx"), "--check", str(check)]
    assert onnx.main(["--model", str(made.short), *flags]) == 0
    assert "MB; 6 of 6 translations equal to TensorFlow's" in capsys.readouterr().out


def test_what_is_refused(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--run-dir", str(made.run), "--output", str(tmp_path / "s.npz")]
    assert shortlist.main([*arguments, "--pieces", "0"]) == 1
    assert "--pieces must be at least 1" in capsys.readouterr().err
    assert shortlist.main([*arguments, "--share", "1"]) == 1
    assert "--share must be in [0, 1)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
