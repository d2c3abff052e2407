"""Trainings on several devices and in several processes are those of one device."""

import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import from_dict
from attention_nmt.run_folder import RunFolder
from tests.training.corpora import TINY_MODEL, command, write_folder
from tests.training.shared_training import PIECES, SETTINGS, Batches, main
from training import strategy
from training.build import build
from training.devices import DeviceConfig, OneProcess, open_devices
from training.presets import TrainConfig
from training.progress import Progress
from training.strategy import StrategyDevices, open_strategy
from training.train import train

Arrays = Mapping[str, np.ndarray]

DROPOUT = {
    "model": {**SETTINGS["model"], "embedding_dropout": 0.3, "source_word_dropout": 0.2},
    "consistency": 1.0,
    "steps": 20,
}
"""Settings with masks of each kind, by R-Drop, whose pairs stand in a batch twice."""

MIRRORED = {"distribute": "mirrored", "devices": 4}


def start(
    folder: Path, name: str, settings: Mapping[str, Any], **environment: str
) -> subprocess.Popen:
    """A process that trains, and writes `name.npz`."""
    arguments = [str(folder / f"{name}.npz"), json.dumps(settings)]
    return subprocess.Popen(
        command("tests.training.shared_training", *arguments),
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=(folder / f"{name}.log").open("wb"),
    )


def result(folder: Path, name: str, *processes: subprocess.Popen) -> Arrays:
    """The losses and the weights that processes have trained."""
    for process in processes:
        assert process.wait(timeout=600) == 0, (folder / f"{name}.log").read_text()[-3000:]
    return np.load(folder / f"{name}.npz")


def assert_same(found: Arrays, expected: Arrays) -> None:
    """The first losses and all losses are those of one device, and so are the weights."""
    np.testing.assert_allclose(found["losses"][:10], expected["losses"][:10], rtol=1e-5)
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-3)
    for name in set(expected.keys()) - {"losses"}:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-3)


@pytest.fixture(scope="module", params=[20, pytest.param(200, marks=pytest.mark.long)])
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """Steps by Keras' `fit`, without dropout."""
    folder = tmp_path_factory.mktemp("alone")
    main(str(folder / "alone.npz"), {"steps": request.param})
    found = np.load(folder / "alone.npz")
    assert len(set(found["losses"])) == request.param
    return found


def test_a_batch_in_parts_trains_what_the_whole_does(alone: Arrays, tmp_path: Path) -> None:
    """Eight rows of unequal lengths, the last of which is padding."""
    settings = {"steps": len(alone["losses"]), "devices": {"accumulate": 4}}
    main(str(tmp_path / "parts.npz"), settings)
    assert_same(np.load(tmp_path / "parts.npz"), alone)


def test_four_devices_train_what_one_does(alone: Arrays, tmp_path: Path) -> None:
    process = start(tmp_path, "four", {"steps": len(alone["losses"]), "devices": MIRRORED})
    assert_same(result(tmp_path, "four", process), alone)


@pytest.mark.long
def test_devices_that_take_their_shares_in_parts_and_compile_train_the_same(
    alone: Arrays, tmp_path: Path
) -> None:
    devices = {"distribute": "mirrored", "devices": 2, "accumulate": 2}
    settings = {"steps": len(alone["losses"]), "devices": devices, "jit_compile": True}
    process = start(tmp_path, "two", settings)
    assert_same(result(tmp_path, "two", process), alone)


def ports(count: int) -> list[int]:
    """Ports that are free."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    free = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return free


def clusters(count: int = 2) -> list[str]:
    """`TF_CONFIG` of each of the processes of this machine."""
    workers = [f"localhost:{port}" for port in ports(count)]
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    return [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]


@pytest.mark.long
def test_two_processes_train_what_one_does(alone: Arrays, tmp_path: Path) -> None:
    settings = {"steps": len(alone["losses"]), "devices": {"distribute": "multiworker"}}
    processes = [
        start(tmp_path, f"worker{index}", settings, TF_CONFIG=cluster)
        for index, cluster in enumerate(clusters())
    ]
    assert_same(result(tmp_path, "worker0", *processes), alone)
    assert not (tmp_path / "worker1.npz").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_devices_and_processes_on_jax_train_what_one_does(tmp_path: Path) -> None:
    """JAX draws other weights than TensorFlow."""
    jax = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    one = start(tmp_path, "one", {"steps": 200}, **jax)
    expected = result(tmp_path, "one", one)

    shared = {"distribute": "data_parallel"}
    four = start(tmp_path, "four", {"steps": 200, "devices": {**shared, "devices": 4}}, **jax)
    assert_same(result(tmp_path, "four", four), expected)

    addresses = ",".join(f"localhost:{port}" for port in ports(2))
    processes = []
    for index in range(2):
        environment = {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        }
        settings = {"steps": 200, "devices": shared}
        processes.append(start(tmp_path, f"process{index}", settings, **jax, **environment))
    assert_same(result(tmp_path, "process0", *processes), expected)


@pytest.mark.long
def test_masks_are_the_same_again_and_others_on_other_devices(tmp_path: Path) -> None:
    settings = {**DROPOUT, "devices": {**MIRRORED, "devices": 2}}
    runs = [result(tmp_path, name, start(tmp_path, name, settings)) for name in ("first", "second")]
    for name in runs[0]:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])

    main(str(tmp_path / "alone.npz"), DROPOUT)
    assert not np.allclose(runs[0]["losses"][1:], np.load(tmp_path / "alone.npz")["losses"][1:])


STREAMS = """
import numpy as np
from attention_nmt.config import from_dict
from attention_nmt.run_folder import RunFolder
from tests.training.shared_training import PIECES, SETTINGS
from tests.training.test_devices import DROPOUT, MIRRORED
from training.build import build
from training.devices import open_devices
from training.presets import TrainConfig
from training.progress import Progress

config = from_dict(TrainConfig, {**SETTINGS, **DROPOUT, "devices": MIRRORED})
devices = open_devices(config.devices, config.dtype_policy)
with devices.scope():
    model = build(config, PIECES, PIECES)
states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
before = [np.asarray(state) for state in states]
devices._part_streams(model)
local = devices.strategy.experimental_local_results
found = [[each.numpy().tolist() for each in local(state.value)] for state in states]
assert len(states) >= 2
for one, first in zip(found, before, strict=True):
    assert one[0] == first.tolist()
    assert len({tuple(each) for each in one}) == 4, one
"""


@pytest.mark.long
def test_each_device_draws_masks_of_its_own() -> None:
    process = subprocess.run(
        [sys.executable, "-c", STREAMS], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]


def one_device(settings: Mapping[str, Any]) -> tuple[StrategyDevices, Any, TrainConfig]:
    """The devices and the model of a training whose batches are cut in two."""
    given = {**SETTINGS, **settings, "devices": {"accumulate": 2}}
    config = from_dict(TrainConfig, given)
    devices = open_strategy(config.devices)
    with devices.scope():
        return devices, build(config, PIECES, PIECES), config


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted() -> None:
    devices, model, _ = one_device({})
    step = strategy.ReplicatedStep(model, devices)
    batch = next(Batches(2, 1).stream(0, 0, None))
    step(batch)
    before = [np.asarray(weight) for weight in model.trainable_variables]
    state = [np.asarray(variable) for variable in model.optimizer.variables[:-1]]

    bad = batch[2].copy()
    bad[0, 0] = np.inf
    step((batch[0], batch[1], bad))

    for weight, old in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    for variable, old in zip(model.optimizer.variables[:-1], state, strict=True):
        np.testing.assert_array_equal(variable, old)
    assert np.asarray(model.optimizer.skips).tolist() == [1, 1]


def test_a_training_whose_first_step_is_not_finite_goes_on() -> None:
    devices, model, config = one_device({"steps": 3, "evaluate_steps": 3, "warmup_steps": 1})

    class Spoilt(Batches):
        def stream(self, epoch: int, skip: int, began: Any) -> Iterator[Any]:
            batches = super().stream(epoch, skip, began)
            inputs, labels, weights = next(batches)
            yield inputs, labels, np.where(weights > 0, np.inf, 0).astype(np.float32)
            yield from batches

    progress = Progress(model, 0.0)
    found: list[dict[str, float]] = []

    class Logs(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch
            progress.advance()
            found.append(dict(logs))

    devices.fit(progress, Spoilt(2, 1), config, [Logs()], 0)
    assert found[0] == {}
    assert 3 < found[2]["loss"] < 4
    assert np.asarray(model.optimizer.skips).tolist() == [1, 0]


def test_gradients_are_clipped_when_they_have_been_added() -> None:
    """The first momentum of Adam is a tenth of what it was given."""
    devices, model, config = one_device({"gradient_norm": 1e-3})
    step = strategy.ReplicatedStep(model, devices)
    batch = next(Batches(2, 1).stream(0, 0, None))
    rows = [batch[0]["source"], batch[0]["target"], batch[1], batch[2]]
    halves = [[tf.constant(np.split(x, 2)[half]) for x in rows] for half in range(2)]
    parts = [step._gradients(*half) for half in halves]

    tokens = sum(float(part[-1]) for part in parts)
    means = [(one + other) / tokens for one, other in zip(parts[0], parts[1], strict=True)]
    gradients = means[: len(model.trainable_variables)]
    norm = np.sqrt(sum(float(tf.reduce_sum(gradient**2)) for gradient in gradients))
    assert norm > 10 * config.gradient_norm

    step(batch)
    momenta = [each for each in model.optimizer.variables if each.path.endswith("_momentum")]
    for momentum, gradient in zip(momenta, gradients, strict=True):
        expected = 0.1 * gradient * config.gradient_norm / norm
        np.testing.assert_allclose(momentum, expected, rtol=1e-3, atol=1e-9)


def test_a_step_of_a_device_is_of_static_shapes_and_reads_no_text() -> None:
    """As a TPU needs it."""
    devices, model, _ = one_device({**DROPOUT, "jit_compile": True})
    step = strategy.ReplicatedStep(model, devices)
    inputs, labels, weights = next(Batches(1, 2).stream(0, 0, None))
    arguments = [tf.constant(x) for x in (inputs["source"], inputs["target"], labels, weights)]
    graph = step._compiled.get_concrete_function(*arguments).graph
    functions = [graph, *(f.graph for f in graph._functions.values() if hasattr(f, "graph"))]
    operations = [op for each in functions for op in each.get_operations()]
    outputs = [tensor for op in operations for tensor in op.outputs]
    assert not [tensor.name for tensor in outputs if tensor.dtype == tf.string]
    assert all(output.shape.is_fully_defined() for output in graph.outputs)
    assert all(np.isfinite(x).all() for x in step._compiled(*arguments))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 0}, r"`devices` must be at least 1\. Received: 0"),
        ({"accumulate": 0}, r"`accumulate` must be at least 1"),
        ({"devices": 2}, r"`distribute` must be a way to share a training with `devices`"),
        ({"tpu": "node", "distribute": "mirrored"}, r"`tpu` must be left out unless"),
    ],
)
def test_settings_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeviceConfig(**options)


def test_what_cannot_be_opened_is_refused_before_any_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_devices(DeviceConfig(), "mixed_float16"), OneProcess)
    mirrored = DeviceConfig(distribute="mirrored", devices=2)
    with pytest.raises(ValueError, match="`dtype_policy` must be another one than mixed_float16"):
        open_devices(mirrored, "mixed_float16")
    tf.zeros(())
    with pytest.raises(ValueError, match="`devices` must be asked for before TensorFlow begins"):
        open_devices(mirrored, "float32")
    with pytest.raises(ValueError, match="`distribute` must be one of those for tensorflow"):
        open_devices(DeviceConfig(distribute="data_parallel"), "float32")

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="`distribute` must be one of those for jax"):
        open_devices(mirrored, "float32")
    with pytest.raises(ValueError, match="`accumulate` must be one of those for jax"):
        open_devices(DeviceConfig(accumulate=2), "float32")
    with pytest.raises(ValueError, match="`accumulate` must be 1 with 'data_parallel'"):
        open_devices(DeviceConfig(distribute="data_parallel", accumulate=2), "float32")


def test_copies_in_parts_are_not_compared_by_halves_of_the_batch(tmp_path: Path) -> None:
    shared = DeviceConfig(distribute="data_parallel", devices=2)
    config = TrainConfig(consistency=1.0, devices=shared)
    with pytest.raises(ValueError, match="`consistency` must be 0 with 'data_parallel'"):
        train(config, RunFolder(tmp_path / "run"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_workers_must_be_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"`TF_CONFIG` must be .* in the environment"):
        open_strategy(DeviceConfig(distribute="multiworker"))


class Resolver:
    """A fake of TensorFlow's; it answers never."""

    asked: list[str] = []  # noqa: RUF012

    def __init__(self, tpu: str) -> None:
        self.asked.append(tpu)
        time.sleep(5)


def test_a_tpu_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", Resolver)
    monkeypatch.setattr(strategy, "TPU_TIMEOUT_S", 0.1)
    with pytest.raises(OSError, match=r"the TPU node-1 cannot be reached: no answer within 0\.1 s"):
        open_strategy(DeviceConfig(distribute="tpu", tpu="node-1"))
    assert Resolver.asked == ["node-1"]


TRAINING = [
    *TINY_MODEL,
    "--steps=30",
    "--warmup-steps=5",
    "--evaluate-steps=10",
    "--checkpoint-steps=5",
    "--embedding-dropout=0.2",
    "--average-decay=0.9",
    "--learning-rate=0.02",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("corpus") / "corpus")


def workers(run: Path, corpus: Path, *flags: str) -> list[subprocess.Popen]:
    """Two processes that train in a run folder."""
    given = [f"--run-dir={run}", f"--dataset={corpus}", *TRAINING, "--distribute=multiworker"]
    return [
        subprocess.Popen(
            command("training.train", *given, *(flags if index else ())),
            env={**os.environ, "TF_CONFIG": cluster},
            stdout=(run.parent / f"{run.name}.{index}.out").open("wb"),
            stderr=(run.parent / f"{run.name}.{index}.err").open("wb"),
        )
        for index, cluster in enumerate(clusters())
    ]


def said(run: Path, index: int) -> str:
    return "".join((run.parent / f"{run.name}.{index}.{end}").read_text() for end in ("out", "err"))


def wait_for(condition: Callable[[], bool], timeout_s: float = 200) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that was never stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    processes = workers(run, corpus)
    assert [process.wait(timeout=280) for process in processes] == [0, 0], said(run, 0)
    return run


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("victim", "number"), [(1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGTERM)]
)
def test_a_process_that_ends_ends_all_and_the_same_command_goes_on(
    victim: int, number: signal.Signals, whole: Path, corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    processes = workers(run, corpus)
    wait_for(lambda: "Step 20" in said(run, 0))
    processes[victim].send_signal(number)
    statuses = [process.wait(timeout=60) for process in processes]
    if number == signal.SIGTERM:
        assert statuses == [143, 143]
    else:
        assert statuses[1 - victim] == 1
        assert "error: another process of this training ended" in said(run, 1 - victim)

    again = workers(run, corpus)
    assert [process.wait(timeout=280) for process in again] == [0, 0], said(run, 0)
    with np.load(run / "checkpoint.npz") as found, np.load(whole / "checkpoint.npz") as expected:
        for name in set(expected) - {"notes"}:
            np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.long
def test_the_chief_writes_and_speaks(whole: Path) -> None:
    assert "Best dev BLEU" in said(whole, 0)
    assert "Step" not in said(whole, 1)
    assert "Best" not in said(whole, 1)
    assert len(list((whole / "logs").iterdir())) == 1


@pytest.mark.long
def test_a_worker_of_another_config_is_refused(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    processes = workers(run, corpus, "--learning-rate=0.03")
    assert processes[1].wait(timeout=200) == 1
    assert "Different: learning_rate: 0.02 there, 0.03 here" in said(run, 1)
    assert processes[0].wait(timeout=60) == 1
    assert "another process of this training ended" in said(run, 0)


def test_a_run_goes_on_with_other_devices() -> None:
    """They change no more than the last bits."""
    from training.folder import _FREE

    assert {field.name for field in dataclasses.fields(DeviceConfig)} <= set(_FREE)
