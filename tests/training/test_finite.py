"""Steps without finite numbers: they change nothing, are counted, and end a training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.archives import read_note
from attention_nmt.losses import CrossEntropy
from attention_nmt.run_folder import RunFolder
from tests.attention_nmt.tiny import tiny_batch, tiny_config
from tests.training.corpora import TINY_MODEL, write_folder
from training.build import build
from training.callbacks import Checkpoints, Report, Skips, Throughput
from training.finite import (
    CheckedAdam,
    CheckedCrossEntropy,
    NotFiniteError,
    Pace,
    Skipped,
    optimizer,
    read_skips,
)
from training.folder import keep_best
from training.presets import TrainConfig
from training.progress import Progress
from training.train import main

LENGTHS = [(5, 6), (3, 4)]


def tiny_training(**options: Any) -> keras.Model:
    config = TrainConfig(
        model=tiny_config(readout_dropout=0.3),
        **{"steps": 90, "warmup_steps": 0, "jit_compile": False, **options},
    )
    return build(config, 40, 40)


def state(model: keras.Model) -> list[np.ndarray]:
    """The weights and the optimizer's state, without the counts of skipped steps."""
    optimizer = model.optimizer
    variables = [*model.trainable_variables, *optimizer.variables]
    return [
        np.asarray(variable).copy() for variable in variables if variable is not optimizer.skips
    ]


def assert_equal(before: list[np.ndarray], after: list[np.ndarray]) -> None:
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def steps_that_are_skipped(model: keras.Model) -> None:
    """Takes a step, two that are not finite, and one that is."""
    inputs, labels, weights = tiny_batch(LENGTHS)
    model.train_on_batch(inputs, labels, weights)
    before = state(model)
    bad = weights * np.float32("nan")
    for count in (1, 2):
        model.train_on_batch(inputs, labels, bad)
        assert read_skips(model) == Skipped(total=count, last=count)
    assert_equal(before, state(model))

    model.train_on_batch(inputs, labels, weights)
    assert read_skips(model) == Skipped(total=2, last=0)
    assert all(np.isfinite(array).all() for array in state(model))
    assert any((old != new).any() for old, new in zip(before, state(model), strict=True))


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    steps_that_are_skipped(tiny_training())


@pytest.mark.long
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_compiled_step_that_is_not_finite_changes_nothing(policy: str) -> None:
    steps_that_are_skipped(tiny_training(dtype_policy=policy, jit_compile=True))


GRADIENTS = ([0.5, -3.0], [np.nan, 1.0], [np.inf, 0.0], [1e25, 1.0], [0.25, 2.0])


def adam_steps(run: Callable[[Any, list[float]], None]) -> None:
    """Gradients of which three are not finite, or have no finite norm; equal to Keras' Adam."""
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    checked = CheckedAdam(schedule, gradient_norm=2.0)
    plain = keras.optimizers.Adam(schedule, global_clipnorm=2.0)
    weights = [keras.Variable([1.0, -0.0]) for _ in range(2)]
    checked.build(weights[:1])
    plain.build(weights[1:])

    for gradient in GRADIENTS:
        run(checked, gradient)
        if gradient in (GRADIENTS[0], GRADIENTS[-1]):
            run(plain, gradient)
        for found, expected in zip(checked.variables, plain.variables, strict=False):
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
        found, expected = weights
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert np.asarray(checked.skips).tolist() == [3, 0]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_adam_leaves_out_what_is_not_finite(jit_compile: bool) -> None:
    functions: dict[int, Any] = {}

    def run(optimizer: Any, gradient: list[float]) -> None:
        if id(optimizer) not in functions:
            functions[id(optimizer)] = tf.function(
                lambda gradient: optimizer.apply([gradient]), jit_compile=jit_compile
            )
        functions[id(optimizer)](tf.constant(gradient))

    adam_steps(run)


def jax_adam_steps() -> None:
    """`adam_steps` as `fit` takes them on JAX."""
    import jax

    def run(optimizer: Any, gradient: list[float]) -> None:
        weights = optimizer._trainable_variables
        found = jax.jit(optimizer.stateless_apply)(
            [variable.value for variable in optimizer.variables],
            [jax.numpy.asarray(gradient)],
            [variable.value for variable in weights],
        )
        for variables, values in zip((weights, optimizer.variables), found, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    adam_steps(run)


def run_on_jax(function: str) -> None:
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.training import test_finite as t; t.{function}"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_adam_leaves_out_what_is_not_finite_on_jax() -> None:
    run_on_jax("jax_adam_steps()")


@pytest.mark.long
def test_a_step_on_jax_that_is_not_finite_changes_nothing() -> None:
    run_on_jax("steps_that_are_skipped(t.tiny_training())")


def test_float16_halves_its_scale_and_counts() -> None:
    """All but the scale and the count of steps at one scale stays as it was."""
    model = tiny_training(dtype_policy="mixed_float16")
    inputs, labels, weights = tiny_batch(LENGTHS)
    model.train_on_batch(inputs, labels, weights)
    before = [np.asarray(variable).copy() for variable in model.trainable_variables]
    scale = float(model.optimizer.dynamic_scale)
    model.train_on_batch(inputs, labels, weights * np.float32("nan"))
    assert read_skips(model) == Skipped(total=1, last=1)
    assert float(model.optimizer.dynamic_scale) == scale / 2
    assert_equal(before, [np.asarray(variable) for variable in model.trainable_variables])
    model.train_on_batch(inputs, labels, weights)
    assert read_skips(model) == Skipped(total=1, last=0)


def test_an_infinite_loss_has_no_finite_gradients() -> None:
    """Without the check they are 0 to 1; those of a finite loss keep their bits."""
    _, labels, weights = tiny_batch(LENGTHS)
    rng = np.random.default_rng(1)
    usual = rng.normal(size=(*labels.shape, 40)).astype(np.float32)
    loss, gradient = loss_and_gradient(CheckedCrossEntropy(0.1), labels, usual, weights)
    plain_loss, plain = loss_and_gradient(CrossEntropy(0.1), labels, usual, weights)
    assert loss == plain_loss
    np.testing.assert_array_equal(gradient, plain)

    labels, weights = np.array([[5, 7]]), np.ones((1, 2), np.float32)
    extreme = np.full((1, 2, 40), -3e38, np.float32)
    extreme[..., 39] = 3e38
    loss, plain = loss_and_gradient(CrossEntropy(), labels, extreme, weights)
    assert np.isinf(loss)
    assert np.isfinite(plain).all()
    _, gradient = loss_and_gradient(CheckedCrossEntropy(), labels, extreme, weights)
    assert np.isnan(gradient).all()


def loss_and_gradient(
    loss: CrossEntropy, labels: np.ndarray, logits: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    with tf.GradientTape() as tape:
        tensor = tf.constant(logits)
        tape.watch(tensor)
        value = loss(labels, tensor, weights)
    return float(value), tape.gradient(value, tensor).numpy()


def test_checkpoints_count_skipped_steps_and_older_ones_load(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    model = tiny_training()
    model.optimizer.skips.assign([1, 1])
    Progress(model, 0.0).save(path)

    again = tiny_training()
    Progress(again, 0.0).load(path)
    assert read_skips(again) == Skipped(total=1, last=1)

    with np.load(path) as arrays:
        older = {name: arrays[name] for name in arrays if name not in ("skips", "notes")}
    np.savez(path, **older)
    again = tiny_training()
    Progress(again, 0.0).load(path)
    assert read_skips(again) == Skipped(total=0, last=0)
    assert_equal(state(model), state(again))


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    """Neither as a checkpoint nor as the best; the last finite ones stay."""
    run = RunFolder(tmp_path / "run")
    model = tiny_training()
    progress = Progress(model, average_decay=0.9)
    progress.save(run.checkpoint)
    score: dict[str, Any] = {"step": 1, "dev_bleu": 1.0, "dev_sentences": 1, "tokenizers": {}}
    keep_best(run, model, **score)
    before = run.checkpoint.read_bytes(), run.best.read_bytes()

    progress.averages.values[0] = progress.averages.values[0] * np.nan  # type: ignore[union-attr]
    with pytest.raises(NotFiniteError, match=r"step 0: average:0 is not finite.*stays as it was"):
        progress.save(run.checkpoint)

    kernel = model.trainable_variables[2]
    kernel.assign(np.full(kernel.shape, np.inf))
    with pytest.raises(NotFiniteError, match=r"step 0: .*kernel is not finite.*`learning_rate`"):
        progress.save(run.checkpoint)
    with pytest.raises(ValueError, match=r"step 1: expected weights that are finite.*kernel\."):
        keep_best(run, model, **score)
    assert (run.checkpoint.read_bytes(), run.best.read_bytes()) == before

    # The file of an earlier version, which kept them.
    with np.load(run.checkpoint) as arrays:
        found = {name: arrays[name] for name in arrays}
    found["variable:0"] = found["variable:0"] * np.nan
    np.savez(run.checkpoint, **found)
    with pytest.raises(ValueError, match=r"checkpoint\.npz: expected finite numbers.*variable:0"):
        Progress(tiny_training(), average_decay=0.9).load(run.checkpoint)


def test_a_training_ends_after_steps_without_finite_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tiny_training()
    progress = Progress(model, 0.0)
    throughput = Throughput()
    throughput.restart()
    skips = Skips(progress, throughput, limit=3)

    logs: dict[str, Any] = {}
    for counts in ([0, 0], [1, 1], [2, 2], [2, 0], [3, 1], [4, 2]):
        skips.on_train_batch_begin(0)
        progress.advance()
        model.optimizer.skips.assign(counts)
        skips.on_train_batch_end(0, logs)
    assert logs == {"skipped": 4}
    assert capsys.readouterr().out.count("Step 2: skipped") == 1

    progress.advance()
    model.optimizer.skips.assign([5, 3])
    with pytest.raises(NotFiniteError, match=r"step 7: .* of the last 3 steps are not finite"):
        skips.on_train_batch_end(0, logs)


def test_a_rate_of_1e38_ends_with_status_1_and_keeps_what_is_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_folder(tmp_path / "corpus")
    run = RunFolder(tmp_path / "run")
    arguments = [
        *("--dataset", str(corpus), "--run-dir", str(run.path), *TINY_MODEL),
        *("--steps=40", "--warmup-steps=4", "--evaluate-steps=40", "--checkpoint-steps=1"),
        *("--learning-rate=1e38", "--maximum-skipped-steps=3"),
    ]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "not finite" in said
    assert "A new run with a lower --learning-rate may help." in said
    if run.checkpoint.is_file():
        with np.load(run.checkpoint) as arrays:
            assert all(np.isfinite(arrays[name]).all() for name in arrays if "variable" in name)
    assert not run.best.is_file()


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGTERM, SystemExit, 143),
        (signal.SIGHUP, SystemExit, 129),
        (signal.SIGINT, KeyboardInterrupt, None),
    ],
)
def test_a_signal_waits_for_the_step_and_writes_a_checkpoint(
    number: signal.Signals, error: type[BaseException], code: int | None, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    progress = Progress(tiny_training(), 0.0)
    before = signal.signal(number, signal.default_int_handler)
    try:
        checkpoints = Checkpoints(progress, run, checkpoint_steps=100)

        def steps() -> None:
            with checkpoints:
                checkpoints.on_train_batch_end(0)
                assert not run.checkpoint.exists()
                signal.raise_signal(number)
                assert not run.checkpoint.exists()
                checkpoints.on_train_batch_end(1)

        with pytest.raises(error) as raised:
            steps()
        assert getattr(raised.value, "code", None) == code
        with np.load(run.checkpoint) as arrays:
            assert arrays["numbers"][0] == 2
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_a_checkpoint_that_cannot_be_written_is_said_whatever_the_signal(tmp_path: Path) -> None:
    """An exit status of 143 would say that the training goes on from where it stopped."""
    progress = Progress(tiny_training(), 0.0)
    (tmp_path / "checkpoint.npz").mkdir()
    checkpoints = Checkpoints(progress, RunFolder(tmp_path), checkpoint_steps=100)

    def steps() -> None:
        with checkpoints:
            checkpoints._stop(signal.SIGTERM, None)
            checkpoints.on_train_batch_end(0)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(OSError, match=r"checkpoint\.npz must be a file"):
            steps()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_reader_of_the_output_that_goes_away_costs_no_step(tmp_path: Path) -> None:
    """As in `train | head`."""
    run = RunFolder(tmp_path)
    checkpoints = Checkpoints(Progress(tiny_training(), 0.0), run, checkpoint_steps=100)

    def steps() -> None:
        with checkpoints:
            checkpoints.on_train_batch_end(0)
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        steps()
    with np.load(run.checkpoint) as arrays:
        assert arrays["numbers"][0] == 1


def test_a_loss_that_is_not_finite_spoils_no_line_of_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Metrics begin anew behind it; a step that overflows with a finite loss leaves them."""
    model = tiny_training()
    inputs, labels, weights = tiny_batch(LENGTHS)
    progress = Progress(model, 0.0)
    throughput = Throughput()
    skips = Skips(progress, throughput, limit=3)
    report = Report(progress, quiet=True)
    throughput.restart()

    def step(weights: np.ndarray) -> dict[str, Any]:
        skips.on_train_batch_begin(0)
        logs = model.train_on_batch(inputs, labels, weights, return_dict=True)
        skips.on_train_batch_end(0, logs)
        return logs

    first = step(weights)["loss"]
    spoilt = step(weights * np.float32("nan"))
    report.on_epoch_end(0, spoilt)
    assert "nan" not in capsys.readouterr().out
    assert step(weights)["loss"] == pytest.approx(first, rel=0.2)

    model.optimizer.skips.assign([2, 1])
    skips.on_train_batch_end(0, {"loss": 1.0})
    model.metrics[0].total.assign(7.0)
    skips.on_train_batch_begin(0)
    assert float(model.metrics[0].total) == 7.0


def test_a_signal_during_an_evaluation_ends_it_behind_a_checkpoint(tmp_path: Path) -> None:
    progress = Progress(tiny_training(), 0.0)
    checkpoints = Checkpoints(progress, RunFolder(tmp_path), checkpoint_steps=100)

    def evaluation() -> None:
        with checkpoints:
            checkpoints._stop(signal.SIGTERM, None)
            checkpoints.on_epoch_end(0)
            assert progress.model.stop_training

    with pytest.raises(SystemExit) as raised:
        evaluation()
    assert raised.value.code == 143
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_the_best_weights_name_the_tokenizers(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.source_tokenizer.write_bytes(b"abc")
    sums = run.tokenizer_sums()
    assert sums["tokenizer.model"].startswith("ba7816bf")
    score = SimpleNamespace(step=3, dev_bleu=2.5, dev_sentences=4)
    keep_best(run, tiny_training(), **vars(score), tokenizers=sums)
    assert json.loads(run.best_score.read_text()) == vars(score)
    assert read_note(run.best) == {"tokenizers": sums}
    assert keras.saving.load_model(run.best).count_params() == tiny_training().count_params()


@pytest.mark.parametrize("dtype_policy", ["float32", "mixed_float16"])
def test_a_weight_is_trained_at_its_own_pace(dtype_policy: str) -> None:
    """Of one gradient Adam makes steps of the learning rate, whatever its size."""
    usual, later = (keras.Variable([1.0, 2.0]) for _ in range(2))
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.1, 0.1])
    paces = {id(later): Pace(share=0.5, first_step=1)}
    adam = optimizer(rate, gradient_norm=1.0, dtype_policy=dtype_policy, paces=paces)
    adam.build([usual, later])
    found = []
    for _ in range(2):
        gradient = keras.ops.convert_to_tensor([3e4, -2e4])
        adam.apply([gradient, gradient], [usual, later])
        found.append([np.asarray(usual), np.asarray(later)])
    expected = [[[0.9, 2.1], [1.0, 2.0]], [[0.8, 2.2], [0.95, 2.05]]]
    np.testing.assert_allclose(found, expected, atol=1e-3)
