"""The benchmark measures every runtime."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving import benchmark
from tests.serving.exported import TEXTS


class Counter:
    """Translates every text into two pieces, and counts."""

    batch_size = 2

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: list[str], *, alignments: bool) -> list[SimpleNamespace]:
        assert not alignments
        self.calls.append(texts)
        return [SimpleNamespace(target_tokens=["a", "</s>"]) for _ in texts]


def test_throughput_is_of_all_texts() -> None:
    """In calls behind the first, which is not timed; of each two pieces."""
    counter = Counter()
    found = benchmark.throughput(counter, ["a", "b", "c"], readings=3)  # type: ignore[arg-type]
    assert counter.calls == [["a", "b"], *3 * [["a", "b", "c"]]]
    assert found["sentences_per_s"] == sorted(found["readings"])[1]
    assert found["pieces_per_s"] == pytest.approx(2 * found["sentences_per_s"])


def test_latency_is_of_calls_that_are_warm() -> None:
    calls: list[int] = []
    found = benchmark.latency(calls.append, range(8))
    assert calls == [*range(benchmark.WARM_UP), *range(8)]
    assert 0 < found["p50_ms"] <= found["p99_ms"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam_sizes": ()}, "`beam_sizes` must be one or more, each at least 1"),
        ({"beam_sizes": (1, 0)}, "`beam_sizes` must be one or more, each at least 1"),
        ({"words": 0}, "`words` must be at least 1"),
        ({"model": None}, "`model` must be given"),
    ],
    ids=["none", "too small", "words", "no model"],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        benchmark.BenchmarkConfig(**{"model": "m", "input": Path("x"), **change})


@pytest.mark.long
def test_every_runtime_is_measured(
    run_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of LiteRT's two kinds: each takes seconds to be converted."""
    kinds = {name: benchmark.LITERT[name] for name in ("int8", "text")}
    monkeypatch.setattr(benchmark, "LITERT", kinds)
    lines = tmp_path / "en.txt"
    lines.write_text("".join(text + "\n" for text in TEXTS if text))
    arguments = ["--run-dir", str(run_dir), "--input", str(lines), "--beam-sizes", "1"]
    arguments += ["--requests", "3", "--readings", "2"]  # --run-dir is an older --model
    assert benchmark.main([*arguments, "--words", "7"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])["beam 1"]
    assert len(report["throughput"]["readings"]) == 2
    assert report["throughput"]["pieces_per_s"] > report["throughput"]["sentences_per_s"] > 0
    runtimes = {"in process", "gRPC", "LiteRT int8", "LiteRT text"}
    assert report["latency"].keys() == runtimes
    assert all(0 < times["p50_ms"] <= times["p99_ms"] for times in report["latency"].values())
    assert report["products"].keys() == {"batch", "one sentence"}
    assert all(parts["products_ms"] > 0 for parts in report["products"].values())

    assert benchmark.main([*arguments, "--words", "99"]) == 1
    assert "error: --words must be the length of some line" in capsys.readouterr().err
