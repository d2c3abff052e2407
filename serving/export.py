"""`python -m serving.export --run-dir RUN --output DIR`: a trained run as a SavedModel, the next
version in DIR."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
import tyro
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from attention_nmt.checks import require
from attention_nmt.config import SearchChanges, SearchConfig
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .signatures import MAXIMUM_ALIGNED, MAXIMUM_BATCH, signatures

WARM_UP_SIZES = (1, 16)
"""Texts in the requests that a server runs before it serves a version, for each signature."""

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece")


@dataclass(frozen=True)
class ExportConfig(SearchChanges):
    """What to export and where to.

    Attributes:
        run_dir: a trained run folder.
        output: the folder of the model's versions.
        keep: remove all versions but so many of the newest; without it none is removed. A server
        that names the
            versions it serves, as with `serving/deploy/models.config`, has to name a new one
            before.
    """

    run_dir: Path
    output: Path
    keep: int | None = None

    def __post_init__(self) -> None:
        require(self.keep is None or self.keep >= 1, "keep", "at least 1", self.keep)

    def search(self) -> SearchConfig:
        """The run's search with the flags put over it."""
        return RunFolder(self.run_dir).read_search(n_best=1, **self.search_changes())


def export(
    translator: Translator,
    output: Path,
    about: dict[str, Any] | None = None,
    samples: Sequence[str] = (),
) -> Path:
    """Writes the translator as the next version of the model in `output`.

    The version appears in one step, under its number, when it is complete: what watches the folder
    never sees a part.

    Args:
        about: what the model card is to say beside what can be seen in the model.
        samples: source texts for requests that warm a server up; without them there are none.

    Returns:
        The folder of the version.
    """
    translator = translator.frozen()
    output.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=output, prefix=".exporting-"))
    try:
        archive = keras.export.ExportArchive()
        for resource in _resources(translator):
            archive.track(resource)
        functions = signatures(translator)
        for name, function in functions.items():
            archive.add_endpoint(name, function)
        # The gradients of the recurrences have no place in an endpoint, and could not be traced
        # without their inputs.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        archive.write_out(str(temporary / "model"), options=options, verbose=False)
        extra = temporary / "model" / "assets.extra"
        extra.mkdir(exist_ok=True)
        card = model_card(translator) | {"signatures": list(functions)} | (about or {})
        (extra / "model_card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        if samples:
            _write_warm_up(extra / "tf_serving_warmup_requests", list(functions), samples)
        version = _publish(temporary / "model", output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return version


def _publish(folder: Path, output: Path) -> Path:
    """Moves a folder to the next number; to a later one, if another process has taken it
    meanwhile."""
    for number in itertools.count(max(versions(output), default=0) + 1):
        version = output / str(number)
        try:
            folder.rename(version)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return version
    raise AssertionError("numbers have no end")


def _resources(translator: Translator) -> list[Any]:
    """What a translator's graphs read and an archive has to be told of.

    The model is not: an archive finds the variables of its functions, and writes those of a model
    that it tracks again.
    """
    modules = [translator.source_tokenizer.module, translator.target_tokenizer.module]
    return modules + [weights for weights in translator.search_weights or () if weights is not None]


def model_card(translator: Translator) -> dict[str, Any]:
    """What can be said of a translator alone: its model, search, limits, tokenizers, and the
    versions that made it."""
    tokenizers = {"source": translator.source_tokenizer, "target": translator.target_tokenizer}
    return {
        "model": asdict(translator.model.config),
        "search": asdict(translator.search),
        "maximum_batch": MAXIMUM_BATCH,
        "maximum_batch_with_alignment": MAXIMUM_ALIGNED,
        "tokenizers_sha256": {
            side: hashlib.sha256(t.model_proto).hexdigest() for side, t in tokenizers.items()
        },
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def _write_warm_up(path: Path, names: Sequence[str], samples: Sequence[str]) -> None:
    """TFRecords of requests; a server that cannot answer one of them does not load the version."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, size in itertools.product(names, WARM_UP_SIZES):
            texts = tf.make_tensor_proto(
                [t.encode() for t in itertools.islice(itertools.cycle(samples), size)]
            )
            inputs = (
                {"source": texts, "target": texts} if name == "score_pairs" else {"text": texts}
            )
            request = predict_pb2.PredictRequest(inputs=inputs)
            request.model_spec.signature_name = name
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def versions(output: Path) -> dict[int, Path]:
    """The versions in a folder by their numbers, the oldest first."""
    found = {
        int(path.name): path
        for path in output.iterdir()
        if re.fullmatch("[0-9]+", path.name) and path.is_dir()
    }
    return dict(sorted(found.items()))


def prune(output: Path, keep: int) -> list[int]:
    """Removes all versions but the `keep` newest, each in one step, and gives their numbers."""
    removed = list(versions(output).items())[:-keep]
    for _, version in removed:
        # Another name first: no reader finds half a version.
        hidden = Path(tempfile.mkdtemp(dir=output, prefix=".removing-"))
        version.rename(hidden / "model")
        shutil.rmtree(hidden, ignore_errors=True)
    return [number for number, _ in removed]


def run(config: ExportConfig) -> Iterator[str]:
    """Exports, prunes, and says what it did.

    Raises:
        FileNotFoundError: the run folder is not complete.
        ValueError: a setting of the search is outside its range.
    """
    folder = RunFolder(config.run_dir)
    translator = Translator.from_run(config.run_dir, config.search())
    about: dict[str, Any] = {"training": folder.read_config()}
    if folder.best_score.is_file():
        about |= json.loads(folder.best_score.read_text(encoding="utf-8"))
    samples = (
        folder.samples.read_text(encoding="utf-8").splitlines() if folder.samples.is_file() else []
    )
    yield str(export(translator, config.output, about, [text for text in samples if text.strip()]))
    if config.keep is not None:
        for number in prune(config.output, config.keep):
            yield f"removed version {number}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 with one line on what is at fault."""
    config = tyro.cli(
        ExportConfig,
        prog="serving.export",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
    )
    try:
        for line in run(config):
            print(line)
    except (ValueError, OSError, tf.errors.OpError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
