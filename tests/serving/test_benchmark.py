"""The benchmark measures every runtime."""

import json
from pathlib import Path

import pytest

from serving import benchmark
from tests.serving.exported import TEXTS


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
