"""What is installed: the wheel's files, the one command, and one name for each module."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import attention_nmt
from attention_nmt.command import COMMANDS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
INSTALLED = {
    "attention_nmt": "attention_nmt",
    "training": "attention_nmt/training",
    "serving": "attention_nmt/serving",
}
"""The folders of the repository by the folders of an installation."""

HEAVY = ("tensorflow", "keras", "jax", "matplotlib", "tensorflow_datasets", "sacrebleu")
"""Packages that take long to import."""

REPORT = """
import sys
from attention_nmt.command import main

try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
found = [name for name in sys.modules if name.partition(".")[0] in {heavy}]
twice = [name for name in sys.modules if name.partition(".")[0] in ("training", "serving")]
print("status", status, "heavy", found[:5], "twice", twice)
"""


def sources() -> list[Path]:
    return [path for folder in INSTALLED for path in sorted((ROOT / folder).rglob("*.py"))]


def help_of(arguments: list[str], folder: Path) -> str:
    """The help of a command, run in a folder, and what was imported for it."""
    script = REPORT.format(heavy=HEAVY)
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_usage_lists_every_command(tmp_path: Path) -> None:
    said = help_of(["--help"], tmp_path)
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.summary)}$", said, re.MULTILINE)
    assert said.endswith("status 0 heavy [] twice []\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_describes_every_flag_and_imports_little(name: str, tmp_path: Path) -> None:
    said = help_of([name, "--help"], tmp_path)
    assert said.endswith("status 0 heavy [] twice []\n"), said[-300:]
    assert f"attention-nmt {name}" in said
    assert undescribed(said) == []


def undescribed(text: str) -> list[str]:
    """The flags of a help without a word of description beside or below them."""
    rows = [re.sub(r"^[\s│]+|[\s│]+$", "", line) for line in text.splitlines()]
    found = []
    for position, row in enumerate(rows):
        if not re.match(r"--?\w", row):
            continue
        beside = re.split(r"\s{2,}", row, maxsplit=1)[1:]
        below = rows[position + 1 : position + 2]
        described = beside + [line for line in below if not line.startswith(("-", "╰"))]
        words = re.sub(r"\((default|required)[^)]*\)", "", " ".join(described))
        if not re.search(r"[a-z]{2}", words):
            found.append(row)
    return found


def test_an_unknown_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    from attention_nmt.command import main

    assert main(["trian"]) == 2
    assert "'trian'" in capsys.readouterr().err


def test_no_module_is_imported_by_two_names() -> None:
    """The folders `training` and `serving` are named relatively in themselves, nowhere else."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                assert not re.match(r"(attention_nmt\.)?(training|serving)\b", name), (path, name)


def test_the_packages_are_all_listed() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = {package_of(path) for path in sources()}
    assert listed == found


def package_of(path: Path) -> str:
    """The name by which a module's package is installed."""
    top, *below = path.relative_to(ROOT).parts[:-1]
    return ".".join([*INSTALLED[top].split("/"), *below])


def test_the_public_names() -> None:
    """Those that type checkers see are those that are imported lazily, and all can be imported."""
    tree = ast.parse((ROOT / "attention_nmt/__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    declared = {name.asname for node in imports for name in node.names}
    assert declared == set(attention_nmt.__all__)
    for name in attention_nmt.__all__:
        home = f"attention_nmt.{attention_nmt._HOME[name]}"
        assert home in {node.module for node in imports}
        assert getattr(attention_nmt, name).__doc__


def test_a_missing_package_is_named_with_its_command(tmp_path: Path) -> None:
    script = (
        "import sys\nsys.modules['tensorflow'] = None\nsys.modules['tensorflow_text'] = None\n"
        "import attention_nmt as nmt\nnmt.SearchConfig()\ntry:\n    nmt.Translator\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "pip install 'attention-nmt[tensorflow]'" in done.stdout


@pytest.mark.long
def test_the_wheel_holds_everything(tmp_path: Path) -> None:
    """Every module by its installed name, the data files beside them, and the metadata."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in (*INSTALLED, "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(clone)], check=True)

    (wheel,) = tmp_path.glob("*.whl")
    version = attention_nmt.__version__
    assert wheel.name == f"attention_nmt-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        held = set(file.namelist())
        points = file.read(f"attention_nmt-{version}.dist-info/entry_points.txt").decode()
    assert "attention-nmt = attention_nmt.command:main" in points

    wanted = {installed_name(path) for path in sources()}
    for folder in (
        "serving/deploy",
        "training/deploy",
        "serving/web/page",
        "serving/web/runtime",
        "attention_nmt/pretrained",
    ):
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        wanted |= {installed_name(path) for path in files}
    wanted.add("attention_nmt/py.typed")
    wanted.add("attention_nmt/training/alignment/alignments.html")
    wanted.add("attention_nmt/training/studies/typed.tsv")
    modules = {name for name in held if ".dist-info/" not in name}
    assert modules == wanted
    assert f"attention_nmt-{version}.dist-info/licenses/LICENSE" in held


def installed_name(path: Path) -> str:
    """The path of a file in the wheel."""
    top, *below = path.relative_to(ROOT).parts
    return "/".join([INSTALLED[top], *below])


def test_the_citation_has_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {attention_nmt.__version__}\n" in citation
