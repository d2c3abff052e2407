"""`compile`, `fit`, `evaluate`, `predict` and `export` as scripts of Keras' users spell them."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig
from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.losses import CrossEntropy, Perplexity, TargetTokens, TokenAccuracy
from attention_nmt.models.batch_checks import Expected, checked
from attention_nmt.models.seq2seq import Seq2Seq
from tests.attention_nmt.models import oracle
from tests.attention_nmt.tiny import TIED, Batch, tiny_batch, tiny_model

BATCHES = [
    tiny_batch([(4, 3), (2, 5)]),
    tiny_batch([(5, 9)], target_length=12),
    tiny_batch([(3, 2), (0, 0), (0, 0)]),
]
"""Of other heights and widths, with rows and columns of padding."""


def dataset(batches: list[Batch]) -> tf.data.Dataset:
    ids = tf.TensorSpec([None, None], tf.int32)
    signature = ({"source": ids, "target": ids}, ids, tf.TensorSpec([None, None], tf.float32))
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


def token_losses(model: Seq2Seq, batches: list[Batch]) -> np.ndarray:
    """The cross-entropy of each token, in nats, by NumPy."""
    found = []
    for inputs, labels, _ in batches:
        logits = np.asarray(model(inputs), np.float64).reshape(-1, 40)
        losses = oracle.cross_entropy(logits, labels.reshape(-1))
        found.append(losses[labels.reshape(-1) != 0])
    return np.concatenate(found)


def compiled(model: Seq2Seq, rate: float = 0.1, **options: Any) -> Seq2Seq:
    if "metrics" not in options:
        options = {"weighted_metrics": [Perplexity()], **options}
    options = {"run_eagerly": True, **options}
    model.compile(keras.optimizers.SGD(rate), CrossEntropy(), **options)
    return model


def test_the_loss_of_a_dataset_is_the_mean_over_its_tokens() -> None:
    """Whatever the order of its batches, and equal to ln(perplexity)."""
    model = compiled(tiny_model())
    expected = token_losses(model, BATCHES).mean()
    for batches in (BATCHES, BATCHES[::-1]):
        found = model.evaluate(dataset(batches), verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(expected, rel=1e-6)
        assert np.log(found["perplexity"]) == pytest.approx(expected, rel=1e-6)
    assert model.evaluate(dataset(BATCHES), verbose=0) == pytest.approx(
        [expected, np.exp(expected)]
    )


def test_the_loss_of_an_epoch_is_the_mean_over_its_tokens() -> None:
    model = compiled(tiny_model(), rate=0.0)
    history = model.fit(dataset(BATCHES), epochs=2, shuffle=False, verbose=0).history
    expected = token_losses(model, BATCHES).mean()
    assert history["loss"] == pytest.approx([expected] * 2, rel=1e-6)


def test_the_loss_of_another_reduction_is_that_of_keras() -> None:
    """Its value for a batch is no mean over the tokens, and cannot be weighted by them."""
    model = tiny_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    sums = [token_losses(model, [batch]).sum() for batch in BATCHES]
    rows, widths = np.transpose([labels.shape for _, labels, _ in BATCHES])
    expected = (np.array(sums) / (rows * widths) * rows).sum() / rows.sum()
    assert model.evaluate(dataset(BATCHES), verbose=0) == pytest.approx(expected, rel=1e-5)


def test_an_evaluation_leaves_out_the_consistency() -> None:
    """Its batches hold each pair once: rows half a batch apart are of other pairs."""
    model = tiny_model()
    loss = CrossEntropy(consistency=5.0)
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    expected = token_losses(model, BATCHES).mean()
    assert model.evaluate(dataset(BATCHES), verbose=0) == pytest.approx(expected, rel=1e-6)

    twice = [tiny_batch([(4, 3), (2, 5)])]
    history = model.fit(dataset(twice), validation_data=dataset(BATCHES), verbose=0).history
    assert history["val_loss"] == pytest.approx([expected], rel=1e-6)
    assert history["loss"][0] > token_losses(model, twice).mean() + 1e-3
    assert loss.consistency == 5.0


def test_metrics_and_weighted_metrics_agree() -> None:
    """Keras' usual spelling hands no weights to metrics: padding is left out without them."""

    def metrics(prefix: str) -> list[keras.metrics.Metric]:
        classes = (Perplexity, TokenAccuracy, TargetTokens)
        return [metric_class(name=prefix + metric_class.__name__) for metric_class in classes]

    model = compiled(tiny_model(), metrics=metrics("plain"), weighted_metrics=metrics("weighted"))
    found = model.evaluate(dataset(BATCHES), verbose=0, return_dict=True)
    losses = token_losses(model, BATCHES)
    assert found["plainTargetTokens"] == found["weightedTargetTokens"] == len(losses)
    for name, value in [("Perplexity", np.exp(losses.mean()))]:
        assert found[f"plain{name}"] == pytest.approx(value, rel=1e-5)
        assert found[f"weighted{name}"] == pytest.approx(value, rel=1e-5)
    assert found["plainTokenAccuracy"] == found["weightedTokenAccuracy"]


def test_weights_of_sentences_are_weights_of_their_tokens() -> None:
    """Keras would take weights `[B]` for weights of positions where a batch is as wide as high."""
    inputs, labels, _ = tiny_batch([(4, 3), (2, 3), (3, 2)])
    model = compiled(tiny_model())
    weights = np.array([1.0, 0.0, 2.0], np.float32)
    first, _, third = (
        token_losses(
            model, [({k: x[i : i + 1] for k, x in inputs.items()}, labels[i : i + 1], weights)]
        )
        for i in range(3)
    )
    expected = (first.sum() + 2 * third.sum()) / (3 + 2 * 2)
    for given in (weights, weights[:, None], weights[:, None] * np.ones((3, 3), np.float32)):
        loss, _ = model.test_on_batch(inputs, labels, given)
        assert loss == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"`sample_weight` must be \[B\], \[B, 1\] or \[B, T\]"):
        model.test_on_batch(inputs, labels, np.ones((3, 2), np.float32))


REPLICAS = """
import sys
import warnings
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from tests.attention_nmt.models.test_training_in_keras import BATCHES, aligned, compiled, dataset
from tests.attention_nmt.tiny import tiny_model, tiny_batch

batches = [tiny_batch([(4, 3), (2, 5), (5, 9), (0, 0)]), tiny_batch([(3, 2), (6, 4)])]
batches = [(inputs, labels, aligned(weights)) for inputs, labels, weights in batches]
def results():
    model = compiled(tiny_model(), run_eagerly=False)
    evaluated = model.evaluate(dataset(batches), verbose=0)
    trained = model.fit(dataset(batches), shuffle=False, verbose=0).history["loss"]
    return [*evaluated, *trained], model.get_weights()
alone, weights = results()
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    shared, shared_weights = results()
np.testing.assert_allclose(shared, alone, rtol=1e-5)
for one, other in zip(weights, shared_weights, strict=True):
    np.testing.assert_allclose(other, one, atol=1e-6)
"""


@pytest.mark.long
def test_two_replicas_find_and_learn_what_one_does() -> None:
    process = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]


def aligned(array: np.ndarray) -> np.ndarray:
    """The array at an address that TensorFlow reads in place."""
    memory = np.zeros(array.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


def test_callbacks_know_which_way_is_better(tmp_path: Path) -> None:
    """Without `mode`; Keras asks the metric."""
    better = {"loss": np.less, "perplexity": np.less, "accuracy": np.greater, "tokens": np.greater}
    stoppers, others = {}, []
    for name in better:
        stoppers[name] = keras.callbacks.EarlyStopping(f"val_{name}")
        others += [
            keras.callbacks.ReduceLROnPlateau(f"val_{name}"),
            keras.callbacks.ModelCheckpoint(
                tmp_path / f"{name}.keras", f"val_{name}", save_best_only=True
            ),
        ]
    inputs, labels, _ = BATCHES[0]
    model = compiled(tiny_model(), metrics=[Perplexity(), TokenAccuracy(), TargetTokens()])
    model.fit(
        inputs,
        labels,
        validation_data=(inputs, labels),
        callbacks=[*stoppers.values(), *others],
        verbose=0,
    )
    for name, operation in better.items():
        pair = (1.0, 2.0) if operation is np.less else (2.0, 1.0)
        assert stoppers[name].monitor_op(*pair), name
        assert (tmp_path / f"{name}.keras").is_file()


class Pairs(keras.utils.PyDataset):
    """The batches as Keras' own kind of dataset."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


def generator(batches: list[Batch]) -> Iterator[Batch]:
    yield from batches


def changed(batch: Batch, name: str, piece: int) -> Batch:
    """The batch with another id in one place."""
    inputs = {key: ids.copy() for key, ids in batch[0].items()}
    labels = batch[1].copy()
    ids = labels if name == "y" else inputs[name]
    ids[0, 1] = piece
    return inputs, labels, batch[2]


KINDS: dict[str, Callable[[list[Batch]], Any]] = {
    "tf.data": dataset,
    "PyDataset": Pairs,
    "generator": generator,
}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_in_memory_stay_what_they_are(kind: str) -> None:
    """Half of a batch, as a replica takes it, is otherwise overwritten by what is made of it."""
    inputs, labels, weights = tiny_batch([(4, 3), (2, 5)], target_length=16)  # rows of 64 bytes
    held = aligned(weights)
    expected = Expected(source_size=40, target_size=40, labels=True, one_width=False)
    given = checked(KINDS[kind]([(inputs, labels, held)]), expected)
    if kind != "tf.data":
        given = dataset([given[0]] if kind == "PyDataset" else list(given))

    halves = given.map(lambda _, __, weights: tf.exp(weights[:1]))

    np.testing.assert_allclose(next(halves.as_numpy_iterator()), np.exp(weights[:1]), rtol=1e-6)
    np.testing.assert_array_equal(held, weights)


@pytest.mark.parametrize(
    ("kind", "name", "piece"),
    [("tf.data", "source", 41), ("PyDataset", "target", -1), ("generator", "y", 40)],
)
def test_a_model_smaller_than_the_tokenizer_is_refused_before_the_step(
    kind: str, name: str, piece: int
) -> None:
    """In a later batch, too: the steps before it have been done, that one has not."""
    batch = tiny_batch([(4, 3), (2, 5)])
    later = [batch, batch, changed(batch, name, piece)]
    model = compiled(tiny_model())
    size = "40 pieces"
    message = rf"^`{name}` must be ids from 0 to 39, .* {size}\. Received: {piece}\.$"
    with pytest.raises(ValueError, match=message):
        model.fit(KINDS[kind](later), shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.long
@pytest.mark.parametrize("options", [{"jit_compile": True}, {"jit_compile": False}], ids=str)
def test_ids_beyond_the_vocabulary_are_refused_compiled_or_not(options: dict[str, Any]) -> None:
    """Nothing is compiled: the first batch does not reach the step."""
    model = compiled(tiny_model(), run_eagerly=False, **options)
    before = model.get_weights()
    wrong = changed(tiny_batch([(4, 3), (2, 5)]), "source", 300)
    with pytest.raises(ValueError, match=r"`source` must be ids from 0 to 39, .* Received: 300\."):
        model.fit(dataset([wrong]), verbose=0)
    for weight, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_ids_beyond_the_vocabulary_are_refused_everywhere() -> None:
    """In memory, one batch at a time, in validation, evaluation and prediction."""
    good = tiny_batch([(4, 3), (2, 5)])
    wrong = changed(good, "target", 41)
    model = compiled(tiny_model())
    calls: list[Callable[[], Any]] = [
        lambda: model.fit(*wrong[:2], verbose=0),
        lambda: model.fit(*good[:2], validation_data=wrong, verbose=0),
        lambda: model.fit(*good[:2], validation_data=dataset([wrong]), verbose=0),
        lambda: model.evaluate(*wrong[:2], verbose=0),
        lambda: model.evaluate(dataset([wrong]), verbose=0),
        lambda: model.predict(wrong[0], verbose=0),
        lambda: model.predict(dataset([wrong]), verbose=0),
        lambda: model.predict(dataset([wrong]).map(lambda x, *_: x), verbose=0),
        lambda: model.train_on_batch(*wrong),
        lambda: model.test_on_batch(*wrong),
        lambda: model.predict_on_batch(wrong[0]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^`target` must be ids from 0 to 39, .*: 41\.$"):
            call()


def test_a_tokenizer_larger_than_the_model_is_refused_before_the_first_step(
    tokenizer: Tokenizer, sentences: list[str]
) -> None:
    """Whether its last pieces are in the texts or not, and whatever is made of the dataset."""
    pairs = tf.data.Dataset.from_tensor_slices((sentences, sentences))
    batches = TrainingBatches(pairs, tokenizer, tokenizer, BatchConfig(batch_size=8, buckets=2))
    size = tokenizer.vocabulary_size
    for name in ("source", "target"):
        sizes: dict[str, Any] = {"source_vocabulary_size": size, "target_vocabulary_size": size}
        sizes[f"{name}_vocabulary_size"] = size - 1
        model = compiled(tiny_model(**sizes))
        message = rf"`{name} tokenizer` must be of at most {size - 1} pieces.*Received: {size}\."
        for data in (batches.dataset().repeat().take(1), batches.epoch(0)):
            with pytest.raises(ValueError, match=message):
                model.fit(data, verbose=0)
        assert int(model.optimizer.iterations) == 0


TEXTS = ["the red dress", "the blue dress"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TEXTS, TEXTS), r"`x` must be {\"source\": ids .*`TrainingBatches`.* Received: list"),
        ((np.array(TEXTS), np.array(TEXTS)), "`x` must be {.* Received: ndarray, dtype <U14"),
        ((tf.data.Dataset.from_tensors((TEXTS, TEXTS)),), "`x` must be .*, dtype .*string"),
        (
            ({"source": np.array(TEXTS), "target": np.array(TEXTS)}, np.ones((2, 1), int)),
            "`source`",
        ),
        (
            ({"source": np.ones((2, 3), int), "target": np.ones(2, int)}, np.ones((2, 1), int)),
            "`target`",
        ),
        (
            ({"source": np.ones((2, 3)), "target": np.ones((2, 3), int)}, np.ones((2, 3), int)),
            "`source`",
        ),
        (({"source": [[1, 2]], "target": [[1, 2]]}, np.ones((1, 2), int)), "`source` .*: list"),
        (({"source": np.ones((2, 3), int)}, np.ones((2, 3), int)), "`x` must be"),
        (({"source": np.ones((2, 3), int), "target": np.ones((2, 3), int)},), "`y` must be"),
    ],
)
def test_strings_into_fit_are_told_what_was_expected(data: tuple, message: str) -> None:
    model = compiled(tiny_model())
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message) as error:
            method(*data, verbose=0)
        assert len(str(error.value)) < 200


def test_class_weights_are_refused() -> None:
    """Keras would weight a sentence by the position of its greatest id."""
    batch = tiny_batch([(4, 3), (2, 5)])
    model = compiled(tiny_model())
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"`class_weight` must be None.*Received: {5: 2\.0}"):
            call(*batch[:2], class_weight={5: 2.0})


def ended(model: Seq2Seq) -> Seq2Seq:
    """The model after a schedule that falls to 0."""
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=2)
    model.compile(keras.optimizers.Adam(schedule), CrossEntropy(), run_eagerly=True)
    model.fit(dataset([BATCHES[0]]).repeat(2), verbose=0)
    return model


def test_a_loaded_file_whose_rate_is_0_is_not_trained_in_silence(tmp_path: Path) -> None:
    ended(tiny_model()).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    message = r"`optimizer` must be a new one, by `compile`.* Received: 'adam(_\d+)? at step 2'"
    with pytest.raises(ValueError, match=message):
        model.fit(*BATCHES[0][:2], verbose=0)
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(*BATCHES[0])

    before = model.get_weights()
    assert np.isfinite(model.evaluate(*BATCHES[0][:2], verbose=0)).all()
    compiled(model).fit(*BATCHES[0][:2], verbose=0)
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


def test_a_schedule_at_its_end_is_said_and_one_that_begins_at_0_is_not() -> None:
    model = ended(tiny_model())
    with pytest.warns(UserWarning, match="learning rate is 0 at step 2: no weight will change"):
        model.fit(*BATCHES[0][:2], verbose=0)

    rising = keras.optimizers.schedules.CosineDecay(0.0, 4, warmup_target=0.1, warmup_steps=2)
    model.compile(keras.optimizers.Adam(rising), CrossEntropy(), run_eagerly=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*BATCHES[0][:2], verbose=0)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_rate_that_comes_to_0_within_a_fit_is_said(dtype: str) -> None:
    """Once an epoch begins with it; a schedule that ends with the last epoch is as it should be."""
    keras.config.set_dtype_policy(dtype)
    model = tiny_model()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=2)
    model.compile(keras.optimizers.Adam(schedule), CrossEntropy(), run_eagerly=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*BATCHES[0][:2], epochs=2, verbose=0)

    model.compile(keras.optimizers.Adam(schedule), CrossEntropy(), run_eagerly=True)
    with pytest.warns(UserWarning, match="learning rate is 0 at step 2") as said:
        model.fit(*BATCHES[0][:2], epochs=3, verbose=0)
    assert len(said) == 1


def test_fit_without_compile_says_so(tmp_path: Path) -> None:
    tiny_model().save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"You must call `compile\(\)` before"):
        model.fit(*BATCHES[0][:2], verbose=0)


def test_predict_gives_one_array_in_the_order_of_the_batches() -> None:
    model = tiny_model()
    batches = [tiny_batch([(4, 3), (2, 5)]), tiny_batch([(6, 4)], target_length=5)]
    model.compile(run_eagerly=True)
    expected = np.concatenate([model(inputs) for inputs, _, _ in batches])
    for kind, make in KINDS.items():
        found = model.predict(make(batches), verbose=0)
        assert isinstance(found, np.ndarray), kind
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_predict_over_buckets_is_refused_at_once(kind: str) -> None:
    """Keras gives ragged logits after a long time, or an error of NumPy's."""
    model = tiny_model()
    model.compile(run_eagerly=True)
    message = r"^`target` must be equally wide in all batches, .*Received: \(5, 12\)\.$"
    with pytest.raises(ValueError, match=message):
        model.predict(KINDS[kind](BATCHES), verbose=0)


def test_export_after_fit_gives_logits_for_ids_of_any_shape(tmp_path: Path) -> None:
    model = compiled(tiny_model())
    model.fit(*BATCHES[0][:2], verbose=0)
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    for inputs, _, _ in BATCHES:
        np.testing.assert_allclose(served.serve(inputs), model(inputs), atol=1e-5)


@pytest.mark.parametrize("options", [{}, TIED], ids=str)
def test_quantizing_by_keras_is_refused(options: dict[str, Any]) -> None:
    """Searches would read weights in int8 as if they were floats, and the file would not load."""
    model = tiny_model(**options)
    before = [weight.dtype for weight in model.weights]
    with pytest.raises(ValueError, match=r"`quantize` must be left out: `attention-nmt tflite`"):
        model.quantize("int8")
    assert [weight.dtype for weight in model.weights] == before


@pytest.mark.parametrize("name", ["target_embedding", "output_projection"])
def test_a_search_refuses_layers_that_were_quantized_by_themselves(name: str) -> None:
    """As those of a model within another one are, whose `quantize` asks nobody."""
    model = tiny_model()
    getattr(model, name).quantize("int8")
    with pytest.raises(ValueError, match=r"`quantize` must be left out.* Received: 'int8'"):
        model.start(BATCHES[0][0]["source"], 5)
