"""Ways to train compared by the number of pairs, from what `evaluate` left."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from attention_nmt.config import to_json
from training.presets import TrainConfig
from training.studies import by_pairs

SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def write_run(path: Path, pairs: int, bleu: float, signature: str = SIGNATURE) -> Path:
    """A run that was trained on some pairs, and scored."""
    data = path / "data"
    data.mkdir(parents=True)
    for language in ("en", "fr"):
        (data / f"{language}.train.txt").write_text("one\n" * pairs, encoding="utf-8")
    config = to_json(TrainConfig(dataset=str(data)))
    (path / "config.json").write_text(config, encoding="utf-8")
    scores = [
        {"name": "BLEU", "value": bleu, "signature": signature, "lowercased": False},
        {"name": "BLEU", "value": 99.0, "signature": "case:lc", "lowercased": True},
        {"name": "chrF2", "value": 98.0, "signature": "chrF", "lowercased": False},
    ]
    folder = path / "evaluation/test"
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(json.dumps({"scores": scores}), encoding="utf-8")
    return path


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """The command for two ways, of which one has a run less; in no order."""
    few, many = (
        write_run(tmp_path / name, *of) for name, of in (("few", (10, 5)), ("many", (1200, 20.125)))
    )
    tuned = write_run(tmp_path / "tuned", 10, 12.5)
    ways = [f"from nothing={many},{few}", f"tuned={tuned}"]
    return ["--ways", *ways, "--output", str(tmp_path / "out/pairs")]


def test_a_table_and_a_plot(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_pairs.main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| pairs | 10 | 1,200 |",
        "| --- | --- | --- |",
        "| from nothing | 5.00 | 20.12 |",
        "| tuned | 12.50 |  |",
        "",
        SIGNATURE,
    ]
    written = json.loads((tmp_path / "out/pairs.json").read_text())
    assert written["ways"]["tuned"] == [{"pairs": 10, "bleu": 12.5}]
    (axes,) = by_pairs.figure(written["ways"]).axes
    assert [line.get_label() for line in axes.get_lines()] == ["from nothing", "tuned"]
    drawn = np.asarray(axes.get_lines()[0].get_xydata())
    np.testing.assert_array_equal(drawn, [[10, 5], [1200, 20.125]])
    assert axes.get_xscale() == "log"
    assert imread(tmp_path / "out/pairs.png").shape[:2] == (450, 700)


def test_the_pairs_of_several_corpora(tmp_path: Path) -> None:
    """Each once, however often an epoch reads it."""
    run = write_run(tmp_path / "run", 10, 5.0)
    write_run(tmp_path / "other", 7, 5.0)
    dataset = f"{tmp_path / 'run/data'},{tmp_path / 'other/data'}=3"
    (run / "config.json").write_text(to_json(TrainConfig(dataset=dataset)), encoding="utf-8")
    assert by_pairs._pairs(run) == 17


@pytest.mark.parametrize("ways", [[], ["nameless"], ["=run"], ["one=run,"], ["one=a", "one=b"]])
def test_ways_that_are_none(
    ways: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "pairs")]
    assert by_pairs.main([*output, "--ways", *ways]) == 1
    assert "--ways must be" in capsys.readouterr().err


def test_what_cannot_be_compared(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_run(tmp_path / "other", 10, 5, signature=SIGNATURE.replace("13a", "zh"))
    assert by_pairs.main([*arguments[:3], f"other={other}", *arguments[3:]]) == 1
    assert "--ways must be scored in one way" in capsys.readouterr().err
    assert by_pairs.main([*arguments, "--split", "dev"]) == 1
    assert "evaluation/dev/scores.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
