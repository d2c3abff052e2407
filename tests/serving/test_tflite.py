"""A run as a LiteRT model, equal to `Translator`."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema_fb

from attention_nmt.config import ModelConfig, SearchChanges
from attention_nmt.data.tokenizer import SPACE, Tokenizer
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.search import longest_translation
from attention_nmt.translation.translator import Translator
from serving import litert, litert_runtime, tflite
from serving.litert_half import FEWEST, halved
from serving.litert_signatures import SIGNATURE
from tests.serving.exported import TEXTS
from tests.training.corpora import PAIRS

COUNT = sum(1 for text in TEXTS if text)
"""Texts whose translations are compared."""


def convert(run_dir: Path, output: Path, **options: Any) -> int:
    """Converts a run; gives the number of translations that are equal to the SavedModel's."""
    paths: dict[str, Any] = {"run_dir": str(run_dir), "output": str(output)}  # as users write them
    said = tflite.convert(tflite.ConvertConfig(**paths, **options))
    found = re.search(rf"(\d+) of {COUNT} translations equal to the SavedModel's", said)
    assert found, said
    return int(found[1])


@pytest.fixture(scope="module")
def plain(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with its own search, in float32."""
    output = tmp_path_factory.mktemp("plain") / "model.tflite"
    assert convert(run_dir, output) == COUNT
    return output


def texts_of(model: Path, texts: list[str]) -> list[str]:
    """Translates with a file as an application does, between its tokenizer's two calls."""
    tokenizer = Tokenizer.load(model.with_suffix(".source.model"))
    ids = litert_runtime.translate(str(model), tokenizer.encode(texts))
    return Tokenizer.load(model.with_suffix(".target.model")).decode(ids)


def test_ids_are_translated_as_the_translator_does(plain: Path, translator: Translator) -> None:
    assert texts_of(plain, TEXTS[:4]) == [t.text for t in translator(TEXTS[:4])]
    assert litert_runtime.translate(str(plain), [[]]) == [[]]
    assert litert.custom_operations(plain.read_bytes()) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"beam_size": 1},
        {"length_penalty": 0.5, "coverage_penalty": 0.2},
    ],
    ids=str,
)
@pytest.mark.long
def test_other_searches_and_written_translations(
    changes: dict[str, Any], run_dir: Path, tmp_path: Path
) -> None:
    """An empty line stays one, and the last needs no end."""
    output, written, lines = (
        tmp_path / name for name in ("model.tflite", "written.txt", "lines.txt")
    )
    lines.write_text("\n".join(TEXTS), encoding="utf-8")
    search = SearchChanges(**changes)
    equal = convert(run_dir, output, check=lines, translations=written, search=search)
    assert equal == COUNT

    changed = RunFolder(run_dir).read_search(search)
    expected = [t.text for t in Translator.from_run(run_dir, changed)(TEXTS)]
    assert texts_of(output, TEXTS[:4]) == expected[:4]
    translated = written.read_text(encoding="utf-8").split("\n")
    assert translated[:4] == expected[:4]
    assert len(translated) == len(TEXTS) + 1
    assert translated[TEXTS.index("")] == ""


def test_ids_outside_the_vocabulary_are_unknown(plain: Path) -> None:
    rows = [[17, 30, 42], [17, -1, 42], [17, 310, 42], [17, -5, 2**31 - 1]]
    unknown = [[17, 30, 42], [17, 1, 42], [17, 1, 42], [17, 1, 1]]
    found = litert_runtime.translate(str(plain), rows)
    assert found == litert_runtime.translate(str(plain), unknown)
    assert found[0] != found[1] != found[3]


def test_threads_may_share_a_runner(plain: Path, translator: Translator) -> None:
    """LiteRT's own runner ends the process, or fails, where two threads call it at once."""
    runner = litert_runtime.interpreter(str(plain)).get_signature_runner()
    rows = [[*ids, 3] for ids in translator.source_tokenizer.encode(TEXTS[:4])]
    inputs = [np.array([row], np.int32) for row in rows]
    alone = [runner(source=row)["ids"].tolist() for row in inputs]

    def translate(number: int) -> bool:
        return runner(source=inputs[number % 4])["ids"].tolist() == alone[number % 4]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(translate, range(200)))
    assert list(runner.get_input_details()) == ["source"]


def test_text_to_text(run_dir: Path, translator: Translator, tmp_path: Path) -> None:
    output, written = tmp_path / "text.tflite", tmp_path / "written.txt"
    assert convert(run_dir, output, text=True, translations=written) == COUNT
    found = litert_runtime.translate_text(str(output), TEXTS[:4])
    assert written.read_text(encoding="utf-8").splitlines()[:4] == found
    # Random weights write pieces of bytes, too, which LiteRT's tokenizer leaves out and the
    # server's puts together.
    for text, translation in zip(found, translator(TEXTS[:4]), strict=True):
        pieces = [t for t in translation.target_tokens if not re.fullmatch("</?s>|<0x..>", t)]
        assert text.replace(" ", "") == "".join(pieces).replace(SPACE, "")
    assert litert_runtime.translate_text(str(output), ["", "  "]) == ["", ""]
    long = "the dog " * 300
    with pytest.warns(UserWarning, match=r"texts\[1\] is too long: only its beginning"):
        short = litert_runtime.translate_text(str(output), ["dog", long])
    with pytest.warns(UserWarning, match=r"texts\[0\] is too long"):
        assert litert_runtime.translate_text(str(output), [long * 2000]) == short[1:]
    assert litert.custom_operations(output.read_bytes()) == litert.TEXT_OPERATIONS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.tflite", "written.txt"]


@pytest.mark.long
def test_fixed_lengths_have_signatures_that_share_their_weights(
    plain: Path, run_dir: Path, translator: Translator, tmp_path: Path
) -> None:
    """Hypotheses and alignments are the translator's; a longer source is cut to the greatest."""
    output, written = tmp_path / "model.tflite", tmp_path / "written.txt"
    options: dict[str, Any] = {"lengths": (18, 24), "n_best": 2, "translations": written}
    assert convert(run_dir, output, **options) == COUNT
    assert output.stat().st_size < 1.5 * plain.stat().st_size
    assert litert.custom_operations(output.read_bytes()) == set()

    interpreter = litert_runtime.interpreter(str(output))
    assert set(interpreter.get_signature_list()) == {"translate_18", "translate_24"}
    changes: dict[str, Any] = {"n_best": 2, "maximum_source_length": 24}
    used = set()
    for text in TEXTS[:4]:
        (ids,) = translator.source_tokenizer.source_ids([text], 24)
        length = 18 if len(ids) <= 18 else 24
        used.add(length)
        row = np.zeros((1, length), np.int32)
        row[0, : len(ids)] = ids
        found = interpreter.get_signature_runner(f"translate_{length}")(source=row)
        for rank, expected in enumerate(translator.translate(text, **changes)):
            count = len(expected.target_tokens)
            texts = translator.target_tokenizer.decode(found["ids"][0, rank : rank + 1])
            assert texts == [expected.text]
            assert found["scores"][0, rank] == pytest.approx(expected.score, abs=1e-3)
            alignment = found["alignments"][0, rank]
            longest = longest_translation(length, translator.search)
            assert alignment.shape == (longest, length)
            assert expected.alignment is not None
            np.testing.assert_allclose(alignment[:count, : len(ids)], expected.alignment, atol=1e-4)
            assert not alignment[count:].any()
            assert not alignment[:, len(ids) :].any()
    assert used == {18, 24}
    assert len(written.read_text(encoding="utf-8").splitlines()) == COUNT


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--lengths", "1"], "--lengths must be each at least 2"),
        (["--lengths", "16", "--text"], "--text must be left out with --lengths"),
        (["--n-best", "2"], "--n-best must be left out without --lengths"),
    ],
)
def test_flags_of_fixed_lengths(flags: list[str], message: str, run_dir: Path, capsys: Any) -> None:
    assert tflite.main(["--run-dir", str(run_dir), "--output", "x.tflite", *flags]) == 1
    assert message in capsys.readouterr().err


def names_of(model: Any) -> list[list[str]]:
    """The operations of each subgraph."""
    known = {code: name for name, code in vars(schema_fb.BuiltinOperator).items() if name.isupper()}
    codes = [known[code.builtinCode] for code in model.operatorCodes]
    return [[codes[one.opcodeIndex] for one in graph.operators] for graph in model.subgraphs]


def test_half_of_a_model(plain: Path, run_dir: Path, tmp_path: Path) -> None:
    """Its large constants are float16, made float32 where they are used; and it gives the numbers
    of a model whose weights are rounded so."""
    path = tmp_path / "half.tflite"
    path.write_bytes(halved(plain.read_bytes()))
    model = schema_fb.ModelT.InitFromObj(schema_fb.Model.GetRootAs(path.read_bytes()))

    stored = []
    bodies = set()
    operations = names_of(model)
    for graph, names in zip(model.subgraphs, operations, strict=True):
        made: set[int] = set()
        for operator, name in zip(graph.operators, names, strict=True):
            if name == "DEQUANTIZE":
                (index,) = operator.inputs
                tensor = graph.tensors[index]
                assert tensor.type == schema_fb.TensorType.FLOAT16
                stored.append(sorted(tensor.shape))
                assert len(model.buffers[tensor.buffer].data) == 2 * np.prod(tensor.shape)
                made.update(operator.outputs)
            if name == "WHILE":
                assert not made & set(operator.inputs)
                bodies.add(operator.builtinOptions.bodySubgraphIndex)
    assert any("DEQUANTIZE" in operations[body] for body in bodies)

    translator = Translator.from_run(run_dir)
    for weight in translator.model.weights:  # type: ignore[attr-defined]
        value = np.asarray(weight)
        if sorted(value.shape) in stored:
            assert value.size >= FEWEST
            weight.assign(value.astype(np.float16))
    runner = litert_runtime.interpreter(str(path)).get_signature_runner(SIGNATURE)
    for text in filter(None, TEXTS):
        source = np.array(translator.source_tokenizer.source_ids([text], 60), np.int32)
        found = runner(source=source)
        expected = translator.graph.search(tf.constant(source))
        np.testing.assert_array_equal(found["ids"], expected.ids[:, 0])
        np.testing.assert_allclose(found["score"], expected.scores[:, 0], rtol=1e-5)


def test_no_number_becomes_infinite(plain: Path) -> None:
    model = schema_fb.ModelT.InitFromObj(schema_fb.Model.GetRootAs(plain.read_bytes()))
    large = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    numbers = np.asarray(large.data, np.uint8).view(np.float32).copy()
    numbers[3] = -7e4
    large.data = numbers.view(np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(ValueError, match=r"`quantize` must be 'none': a weight is above 65504"):
        halved(bytes(builder.Output()))


@pytest.mark.long
def test_quantized_models_are_smaller(plain: Path, run_dir: Path, tmp_path: Path) -> None:
    """And float16 translates as float32 does; what int8 makes of random weights, whose scores are
    close, may differ."""
    equal = {}
    for quantize in ("float16", "int8"):
        output = tmp_path / f"{quantize}.tflite"
        equal[quantize] = convert(run_dir, output, quantize=quantize)
        assert output.stat().st_size < plain.stat().st_size
    assert equal["float16"] == COUNT == 13
    assert equal["int8"] >= 10


class FakeModel:
    """Stands for both an interpreter and a loaded SavedModel that give these ids and this score."""

    structured_input_signature = ((), {"source": None})

    def __init__(self, ids: list[int], score: float) -> None:
        self.answer = {"ids": np.array([ids]), "score": np.array([score])}
        self.signatures = {SIGNATURE: self}

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
def test_scores_must_be_those_of_the_saved_model(
    ids: list[int], score: float, fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litert_runtime, "interpreter", lambda _: FakeModel(ids, score))
    monkeypatch.setattr(tf.saved_model, "load", lambda _: FakeModel([5, 3], -0.5))
    inputs = [litert_runtime.Request(np.array([[5, 3]], np.int32))]
    equal = int(ids == [5, 3])
    assert litert_runtime.compare(b"", "", inputs, exact=False).equal == equal
    if fine:
        assert litert_runtime.compare(b"", "", inputs, exact=True).equal == equal
    else:
        with pytest.raises(ValueError, match="LiteRT and the SavedModel differ on"):
            litert_runtime.compare(b"", "", inputs, exact=True)


def test_a_tied_embedding_is_in_an_int8_file_once(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    config = ModelConfig(
        source_vocabulary_size=310,
        target_vocabulary_size=310,
        embedding_size=128,
        encoder_units=4,
        decoder_units=4,
        attention_units=4,
        readout_units=128,
        tie_source=True,
        tie_output=True,
    )
    litert.save_ids_model(Translator(Seq2Seq(config), tokenizer), str(tmp_path))
    parsed = schema_fb.Model.GetRootAs(litert.convert(str(tmp_path), "int8"))
    sizes = [parsed.Buffers(index).DataLength() for index in range(parsed.BuffersLength())]
    assert [size for size in sizes if size >= 310 * 128] == [310 * 128]
