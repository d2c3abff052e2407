"""Models' numbers on JAX: `KERAS_BACKEND=jax python -m tests.attention_nmt.jax_process FOLDER`,
see `test_jax`."""

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from keras import ops

from attention_nmt.backend import compiled
from attention_nmt.config import SearchConfig
from attention_nmt.losses import CrossEntropy, Perplexity, TokenAccuracy
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import longest_translation, search_model
from attention_nmt.search.shortlist import Shortlist
from tests.attention_nmt.tiny import Batch, tiny_batch, tiny_config

LENGTHS = [(5, 4), (3, 6), (0, 0), (6, 5)]
SEARCHES = {
    "greedy": SearchConfig(beam_size=1),
    "beam": SearchConfig(beam_size=4, n_best=2, length_penalty=0.7, coverage_penalty=0.3),
    "sample": SearchConfig(beam_size=2, n_best=2, temperature=0.8, sampling_seed=3),
}
SOME = Shortlist(np.arange(40)[::-1, None], np.arange(12), 40)
"""For each piece that of the other end, and a few more."""


def searched(model: Seq2Seq) -> dict[str, np.ndarray]:
    """What searches with a model find, on any backend, among all pieces and among some."""
    source, values = tiny_batch(LENGTHS)[0]["source"], dict[str, np.ndarray]()
    among_some = {"short beam": SEARCHES["beam"]}
    for name, config in (SEARCHES | among_some).items():
        options = LoopOptions(static_length=longest_translation(source.shape[1], config))
        shortlist = SOME if name in among_some else None
        search = functools.partial(
            search_model, model, config=config, shortlist=shortlist, loop=options
        )
        found = compiled(search, jit_compile=False)(ops.convert_to_tensor(source))
        values |= {f"{name} ids": np.asarray(found.ids), f"{name} scores": np.asarray(found.scores)}
    return values


def trained(model: Seq2Seq) -> dict[str, np.ndarray]:
    """What Keras' `evaluate` and `fit` say of batches of many tokens and of few, on any backend.

    Ids beyond the vocabulary do not get as far as a step.
    """
    few = [(4, 3), (0, 0), (0, 0), (0, 0)]
    batches = [tiny_batch(LENGTHS), tiny_batch(few, source_length=6, target_length=6)]
    model.compile(
        keras.optimizers.SGD(0.1),
        CrossEntropy(0.1),
        metrics=[Perplexity(), TokenAccuracy()],
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    values = {"evaluated": model.evaluate(stream(batches), verbose=0)}
    history = model.fit(stream(batches), shuffle=False, verbose=0).history
    values |= {f"fitted {name}": numbers for name, numbers in history.items()}

    inputs, labels, weights = batches[0]
    wrong = (inputs, labels + 40, weights)
    with pytest.raises(ValueError, match="`y` must be ids from 0 to 39"):
        model.fit(stream([wrong]), shuffle=False, verbose=0)
    values["steps"] = [int(model.optimizer.iterations)]
    return {name: np.array(numbers) for name, numbers in values.items()}


def stream(batches: list[Batch]) -> Iterator[Batch]:
    yield from batches


def logits_and_gradients(model: Seq2Seq) -> dict[str, np.ndarray]:
    inputs, labels, weights = tiny_batch(LENGTHS)
    fixed = [v.value for v in model.non_trainable_variables]

    def loss(trainable: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        logits, _ = model.stateless_call(trainable, fixed, inputs, training=True)
        return CrossEntropy(0.1)(labels, logits, weights), logits

    by_weight, logits = jax.jit(jax.grad(loss, has_aux=True))(
        [v.value for v in model.trainable_variables]
    )
    paths = [f"gradient {v.path.split('/', 1)[1]}" for v in model.trainable_variables]
    return {"logits": np.asarray(logits)} | dict(
        zip(paths, map(np.asarray, by_weight), strict=True)
    )


def main() -> None:
    """Reads `N.npz` (weights) for every N in `options.json`, and writes `N.out.npz`."""
    assert keras.backend.backend() == "jax"
    folder = Path(sys.argv[1])
    for number, options in enumerate(json.loads((folder / "options.json").read_text())):
        model = Seq2Seq(tiny_config(**options))
        with np.load(folder / f"{number}.npz") as weights:
            for weight in model.weights:
                weight.assign(weights[weight.path.split("/", 1)[1]])
        values: dict[str, Any] = logits_and_gradients(model)
        values |= searched(model)
        values |= trained(model)
        values["imported"] = np.array(
            [name for name in sys.modules if name.split(".")[0] == "tensorflow"], str
        )
        np.savez(folder / f"{number}.out.npz", **values)


if __name__ == "__main__":
    main()
