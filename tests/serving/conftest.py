"""A tiny SavedModel, and `serving.server` on it in a process of its own."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from attention_nmt.translation.translator import Translator
from serving import export
from serving.servable import Servable
from tests.serving.exported import random_run

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
VERSION = 3
MAX_MESSAGE_BYTES = 2_000_000


class ServerProcess(NamedTuple):
    process: subprocess.Popen[str]
    address: str
    log: Path


class TinyTranslator(tf.Module):
    """Upper case for a translation; a table and a variable, which only an initialized session
    has."""

    def __init__(self) -> None:
        super().__init__()
        words = tf.lookup.KeyValueTensorInitializer(["hello", "dog"], ["bonjour", "chien"])
        self.table = tf.lookup.StaticHashTable(words, default_value="")
        self.scale = tf.Variable(0.5)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def translate(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        text = tf.ensure_shape(text, [None])
        known = self.table.lookup(text)
        translation = tf.where(known == "", tf.strings.upper(text), known)
        return {
            "translation": translation,
            "score": self.scale * tf.cast(tf.strings.length(text), tf.float32),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([], tf.string)])
    def join(self, text: tf.Tensor, mark: tf.Tensor = tf.constant("!")) -> dict[str, tf.Tensor]:  # noqa: B008
        text = tf.ensure_shape(text, [None])
        return {"joined": text + mark, "bytes": tf.strings.length(text), "first": text[0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def count(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Count up to the numbers given: fails on other text, and takes its time for large ones."""
        steps = tf.reduce_sum(tf.strings.to_number(text, tf.int32))
        counted = tf.while_loop(
            lambda step: step < steps, lambda step: [step + 1], [0], parallel_iterations=1
        )
        return {"counted": counted[0]}


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version folders as they may lie about, with the tiny translator in the latest."""
    folder = tmp_path_factory.mktemp("models") / "nmt"
    module = TinyTranslator()
    signatures = {"serving_default": module.translate, "join": module.join, "count": module.count}
    tf.saved_model.save(module, str(folder / str(VERSION)), signatures=signatures)
    for other in ("1", "tmp-9", "9x", ".8"):  # an older version and names that are no version
        (folder / other).mkdir()
    (folder / "7").write_text("a file is no version either", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def start_server(
    model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., ServerProcess]]:
    started = []

    def start(*flags: str) -> ServerProcess:
        log = tmp_path_factory.mktemp("server") / "stderr"
        command = [
            sys.executable,
            "-m",
            "serving.server",
            "--model-dir",
            str(model_dir),
            "--port",
            "0",
            *flags,
        ]
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT, env=ENVIRONMENT
            )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith(f"Serving nmt version {VERSION} at 127.0.0.1:"), log.read_text()
        return ServerProcess(process, line.split()[-1], log)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One server for most tests: a test that breaks it fails the ones after it."""
    return start_server("--max-message-bytes", str(MAX_MESSAGE_BYTES))


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def service(channel: grpc.Channel) -> prediction_service_pb2_grpc.PredictionServiceStub:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel: grpc.Channel) -> model_service_pb2_grpc.ModelServiceStub:
    return model_service_pb2_grpc.ModelServiceStub(channel)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made by the first of the processes that run tests, for all of them."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = root / f"{name}.part"
            make(part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of the default model."""
    return made_once(tmp_path_factory, "serving-run", random_run)


@pytest.fixture(scope="session")
def translator(run_dir: Path) -> Translator:
    """The run's translator, to compare with."""
    return Translator.from_run(run_dir)


@pytest.fixture(scope="session")
def version(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first exported version."""

    def make(output: Path) -> None:
        assert export.main(["--run-dir", str(run_dir), "--output", str(output)]) == 0

    return made_once(tmp_path_factory, "serving-export", make) / "1"


@pytest.fixture(scope="session")
def servable(version: Path) -> Iterator[Servable]:
    """The first exported version, loaded as TensorFlow Serving does; warm-up requests are run."""
    servable = Servable("nmt", 1, version)
    yield servable
    servable.close()
