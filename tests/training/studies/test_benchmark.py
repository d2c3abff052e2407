"""The benchmark counts what it says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from attention_nmt.config import ModelConfig
from tests.training.corpora import write_folder
from training.studies import benchmark
from training.studies.bound import products


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {
        "source-vocabulary-size": 310,
        "embedding-size": 8,
        "encoder-units": 6,
        "decoder-units": 8,
    }
    sizes |= {"attention-units": 6, "readout-units": 8, "batch-size": 16, "buckets": 2, "steps": 30}
    flags = [f"--{name}={value}" for name, value in sizes.items()]
    folder = write_folder(tmp_path / "data")
    arguments = ["--dataset", str(folder), "--source=en", "--target=fr", "--no-jit-compile", *flags]
    assert benchmark.main(arguments) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["shapes"] == 2
    assert 0 < report["target_padding"] < 0.5
    assert report["target_tokens_per_s"] > 0
    assert 0 < report["share_of_product_bound"] < 1.2
    assert 100 < report["peak_memory_mb"] < 20_000
    tokens_a_step = report["target_tokens_per_s"] * report["ms_per_step"] / 1e3
    assert (
        16 * 6 < tokens_a_step < 16 * 60
    )  # sentences of 6 to 60 pieces; the median step, not the mean


def test_the_pipeline_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "data")
    flags = [
        "--dataset",
        str(folder),
        "--source-vocabulary-size=310",
        "--buckets=2",
        "--pipeline",
        "--steps=20",
    ]
    assert benchmark.main(flags) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report.keys() == {
        "pipeline_target_tokens_per_s",
        "memory_mb_after_a_tenth",
        "memory_mb_at_the_end",
    }
    assert report["pipeline_target_tokens_per_s"] > 0
    # Other tests' memory may be freed between the two, so neither is the greater one.
    assert 100 < report["memory_mb_after_a_tenth"] < 20_000
    assert 100 < report["memory_mb_at_the_end"] < 20_000
    assert benchmark.main([*flags, "--target-vocabulary-size=311"]) == 1
    assert "`target_vocabulary_size` must be that of the source, 310" in capsys.readouterr().err


def test_the_products_of_a_step_by_hand() -> None:
    config = ModelConfig(11, 13, 2, 3, 5, attention_units=7, readout_units=4)
    found = products(config, batch=17, source=19, target=23)
    encoder = 2 * 17 * 19 * (2 * 9 + 3 * 9)
    keys = 17 * 19 * 6 * 7
    decoder = 17 * 23 * (2 * 15 + 5 * (15 + 7) + 6 * 15 + (5 + 2 + 6) * 8 + 4 * 13)
    assert sum(p.repeats * p.rows * p.inner * p.columns for p in found) == 3 * (
        encoder + keys + decoder
    )
    read = products(
        ModelConfig(11, 13, 2, 3, 5, attention_units=7, readout_units=4, word_query=True),
        17,
        19,
        23,
    )
    macs = [sum(p.repeats * p.rows * p.inner * p.columns for p in one) for one in (found, read)]
    assert macs[1] - macs[0] == 3 * 17 * 23 * 2 * 7
    without = products(ModelConfig(11, 13, 2, 3, 5, attention="none", readout_units=4), 17, 19, 23)
    encoder, decoder = (
        17 * 19 * (2 * 9 + 3 * 9),
        17 * 23 * (2 * 15 + 5 * 15 + 3 * 15 + (5 + 2 + 3) * 8 + 4 * 13),
    )
    assert sum(p.repeats * p.rows * p.inner * p.columns for p in without) == 3 * (encoder + decoder)
    options: dict[str, Any] = {
        "encoder_layers": 2,
        "decoder_layers": 2,
        "query": "current",
        "input_feeding": True,
        "cell": "lstm",
    }
    fed = products(
        ModelConfig(11, 13, 2, 3, 5, attention="luong_general", readout_units=4, **options),
        17,
        19,
        23,
    )
    encoder, keys = 2 * 17 * 19 * ((2 + 3) * 12 + (6 + 3) * 12), 17 * 19 * 6 * 5
    decoder = 17 * 23 * ((2 + 5 + 4) * 20 + (5 + 5) * 20 + (5 + 2 + 6) * 8 + 4 * 13)
    assert sum(p.repeats * p.rows * p.inner * p.columns for p in fed) == 3 * (
        encoder + keys + decoder
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--buckets=2", "--maximum-length=9"],
            r"`dataset` must be given with \['buckets', 'maximum_length'\]",
        ),
        (["--dataset=x", "--length=9"], "`length` must be left out with a dataset"),
    ],
)
def test_settings_that_would_change_nothing(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_vocabulary_that_the_text_does_not_support(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "data")
    assert benchmark.main(["--dataset", str(folder), "--source=en", "--target=fr"]) == 1
    assert "vocabulary_size" in capsys.readouterr().err
