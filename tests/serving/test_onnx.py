"""A model as ONNX, equal to `Translator`."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.translation.translator import Translator
from serving import onnx

MODEL = Path(__file__).parents[1] / "model_folder" / "model"
TEXTS = ["she buys the red dress.", "he sees", "Anna sells the red rose. he sees the grey table."]


@pytest.mark.long
def test_any_batch_is_translated_as_the_translator_does(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    output = tmp_path / "nmt.onnx"
    check = tmp_path / "check.txt"
    check.write_text("\n".join(TEXTS), encoding="utf-8")
    flags = ["--model", str(MODEL), "--output", str(output), "--n-best", "3"]
    assert onnx.main([*flags, "--check", str(check)]) == 0
    assert re.search(r"MB; 3 of 3 translations equal to TensorFlow's", capsys.readouterr().out)

    tokenizer = Tokenizer.load(output.with_suffix(".target.model"))
    session = onnxruntime.InferenceSession(str(output))
    translator = Translator.from_preset(MODEL)
    for texts in (TEXTS, TEXTS[1:2]):
        rows = translator.source_tokenizer.source_ids(texts, 50)
        source = np.zeros((len(rows), max(map(len, rows))), np.int32)
        for row, ids in zip(source, rows, strict=True):
            row[: len(ids)] = ids
        names = ["ids", "scores", "alignments"]
        ids, scores, alignments = session.run(names, {"source": source})
        for index, text in enumerate(texts):
            expected = translator.translate(text, n_best=3)
            assert tokenizer.decode(ids[index].tolist()) == [one.text for one in expected]
            wanted = [one.score for one in expected]
            np.testing.assert_allclose(scores[index], wanted, atol=1e-4)
            steps, pieces = len(expected[0].target_tokens), len(rows[index])
            assert expected[0].alignment is not None
            found = alignments[index, 0, :steps, :pieces]
            np.testing.assert_allclose(found, expected[0].alignment, atol=1e-4)

    outside = np.array([[5, 10**6, -3, 3]], np.int32)
    unknown = np.array([[5, 1, 1, 3]], np.int32)
    found, wanted = (session.run(["ids"], {"source": ids})[0] for ids in (outside, unknown))
    np.testing.assert_array_equal(found, wanted)

    run = onnxruntime.InferenceSession.run

    def other(session: Any, names: list[str], inputs: dict[str, Any]) -> list[Any]:
        found = dict(zip(names, run(session, names, inputs), strict=True))
        return list((found | {"scores": found["scores"] - 0.1}).values())

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", other)
    assert onnx.main([*flags, "--check", str(check)]) == 1
    assert "scores of ONNX and TensorFlow differ by up to" in capsys.readouterr().err
