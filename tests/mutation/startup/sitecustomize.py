"""Puts the fault of a mutant into Python, before the faulty module is imported.

Python imports a module of this name as it starts, where one is on its path: so processes that a
test starts have the fault, too.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import os
import sys
from pathlib import Path
from types import CodeType, ModuleType

_MUTANT = "ATTENTION_NMT_MUTANT"
"""The variable of the environment that names the file of a mutant."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its faulty code, and leaves all others to Python."""

    def __init__(self, name: str, code: CodeType) -> None:
        self.name = name
        self.code = code

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target  # the contract of importlib
        if fullname != self.name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def install(mutant: Path, name: str, path: Path, source: str) -> None:
    """Puts faulty code into this process and those that it starts.

    Args:
        mutant: a file to write, which the others read.
        name: of the module.
        path: of the module's file.
        source: its faulty code.
    """
    mutant.write_text(json.dumps({"name": name, "path": str(path), "source": source}))
    os.environ[_MUTANT] = str(mutant)
    others = os.environ.get("PYTHONPATH")
    paths = [str(Path(__file__).parent), *([others] if others else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    _install(name, str(path), source)


def _install(name: str, path: str, source: str) -> None:
    # AutoGraph reads the code of a function again, which `linecache` is to give it.
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    sys.meta_path.insert(0, _Finder(name, compile(source, path, "exec")))


if __name__ == "sitecustomize" and _MUTANT in os.environ:
    _install(**json.loads(Path(os.environ[_MUTANT]).read_text()))
