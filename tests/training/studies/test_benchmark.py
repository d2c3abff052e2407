"""The benchmark counts what it says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attention_nmt.config import CellConfig, ModelConfig, TransformerConfig
from tests.training.corpora import write_folder
from training.presets import hybrid
from training.studies import benchmark, bound, speed
from training.studies.bound import BoundConfig, Shape, products


@pytest.mark.long
def test_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded = []

    def bound_of(_: ModelConfig, shape: Shape, dtype: str, jit_compile: bool) -> float:
        bounded.append((shape, dtype, jit_compile))
        return 1e-5

    monkeypatch.setattr(speed, "step_seconds", bound_of)
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
    assert [(shape.rows, dtype, jit) for shape, dtype, jit in bounded] == 2 * [
        (16, "float32", False)
    ]
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
    message = "--target-vocabulary-size must be that of the source, 310: one for both"
    assert message in capsys.readouterr().err


SHAPE = Shape(rows=17, source=19, target=23)


def macs(**options: Any) -> int:
    """Multiplications with additions in the products of a step of a small model."""
    config = ModelConfig(
        **{
            "source_vocabulary_size": 11,
            "target_vocabulary_size": 13,
            "embedding_size": 2,
            "encoder_units": 3,
            "decoder_units": 5,
            "attention_units": 7,
            "readout_units": 4,
            **options,
        }
    )
    return sum(p.repeats * p.rows * p.inner * p.columns for p in products(config, SHAPE))


def test_the_products_of_a_step_by_hand() -> None:
    encoder = 2 * 17 * 19 * (2 * 9 + 3 * 9)
    keys = 17 * 19 * 6 * 7
    decoder = 17 * 23 * (2 * 15 + 5 * (15 + 7) + 6 * 15 + (5 + 2 + 6) * 8 + 4 * 13)
    assert macs() == 3 * (encoder + keys + decoder)
    assert macs(word_query=True) - macs() == 3 * 17 * 23 * 2 * 7

    encoder = 17 * 19 * (2 * 9 + 3 * 9)
    decoder = 17 * 23 * (2 * 15 + 5 * 15 + 3 * 15 + (5 + 2 + 3) * 8 + 4 * 13)
    assert macs(attention="none") == 3 * (encoder + decoder)

    encoder = 2 * 17 * 19 * ((2 + 3) * 12 + (6 + 3) * 12)
    keys = 17 * 19 * 6 * 5
    decoder = 17 * 23 * ((2 + 5 + 4) * 20 + (5 + 5) * 20 + (5 + 2 + 6) * 8 + 4 * 13)
    fed = macs(
        encoder_layers=2,
        decoder_layers=2,
        attention="luong_general",
        query="current",
        input_feeding=True,
        cell=CellConfig(kind="lstm"),
    )
    assert fed == 3 * (encoder + keys + decoder)


def test_the_products_of_a_transformer_by_hand() -> None:
    size, hidden = 4, 6
    sizes: dict[str, Any] = {
        "embedding_size": size,
        "encoder_layers": 2,
        "decoder_layers": 3,
        "transformer": TransformerConfig(heads=2, feed_forward_units=hidden),
    }
    encoder = 2 * 17 * 19 * (4 * size**2 + 2 * size * hidden)
    decoder = 3 * 17 * 23 * (4 * size**2 + 2 * size**2 + 2 * size * hidden)
    decoder += 3 * 17 * 19 * 2 * size**2  # keys and values of the source
    output = 17 * 23 * size * 13
    both = macs(encoder="transformer", decoder="transformer", **sizes)
    assert both == 3 * (encoder + decoder + output)

    # Annotations of two directions of 3 units are 6 deep, those of a Transformer 4.
    recurrent_encoder = macs(decoder="transformer", **sizes)
    recurrent = 2 * 17 * 19 * (4 * 9 + 3 * 9 + 6 * 9 + 3 * 9)
    deeper = 3 * 17 * 19 * 2 * (6 - 4) * size
    assert recurrent_encoder == both + 3 * (recurrent - encoder + deeper)

    one = {**sizes, "decoder_layers": 1}
    keys = 17 * 19 * size * 7
    decoder = 17 * 23 * (size * 15 + 5 * (15 + 7) + size * 15 + (5 + size + size) * 8 + 4 * 13)
    assert macs(encoder="transformer", **one) == 3 * (encoder + keys + decoder)


def test_products_that_are_not_known() -> None:
    with pytest.raises(ValueError, match=r"`encoder` must be one of .* whose products are known"):
        BoundConfig(model=ModelConfig(encoder="keras_hub:somewhere"))
    with pytest.raises(ValueError, match=r"`encoder` must be one of .* whose products are known"):
        benchmark.BenchmarkConfig(model=ModelConfig(encoder="keras_hub:somewhere"))


def test_the_bound_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--source-vocabulary-size=11", "--target-vocabulary-size=13", "--embedding-size=2"]
    units = ["--encoder-units=3", "--decoder-units=5", "--attention-units=7", "--readout-units=4"]
    batch = ["--batch-size=2", "--source-length=3", "--target-length=4", "--no-jit-compile"]
    assert bound.main([*sizes, *units, *batch]) == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["products", "rows", "inner", "columns", "ms"]
    assert "4 2 5 22" in [
        " ".join(row.split()[:4]) for row in rows
    ]  # of the state, gates and query
    assert total.startswith("A step of them takes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--buckets=2", "--maximum-length=9"],
            "--dataset must be given with ['buckets', 'maximum_length'], which are of real batches",
        ),
        (["--dataset=x", "--length=9"], "--length must be left out with a dataset"),
    ],
)
def test_settings_that_would_change_nothing(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_a_vocabulary_that_the_text_does_not_support(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_folder(tmp_path / "data")
    assert benchmark.main(["--dataset", str(folder), "--source=en", "--target=fr"]) == 1
    assert "vocabulary_size" in capsys.readouterr().err


def test_a_size_is_that_of_a_preset() -> None:
    """With as many pieces as its tokenizer has."""
    config = benchmark.size_config(["--size", "hybrid"])
    preset = hybrid()
    assert config.model == replace(
        preset.model, source_vocabulary_size=8000, target_vocabulary_size=8000
    )
    assert config.batches == preset.batches
    with pytest.raises(ValueError, match=r"`size` must be one of \('default', 'paper', 'base',"):
        benchmark.size_of("hybird")
