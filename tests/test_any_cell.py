"""A cell that is defined here trains, is saved and translates, with no change elsewhere."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from attention_nmt.config import CellConfig
from attention_nmt.layers.cells import CELLS, Cell, CellWeights, recurrent_product, register_cell
from attention_nmt.layers.recurrent import Recurrent
from attention_nmt.losses import CrossEntropy
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator
from attention_nmt.types import Tensor
from tests.attention_nmt.tiny import tiny_batch, tiny_model
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import train


@register_cell("minimal")
class MinimalUnit(Cell):
    """The minimal gated unit of Zhou et al. (2016), arXiv 1603.09420, which resets after.

    f = sigmoid(x_f + s U_f)    n = tanh(x_n + f * (s U_n))    s' = (1 - f) * s + f * n
    """

    gates = 2
    first_bias = (1.0, 0.0)

    def next_state(self, inputs: Tensor, state: Tensor, weights: CellWeights) -> Tensor:
        units = state.shape[-1]
        products = recurrent_product(state, weights, slice(0, 2 * units))
        forget = ops.sigmoid(inputs[:, :units] + products[:, :units])
        candidate = ops.tanh(inputs[:, units:] + forget * products[:, units:])
        return (1 - forget) * state + forget * candidate


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_its_states_are_those_of_its_equations() -> None:
    layer = Recurrent(4, CellConfig(kind="minimal"))
    layer.build((5, 2, 3))
    np.testing.assert_array_equal(layer.recurrent_bias, [1, 1, 1, 1, 0, 0, 0, 0])
    generator = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(generator.normal(size=weight.shape))
    inputs = generator.normal(size=(5, 2, 3)).astype(np.float32)

    kernel, input_bias, recurrent_kernel, recurrent_bias = map(np.asarray, layer.weights)
    state = np.zeros((2, 4))
    for found, x in zip(np.asarray(layer(inputs)), inputs, strict=True):
        projected = x @ kernel + input_bias
        products = state @ recurrent_kernel + recurrent_bias
        forget = sigmoid(projected[:, :4] + products[:, :4])
        candidate = np.tanh(projected[:, 4:] + forget * products[:, 4:])
        state = (1 - forget) * state + forget * candidate
        np.testing.assert_allclose(found, state, atol=1e-5)


def test_a_model_of_it_trains_and_is_saved(tmp_path: Path) -> None:
    batch = tiny_batch([(4, 3), (2, 5)])
    model = tiny_model(cell={"kind": "minimal"})
    before = [np.array(weight) for weight in model.weights]
    model.compile(keras.optimizers.SGD(0.3), CrossEntropy(), run_eagerly=True)
    inputs, labels, weights = batch
    history = model.fit(inputs, labels, sample_weight=weights, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    moved = [np.abs(np.array(w) - b).max() for w, b in zip(model.weights, before, strict=True)]
    assert min(moved) > 0

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(inputs), model(inputs))


@pytest.mark.long
@pytest.mark.parametrize("normalized", [False, True])
def test_it_trains_is_saved_and_translates(normalized: bool, tmp_path: Path) -> None:
    """By the command `train`, whose flags name it."""
    run = RunFolder(tmp_path / "run")
    dataset = write_folder(tmp_path / "data")
    switch = "--cell.layer-normalization" if normalized else "--cell.no-layer-normalization"
    arguments = [
        f"--run-dir={run.path}",
        f"--dataset={dataset}",
        *TINY_MODEL,
        "--buckets=1",
        "--cell.kind=minimal",
        switch,
        "--steps=6",
        "--warmup-steps=1",
        "--evaluate-steps=6",
        "--quiet",
    ]
    assert train.main(arguments) == 0
    model = keras.saving.load_model(run.best)
    assert isinstance(model.encoder.forward[0].cell, MinimalUnit)
    assert model.decoder.recurrence.recurrent_kernel.shape == (16, 32)
    assert hasattr(model.decoder.recurrence, "scales") == normalized
    sources = [source for source, _ in PAIRS[:5]]
    translations = Translator.from_run(run.path)(sources)
    assert all(np.isfinite(t.score) for t in translations)


def test_an_unknown_cell_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = write_folder(tmp_path / "data")
    arguments = [f"--run-dir={tmp_path / 'run'}", f"--dataset={dataset}", *TINY_MODEL]
    assert train.main([*arguments, "--cell.kind=maximal"]) == 1
    error = capsys.readouterr().err
    assert f"--cell.kind must be one of the cells {sorted(CELLS)}" in error
