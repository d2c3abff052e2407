"""The site: its pages are there, its code runs and prints what stands below it."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attention_nmt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NUMBER = re.compile(r"-?\d+\.\d*")


def blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of a page: their language and their text."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def assert_prints(printed: str, expected: str) -> None:
    """The same words, and numbers that differ by no more than another processor's rounding."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", expected).split()
    found, wanted = ([float(x) for x in NUMBER.findall(text)] for text in (printed, expected))
    np.testing.assert_allclose(found, wanted, atol=0.021)


@pytest.mark.parametrize("page", [pytest.param("index.md", marks=pytest.mark.long), "model.md"])
def test_code_prints_what_stands_below_it(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    printed = None
    for language, text in blocks(page):
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(text, names)
            printed = out.getvalue()
        elif language == "text":
            assert printed is not None
            assert_prints(printed, text)
    assert printed


def test_every_public_name_has_a_place_on_an_api_page() -> None:
    pages = "".join(path.read_text("utf-8") for path in (DOCS / "api").glob("*.md"))
    shown = re.findall(r"^::: (attention_nmt\.\S+)$", pages, re.MULTILINE)
    assert sorted(name.rpartition(".")[2] for name in shown) == attention_nmt.__all__
    for name in shown:
        module, _, public = name.rpartition(".")
        assert getattr(attention_nmt, public).__module__ == module


@pytest.mark.long
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Strictly: a broken link, or an API page without its object, is an error."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for page in ("index.html", "model/index.html", "api/models/index.html"):
        assert (tmp_path / page).is_file()
