"""Writes a trained model as the next version of a SavedModel: the command `export`."""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import WORD_PRODUCTS_BYTES, SearchChanges
from attention_nmt.files import (
    make_folder,
    sync_folder,
    sync_tree,
    temporary_folder,
)
from attention_nmt.stored import ModelChoice

from .runtime import check_backend, tensorflow_runtime

if TYPE_CHECKING:
    from attention_nmt.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class ExportConfig(ModelChoice):
    """Writes a trained model as the next version of a SavedModel.

    Attributes:
        output: the folder of the model's versions.
        keep: the number of the newest versions to keep; without it none is removed. A server that
            names the versions it serves, as with `serving/deploy/models.config`, has to name a new
            one before.
        word_products_mb: the most memory, in MiB, for weights that only make translations faster:
            the products of all words with the kernels that read words. With 0 a version is smaller
            and slower.
        search: changes of the model's search.

    Raises:
        ValueError: no version would be kept, the memory is less than none, or no model is given.
    """

    output: Path
    keep: int | None = None
    word_products_mb: int = WORD_PRODUCTS_BYTES // 2**20
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.keep is None or self.keep >= 1, "keep", "at least 1", self.keep)
        megabytes = self.word_products_mb
        require(megabytes >= 0, "word_products_mb", "at least 0", megabytes)


def export(
    translator: Translator,
    output: str | Path,
    about: dict[str, Any] | None = None,
    samples: Sequence[str] = (),
    limit_bytes: int = WORD_PRODUCTS_BYTES,
) -> Path:
    """Writes a translator as the next version of the model in a folder.

    The version appears in one step, under its number, when it is complete and lasts: what watches
    the folder never sees a part. An export that fails leaves nothing, and what one that was killed
    has left is removed.

    Args:
        translator: what to export.
        output: the folder of the model's versions.
        about: what the model card is to say beside what can be seen in the model.
        samples: source texts for requests that warm a server up; without them there are none.
        limit_bytes: the most memory for weights that only make steps faster; see
            `Translator.frozen`.

    Returns:
        The folder of the version.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a weight is not finite, or the search lets a text have an alignment that is too
            large.
    """
    from .saved_model import write_saved_model

    output = Path(output)
    with _made(output), temporary_folder(output, ".exporting-") as temporary:
        model = temporary / "model"
        write_saved_model(translator, model, about or {}, samples, limit_bytes)

        sync_tree(model)
        version = _publish(model, output)
        sync_folder(output)
        return version


@contextlib.contextmanager
def _made(output: Path) -> Iterator[None]:
    """Makes a folder, and removes what it has made if the block fails."""
    missing = [path for path in (output, *output.parents) if not path.exists()]
    try:
        make_folder(output)
        yield
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _publish(folder: Path, output: Path) -> Path:
    """Moves a folder to the next number; to a later one, if another process has taken it."""
    first = max(versions(output), default=0) + 1
    for number in itertools.count(first):
        version = output / str(number)
        try:
            folder.rename(version)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return version
    raise AssertionError("numbers have no end")


def versions(output: str | Path) -> dict[int, Path]:
    """The versions in a folder by their numbers, the oldest first."""
    found = {}
    for path in Path(output).iterdir():
        if re.fullmatch("[0-9]+", path.name) and path.is_dir():
            found[int(path.name)] = path
    return dict(sorted(found.items()))


def prune(output: str | Path, keep: int) -> list[int]:
    """Removes old versions, each in one step.

    Args:
        output: the folder of the model's versions.
        keep: the number of the newest versions to keep.

    Returns:
        The numbers of those that were removed.
    """
    removed = []
    for number, version in list(versions(output).items())[:-keep]:
        # Another name first: no reader finds half a version.
        with temporary_folder(Path(output), ".removing-") as hidden:
            version.rename(hidden / "model")
        removed.append(number)
    return removed


def run(config: ExportConfig) -> None:
    """Exports, removes old versions, and prints what it did.

    Raises:
        OSError: the model's folder is not complete, or the output cannot be written.
        ValueError: the backend is not TensorFlow, a setting of the search is outside its range, a
            record of the model is no JSON, a weight is not finite, or the search lets a text have
            an alignment that is too large.
    """
    check_backend("export")
    stored = config.open()
    search = stored.read_search(config.search, n_best=1)

    with tensorflow_runtime():
        from attention_nmt.translation.translator import Translator

        translator = Translator.from_stored(stored, search)
        limit_bytes = config.word_products_mb * 2**20
        print(export(translator, config.output, stored.about(), stored.samples, limit_bytes))

    if config.keep is not None:
        for number in prune(config.output, config.keep):
            print(f"removed version {number}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(ExportConfig, run, arguments, prog="attention-nmt export")


if __name__ == "__main__":
    sys.exit(main())
