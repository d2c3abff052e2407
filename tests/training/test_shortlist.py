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
from training import shortlist, shortlisting
from training.shortlisting import Links, choose, count_links, coverage

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


def test_links_are_counted(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several chunks, of weights that are large enough; a long target is left out."""
    monkeypatch.setattr(shortlisting, "SMALLEST_WEIGHT", 0.06)
    translator = Translator.from_preset(made.run)
    sources, targets = ([pair[side] for pair in PAIRS[:7]] for side in (0, 1))
    targets[4] = "noir " * 400
    chunks = [(sources[i : i + 2], targets[i : i + 2]) for i in range(0, 7, 2)]
    links = count_links(translator, chunks)
    assert links.left_out == 1
    del sources[4], targets[4]

    tokenizer = translator.source_tokenizer
    expected: Counter[tuple[str, str]] = Counter()
    small = 0
    for found in translator.align(sources, targets):
        for row, written in zip(found.weights, found.target_tokens, strict=True):
            for weight, read in zip(row, found.source_tokens, strict=True):
                expected[read, written] += weight if weight >= 0.06 else 0
                small += weight < 0.06
    assert small > 0

    tokens = [tokenizer.tokens(ids.tolist()) for ids in (links.source, links.target)]
    counted = dict(zip(zip(*tokens, strict=True), links.weights, strict=True))
    assert counted == pytest.approx({couple: n for couple, n in expected.items() if n})


def test_the_best_are_chosen() -> None:
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    links = Links(
        source=np.array([9, 9, 9, 9, 30, 30, 3]),
        target=np.array([40, 41, 42, 43, 44, 45, 3]),
        weights=np.array([1.0, 5.0, 3.0, 0.05, 2.0, 2.0, 4.0]),
        left_out=0,
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
    listed = Shortlist(candidates, usual, 310)
    allowed = [{3, written[0][0], written[1][0]}, {3, written[1][0]}]
    there = sum(piece in allowed[row] for row in (0, 1) for piece in written[row])

    together = (["black", "dog"], ["noir", "chien"])
    found = coverage(listed, translator, [together])
    assert found.share == there / sum(map(len, written)) < 1
    assert found.alone == np.mean([len(one) for one in allowed])
    assert found.together == len(set().union(*allowed))

    apart = [(["black"], ["noir"]), (["dog"], ["chien"])]
    found = coverage(listed, translator, apart)
    assert found.share == there / sum(map(len, written))
    assert found.together == np.mean([len(one) for one in allowed])


def test_all_corpora_of_a_mixture_are_aligned(made: Made, tmp_path: Path) -> None:
    """A pair of the second one has pieces that the first has not linked."""
    first, second = (write_folder(tmp_path / name) for name in ("first", "second"))
    for lang, text in (("en", PAIRS[0][0]), ("fr", PAIRS[0][1])):
        (first / f"{lang}.train.txt").write_text(text + "\n")
    sizes = []
    for number, dataset in enumerate([str(first), f"{first},{second}"]):
        file = tmp_path / f"{number}.npz"
        arguments = ["--run-dir", str(made.run), "--dataset", dataset, "--output", str(file)]
        assert shortlist.main(arguments) == 0
        sizes.append(np.count_nonzero(Shortlist.load(file).candidates[:, 1:]))
    assert 0 < sizes[0] < sizes[1]


def test_another_list_takes_the_place_of_a_models(made: Made, tmp_path: Path) -> None:
    """The beam is as wide as the new list lets it be, not the old one."""
    wide = Shortlist(np.zeros((310, 1), np.int32), np.arange(40), 310)
    wide.save(tmp_path / "wide.npz")
    arguments = ["--model", str(made.short), "--shortlist", str(tmp_path / "wide.npz")]
    output = tmp_path / "saved"
    assert save.main([*arguments, "--beam-size", "30", "--output", str(output)]) == 0
    found = Translator.from_preset(output)
    assert found.shortlist is not None
    np.testing.assert_array_equal(found.shortlist.usual, wide.usual)
    assert found.search.beam_size == 30


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
    blind = tmp_path / "blind"
    untrained_run(blind, write_folder(tmp_path / "corpus"), attention="none")
    output = str(tmp_path / "s.npz")
    assert shortlist.main(["--run-dir", str(blind), "--output", output]) == 1
    assert "model must be one that aligns" in capsys.readouterr().err
    assert not Path(output).exists()


def test_an_output_that_cannot_be_is_refused_before_the_work(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(shortlisting, "count_links")
    model = ["--run-dir", str(made.run), "--output"]
    assert shortlist.main([*model, str(tmp_path)]) == 1
    assert "--output must be a file" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert shortlist.main([*model, str(tmp_path / "file" / "s.npz")]) == 1
    assert "file" in capsys.readouterr().err
    most = 2**26 // 310 - 1
    assert shortlist.main([*model, str(tmp_path / "s.npz"), "--pieces", str(most + 1)]) == 1
    assert f"--pieces must be at most {most}, a table of 67,108,864" in capsys.readouterr().err


def test_a_list_of_other_tokenizers_is_refused(made: Made, tmp_path: Path) -> None:
    """Vocabularies of one size are not enough."""
    pairs = [(source.upper(), target.upper()) for source, target in PAIRS]
    untrained_run(tmp_path / "other", write_folder(tmp_path / "corpus", pairs * 3))
    listed = Shortlist.load(made.file)
    assert listed.tokenizers is not None
    other = Translator.from_run(tmp_path / "other")
    with pytest.raises(ValueError, match="`shortlist` must be of the translator's tokenizers"):
        other.with_shortlist(listed)

    unknown = Shortlist(listed.candidates, listed.usual, 310)
    unknown.save(tmp_path / "unknown.npz")
    loaded = Shortlist.load(tmp_path / "unknown.npz")
    assert loaded.tokenizers is None
    assert other.with_shortlist(loaded).shortlist is loaded
