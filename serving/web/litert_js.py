"""LiteRT.js, which runs LiteRT models in browsers, at the version that the page was tested with.

It is no part of the repository: `make litert-js` fetches it into `runtime` beside this file, and
wheels are built with it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from attention_nmt.files import temporary_folder

RUNTIME = Path(__file__).parent / "runtime"
"""Where it lies in an installation."""


class Package(NamedTuple):
    """A package of npm, and the files of it that a page needs."""

    name: str
    version: str
    sha256: str  # of its archive
    files: dict[str, str]  # names in the archive by names in the runtime


PACKAGES = (
    Package(
        "@litertjs/core",
        "2.5.3",
        "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
        {
            "litert.js": "dist/index.js",
            "wasm/litert_wasm_internal.js": "wasm/litert_wasm_internal.js",
            "wasm/litert_wasm_internal.wasm": "wasm/litert_wasm_internal.wasm",
            "wasm/litert_wasm_compat_internal.js": "wasm/litert_wasm_compat_internal.js",
            "wasm/litert_wasm_compat_internal.wasm": "wasm/litert_wasm_compat_internal.wasm",
        },
    ),
    Package(
        "@litertjs/wasm-utils",
        "2.5.3",
        "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7",
        {"wasm-utils.js": "dist/index.js"},
    ),
)
"""Both are under the Apache License 2.0, as this project is, whose file goes with them."""


def check_runtime() -> None:
    """Makes sure that LiteRT.js is there.

    Raises:
        FileNotFoundError: it is not.
    """
    if not (RUNTIME / "litert.js").is_file():
        where = "`make litert-js` fetches it in a clone; a wheel has it"
        raise FileNotFoundError(f"{RUNTIME}: expected LiteRT.js. {where}.")


def fetch(license_file: Path) -> None:
    """Fetches the packages by npm into `RUNTIME`, whole or not at all.

    Args:
        license_file: the text of their license.

    Raises:
        FileNotFoundError: there is no npm.
        ValueError: an archive is another one than was tested.
        OSError: npm could not fetch it, or the folder cannot be written.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm: not found; it fetches LiteRT.js.")

    with TemporaryDirectory() as archives, temporary_folder(RUNTIME.parent, ".runtime-") as folder:
        for package in PACKAGES:
            archive = _packed(npm, package, Path(archives))
            _unpack(package, archive, folder)
        shutil.copyfile(license_file, folder / "LICENSE")
        if RUNTIME.exists():
            shutil.rmtree(RUNTIME)
        folder.rename(RUNTIME)


def _packed(npm: str, package: Package, folder: Path) -> Path:
    """The package's archive."""
    wanted = f"{package.name}@{package.version}"
    done = subprocess.run(
        [npm, "pack", "--silent", wanted], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason"]
        raise OSError(f"npm could not fetch {wanted}: {reason[0]}")

    archive = folder / done.stdout.strip().splitlines()[-1]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        raise ValueError(f"{wanted}: expected SHA-256 {package.sha256}. Received: {found}.")
    return archive


def _unpack(package: Package, archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        for name, within in package.files.items():
            content = packed.extractfile(f"package/{within}")
            assert content is not None  # a file, as the archive's sum says
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())


def main() -> int:
    """Fetches it, from a clone."""
    try:
        fetch(Path(__file__).parents[2] / "LICENSE")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
