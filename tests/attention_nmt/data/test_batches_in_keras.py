"""The batches of a corpus under Keras' `fit`, `evaluate` and `predict`."""

import itertools
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig, ModelConfig
from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.losses import CrossEntropy, Perplexity
from attention_nmt.models.seq2seq import Seq2Seq
from tests.attention_nmt.conftest import SENTENCES, VOCABULARY_SIZE

ROOT = Path(__file__).parents[3]
PAIRS = [(" ".join(text.split()[: 1 + i % 9]), text.lower()) for i, text in enumerate(SENTENCES)]
"""Forty pairs of many lengths."""

DRAWN: dict[str, Any] = {"sampling_alpha": 0.2, "joined_pairs": 2, "capitals": 0.5}


def pairs(texts: list[tuple[str, str]] | None = None) -> tf.data.Dataset:
    sources, targets = zip(*(PAIRS if texts is None else texts), strict=True)
    return tf.data.Dataset.from_tensor_slices((list(sources), list(targets)))


def make(tokenizer: Tokenizer, copies: int = 1, **options: Any) -> TrainingBatches:
    sizes = {"batch_size": 6, "maximum_length": 300, "maximum_ratio": 300, "buckets": 3}
    config = BatchConfig(**{**sizes, **options})
    return TrainingBatches(pairs(), tokenizer, tokenizer, config, copies=copies)


def model() -> Seq2Seq:
    sizes: dict[str, Any] = {
        "embedding_size": 4,
        "encoder_units": 4,
        "decoder_units": 4,
        "attention_units": 4,
    }
    vocabularies: dict[str, Any] = {
        "source_vocabulary_size": VOCABULARY_SIZE,
        "target_vocabulary_size": VOCABULARY_SIZE,
    }
    keras.utils.set_random_seed(1)
    made = Seq2Seq(ModelConfig(**sizes, **vocabularies, readout_units=4))
    made.compile(keras.optimizers.Adam(0.01), CrossEntropy(), weighted_metrics=[Perplexity()])
    return made


def arrays(dataset: tf.data.Dataset) -> list[Any]:
    return list(dataset.as_numpy_iterator())


def weights_of(trained: keras.Model) -> list[np.ndarray]:
    return [np.asarray(weight.value) for weight in trained.trainable_weights]


@pytest.mark.parametrize(
    "options", [{}, DRAWN, {"batch_size": 300, "batch_unit": "tokens"}], ids=str
)
def test_evaluation_has_each_pair_once_in_the_order_of_the_corpus(
    options: dict[str, Any], tokenizer: Tokenizer
) -> None:
    batches = make(tokenizer, **options)
    dataset = batches.evaluation()
    found = arrays(dataset)
    assert len(found) == dataset.cardinality().numpy()

    rows = []
    for inputs, labels, weights in found:
        assert inputs["source"].shape[1:] == found[0][0]["source"].shape[1:]
        assert labels.shape == inputs["target"].shape == weights.shape
        assert labels.shape[1] == found[0][1].shape[1]
        np.testing.assert_array_equal(weights, labels != 0)
        rows += list(zip(inputs["source"].tolist(), labels.tolist(), strict=True))
    trimmed = [([i for i in s if i], [i for i in t if i]) for s, t in rows]
    sides = [tokenizer.encode([pair[side] for pair in PAIRS]) for side in (0, 1)]
    end = tokenizer.special.end
    assert trimmed == [([*s, end], [*t, end]) for s, t in zip(*sides, strict=True)]
    longest = [max(len(row[side]) for row in trimmed) for side in (0, 1)]
    assert [found[0][0]["source"].shape[1], found[0][1].shape[1]] == longest


def test_evaluation_is_the_same_each_time(tokenizer: Tokenizer) -> None:
    dataset = make(tokenizer, **DRAWN).evaluation()
    for one, other in zip(arrays(dataset), arrays(dataset), strict=True):
        for first, second in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            np.testing.assert_array_equal(first, second)


def test_evaluation_holds_one_of_several_copies(tokenizer: Tokenizer) -> None:
    found = arrays(make(tokenizer, copies=2).evaluation())
    assert sum(len(labels) for _, labels, _ in found) == len(PAIRS)


def test_evaluation_leaves_out_what_the_config_drops(tokenizer: Tokenizer) -> None:
    config = BatchConfig(batch_size=2, maximum_length=300, maximum_ratio=300, buckets=1)
    given = [("a dog", "ein Hund"), ("", "nothing"), ("a house", "ein Haus"), ("a", "b")]
    batches = TrainingBatches(pairs(given), tokenizer, tokenizer, config)
    assert (batches.statistics.kept, batches.statistics.empty) == (3, 1)
    assert [len(labels) for _, labels, _ in arrays(batches.evaluation())] == [2, 1]


@pytest.mark.parametrize("options", [{}, DRAWN, {"copies": 2}], ids=str)
def test_a_dataset_for_fit_has_a_known_length(
    options: dict[str, Any], tokenizer: Tokenizer
) -> None:
    batches = make(tokenizer, **options)
    dataset = batches.dataset()
    expected = batches.batches_per_epoch
    assert dataset.cardinality().numpy() == expected
    assert dataset.repeat().cardinality().numpy() == tf.data.INFINITE_CARDINALITY
    assert [len(arrays(dataset)) for _ in range(3)] == [expected] * 3
    if options is not DRAWN:
        assert len(arrays(batches.epoch(0))) == expected


def test_a_dataset_that_begins_with_a_later_epoch(tokenizer: Tokenizer) -> None:
    batches = make(tokenizer)
    later = batches.dataset(first_epoch=2)
    for number in (2, 3):
        for one, other in zip(arrays(later), arrays(batches.epoch(number)), strict=True):
            np.testing.assert_array_equal(one[1], other[1])
    with pytest.raises(ValueError, match=r"`first_epoch` must be at least 0\. Received: -1"):
        batches.dataset(first_epoch=-1)


def test_an_epoch_that_was_only_looked_at_is_given_again(tokenizer: Tokenizer) -> None:
    """Keras looks at the first batch on JAX and under a strategy; the epoch would be lost."""
    batches = make(tokenizer)
    dataset = batches.dataset()
    for number in (0, 1):
        looked_at = itertools.islice(dataset, batches.batches_per_epoch - 1)
        assert len(list(looked_at)) > 1
        for one, other in zip(arrays(dataset), arrays(batches.epoch(number)), strict=True):
            np.testing.assert_array_equal(one[1], other[1])

    # Who knows the number of batches takes them and does not ask for the end.
    taken = [batch for _, batch in zip(range(batches.batches_per_epoch), dataset, strict=False)]
    assert len(taken) == batches.batches_per_epoch
    third = next(iter(dataset))
    np.testing.assert_array_equal(third[1], next(iter(batches.epoch(3)))[1])


def fitted(batches: TrainingBatches) -> Seq2Seq:
    """A model after two epochs; a warning of Keras' is an error."""
    whole = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        whole.fit(batches.dataset(), epochs=2, verbose=0, shuffle=False)
    return whole


def test_fit_takes_every_batch_and_does_not_run_out_of_data(tokenizer: Tokenizer) -> None:
    """Keras counted a step more each epoch of a dataset without a length."""
    batches = make(tokenizer)
    steps = fitted(batches).optimizer.iterations
    assert int(steps.numpy()) == 2 * batches.batches_per_epoch


@pytest.mark.long
def test_a_training_goes_on_from_the_backup_of_keras(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """One that is stopped after an epoch and goes on ends as one of two epochs does."""
    batches = make(tokenizer)
    whole = fitted(batches)

    folder = tmp_path / "backup"
    for epochs in (1, 2):
        backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        found = folder / "training_metadata.json"
        first = json.loads(found.read_text())["epoch"] if found.is_file() else 0
        stopped = model()
        stopped.fit(
            batches.dataset(first_epoch=first),
            epochs=epochs,
            callbacks=[backup],
            verbose=0,
            shuffle=False,
        )
    assert int(stopped.optimizer.iterations.numpy()) == 2 * batches.batches_per_epoch
    for one, other in zip(weights_of(whole), weights_of(stopped), strict=True):
        np.testing.assert_array_equal(one, other)


def test_evaluate_is_the_same_each_time_and_predict_one_array(tokenizer: Tokenizer) -> None:
    batches = make(tokenizer)
    trained = model()
    dataset = batches.evaluation()
    first = trained.evaluate(dataset, verbose=0, return_dict=True)
    assert trained.evaluate(dataset, verbose=0, return_dict=True) == first
    assert np.log(first["perplexity"]) == pytest.approx(first["loss"], rel=1e-5)

    logits = trained.predict(dataset, verbose=0)
    given = arrays(dataset)
    inputs = {name: np.concatenate([b[0][name] for b in given]) for name in ("source", "target")}
    assert isinstance(logits, np.ndarray)
    assert logits.shape == (len(PAIRS), inputs["target"].shape[1], VOCABULARY_SIZE)
    np.testing.assert_allclose(logits, trained(inputs), atol=1e-5)


ON_JAX = """
import tensorflow as tf
from tests.attention_nmt.data.test_batches_in_keras import PAIRS, make, model
from attention_nmt.data.tokenizer import Tokenizer
import sys

batches = make(Tokenizer.load(sys.argv[1]))
trained = model()
dataset = batches.dataset()
trained.fit(dataset, epochs=2, verbose=0)
print(int(trained.optimizer.iterations.value), 2 * batches.batches_per_epoch)
later = next(iter(dataset))[1], next(iter(batches.epoch(2)))[1]
print(*(int(labels.numpy().sum()) for labels in later))
print(trained.predict(batches.evaluation(), verbose=0).shape[0], len(PAIRS))
one, other = (trained.evaluate(batches.evaluation(), verbose=0) for _ in range(2))
print(one, other)
"""


@pytest.mark.long
def test_on_jax(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.model")
    process = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::UserWarning:keras",
            "-c",
            ON_JAX,
            tmp_path / "tokenizer.model",
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    steps, sums, rows, losses = process.stdout.splitlines()
    for numbers in (steps, sums, rows):
        assert len(set(numbers.split())) == 1
    half = len(losses) // 2
    assert losses[:half] == losses[half + 1 :]


DICTIONARY = tf.data.Dataset.from_tensors({"en": "a", "fr": "b"})
WRONG: dict[str, Any] = {
    "a list": PAIRS,
    "two lists": (["a"], ["b"]),
    "nothing": None,
    "batches": tf.data.Dataset.from_tensors((["a"], ["b"])),
    "numbers": tf.data.Dataset.from_tensors((1, 2)),
    "sources alone": tf.data.Dataset.from_tensors("a"),
    "by language": DICTIONARY,
}


@pytest.mark.parametrize("name", WRONG)
def test_pairs_that_are_no_dataset_of_pairs(name: str, tokenizer: Tokenizer) -> None:
    expected = r"`pairs` must be a tf\.data\.Dataset of \(source, target\) strings"
    with pytest.raises(TypeError, match=expected):
        TrainingBatches(WRONG[name], tokenizer, tokenizer, BatchConfig())


def test_tokenizers_and_configs_that_are_none(tokenizer: Tokenizer) -> None:
    with pytest.raises(TypeError, match=r"`source_tokenizer` must be a Tokenizer.*'en\.model'"):
        TrainingBatches(pairs(), "en.model", tokenizer, BatchConfig())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`target_tokenizer` must be a Tokenizer"):
        TrainingBatches(pairs(), tokenizer, None, BatchConfig())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`config` must be a BatchConfig"):
        TrainingBatches(pairs(), tokenizer, tokenizer, {"batch_size": 3})  # type: ignore[arg-type]
