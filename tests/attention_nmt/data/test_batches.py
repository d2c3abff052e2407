"""Each pair once an epoch, in announced shapes, in an order of seed and epoch alone."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import BatchConfig
from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.chunks import CHUNK
from attention_nmt.data.examples import decoder_inputs
from attention_nmt.data.pipeline import shuffle
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.types import SPECIAL

PAD, UNKNOWN, START, END = SPECIAL

Ids = tuple[int, ...]
Batches = list[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]


@pytest.fixture
def pairs(sentences: list[str]) -> list[tuple[str, str]]:
    """A hundred distinct pairs of many lengths."""
    cut = [
        " ".join(s.split()[: 1 + i % 11])
        for i, s in enumerate(itertools.islice(itertools.cycle(sentences), 100))
    ]
    return [(f"{i} {text}", f"{text} {i}") for i, text in enumerate(cut)]


def dataset(pairs: Sequence[tuple[str, str]]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(([s for s, _ in pairs], [t for _, t in pairs]))


def make(
    pairs: Sequence[tuple[str, str]],
    tokenizer: Tokenizer,
    seed: int = 1,
    copies: int = 1,
    parts: int = 1,
    **options: Any,
) -> TrainingBatches:
    config = BatchConfig(**{"batch_size": 8, "maximum_length": 120, "buckets": 3, **options})
    return TrainingBatches(
        dataset(pairs), tokenizer, tokenizer, config, seed=seed, copies=copies, parts=parts
    )


def epoch(batches: TrainingBatches, number: int = 0) -> Batches:
    return list(batches.epoch(number).as_numpy_iterator())


def pieces_of(row: np.ndarray) -> Ids:
    return tuple(int(i) for i in row if i)


def found(batches: Batches) -> list[tuple[Ids, Ids]]:
    """The pairs of ids of an epoch, in its order, rows of padding left out."""
    rows = [
        (pieces_of(s), pieces_of(label))
        for inputs, labels, _ in batches
        for s, label in zip(inputs["source"], labels, strict=True)
    ]
    return [row for row in rows if row != ((), ())]


def encoded(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> Counter[tuple[Ids, Ids]]:
    sides = [tokenizer.encode([pair[side] for pair in pairs]) for side in (0, 1)]
    return Counter(((*s, END), (*t, END)) for s, t in zip(*sides, strict=True))


@pytest.mark.parametrize(("unit", "size"), [("sentences", 9), ("tokens", 370)])
def test_every_pair_twice_in_one_batch(
    unit: str, size: int, pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    """Half of the rows apart, also where padding fills a batch up; an odd number of rows loses
    one."""
    batches = make(pairs, tokenizer, copies=2, batch_size=size, batch_unit=unit)
    halves: Batches = []
    for inputs, labels, weights in epoch(batches):
        assert len(labels) % 2 == 0
        assert unit == "tokens" or len(labels) == 8
        first, second = (
            ({k: x[part] for k, x in inputs.items()}, labels[part], weights[part])
            for part in (slice(len(labels) // 2), slice(len(labels) // 2, None))
        )
        for one, other in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
            np.testing.assert_array_equal(one, other)
        halves.append(first)
    assert Counter(found(halves)) == encoded(pairs, tokenizer)


@pytest.mark.parametrize("copies", [1, 2])
def test_parts_hold_the_pairs_of_the_batch_and_all_copies_of_each(
    copies: int, pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    """10 pairs in 4 parts: 3, 3, 3 and 1, whose other 2 rows are padding."""
    options: Any = {"copies": copies, "batch_size": 10 * copies, "buckets": 1}
    whole = epoch(make(pairs, tokenizer, **options))
    parted = make(pairs, tokenizer, parts=4, **options)
    assert [shape.rows for shape in parted.shapes] == [12 * copies]
    assert parted.batches_per_epoch == len(whole) == 10

    for (inputs, labels, weights), (its_inputs, its_labels, _) in zip(
        whole, epoch(parted), strict=True
    ):
        rows = np.split(its_labels, 4)
        for part in rows:
            np.testing.assert_array_equal(*np.split(part, 2) if copies == 2 else (part, part))
        first = [part[: len(part) // copies] for part in rows]
        np.testing.assert_array_equal(np.concatenate(first)[:10], labels[:10])
        assert not np.concatenate(first)[10:].any()
        sources = [part[: len(part) // copies] for part in np.split(its_inputs["source"], 4)]
        np.testing.assert_array_equal(np.concatenate(sources)[:10], inputs["source"][:10])
        assert weights.sum() == (its_labels != PAD).sum()


def test_a_batch_must_hold_its_copies(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> None:
    with pytest.raises(
        ValueError, match=r"`copies` must be from 1 to the 1 rows of a batch\. Received: 2"
    ):
        make(pairs, tokenizer, copies=2, batch_size=1)


@pytest.mark.parametrize("unit", ["sentences", "tokens"])
def test_every_pair_once_an_epoch(
    unit: str, pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    batches = make(pairs, tokenizer, batch_unit=unit, batch_size=8 if unit == "sentences" else 300)
    expected = encoded(pairs, tokenizer)
    assert len(expected) == 100
    for number in (0, 1):
        assert Counter(found(epoch(batches, number))) == expected


def test_pairs_of_which_one_side_is_long_have_batches_of_their_own(tokenizer: Tokenizer) -> None:
    long = "a dog and a man"
    given = [("a", "a"), ("a", long), (long, "a")] * 5
    batches = make(given, tokenizer, batch_size=4, buckets=4)
    assert len(batches.shapes) == 4
    assert batches.batches_per_epoch == len(epoch(batches)) == 6


def test_a_pair_stands_in_a_batch_once_unless_copies_are_asked_for(tokenizer: Tokenizer) -> None:
    given = dataset([("a", "dog"), ("the", "man")])
    batches = TrainingBatches(given, tokenizer, tokenizer, BatchConfig(batch_size=2))
    assert (batches.copies, batches.seed) == (1, 1)
    assert len(found(epoch(batches))) == 2


def test_pairs_as_long_as_a_shape_fill_it(tokenizer: Tokenizer) -> None:
    """Also those of the greatest length that is allowed."""
    words = ["a dog and a man", "a man and a dog in the water"]
    given = [(text, text) for text in words for _ in range(3)]
    lengths = [len(ids) + 1 for ids in tokenizer.encode(words)]
    batches = make(given, tokenizer, batch_size=3, maximum_length=lengths[-1])
    assert [shape[1:] for shape in batches.shapes] == [(size, size) for size in lengths]
    assert batches.batches_per_epoch == 2

    found_shapes = [labels.shape for _, labels, _ in epoch(batches)]
    assert sorted(found_shapes) == [(3, size) for size in lengths]
    assert Counter(found(epoch(batches))) == encoded(given, tokenizer)


def test_a_chunk_of_which_nothing_is_kept(
    pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    batches = make([*[("", "no source")] * 2 * CHUNK, *pairs], tokenizer, shuffle_pairs=1)
    assert batches.statistics.empty == 2 * CHUNK
    assert Counter(found(epoch(batches))) == encoded(pairs, tokenizer)


def test_what_the_decoder_reads_by_hand() -> None:
    labels = tf.constant([[7, 8, END, PAD], [7, 8, 9, END], [PAD] * 4, [END, PAD, PAD, PAD]])
    assert decoder_inputs(labels, SPECIAL).numpy().tolist() == [
        [START, 7, 8, PAD],
        [START, 7, 8, 9],
        [START, PAD, PAD, PAD],
        [START, PAD, PAD, PAD],
    ]


def test_what_a_batch_holds(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> None:
    batches = make(pairs, tokenizer)
    for inputs, labels, weights in epoch(batches):
        target = inputs["target"]
        assert (inputs["source"].dtype, target.dtype, weights.dtype) == (
            np.int32,
            np.int32,
            np.float32,
        )
        np.testing.assert_array_equal(weights, labels != 0)
        assert (target[:, 0] == START).all()
        assert END not in target
        shifted = np.where(
            labels[:, 1:] != 0, labels[:, :-1], 0
        )  # the label before, as long as there is a label
        np.testing.assert_array_equal(target[:, 1:], shifted)
        for rows in (inputs["source"], labels):
            for row in rows:
                assert pieces_of(row)[-1:] in ((), (END,))
                assert (row[len(pieces_of(row)) :] == 0).all()


@pytest.mark.parametrize(("unit", "size"), [("sentences", 8), ("tokens", 200)])
def test_only_the_announced_shapes(
    unit: str, size: int, pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    batches = make(pairs, tokenizer, batch_unit=unit, batch_size=size)
    assert len(batches.shapes) <= 3
    seen = {(*inputs["source"].shape, labels.shape[1]) for inputs, labels, _ in epoch(batches)}
    assert seen <= set(batches.shapes)
    assert len(seen) > 1
    for shape in batches.shapes:
        assert shape.rows == (8 if unit == "sentences" else max(1, 200 // shape.target))


def test_the_order_is_that_of_seed_and_epoch(
    pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    first = found(epoch(make(pairs, tokenizer, seed=1)))
    batches = make(pairs, tokenizer, seed=1)
    assert found(epoch(batches, 1)) != first
    assert found(epoch(batches, 0)) == first  # whatever was asked for before
    assert found(epoch(make(pairs, tokenizer, seed=2))) != first


def test_the_order_does_not_follow_the_global_seed(
    pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    orders = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        orders.append(found(epoch(make(pairs, tokenizer))))
    assert orders[0] == orders[1]


def test_shuffled_within_what_is_held_in_memory() -> None:
    blocks = [
        b.tolist()
        for (b,) in shuffle(
            tf.data.Dataset.range(50).map(lambda i: (i,)), 20, lambda: (1, 2)
        ).as_numpy_iterator()
    ]
    assert [sorted(block) for block in blocks] == [
        list(range(20)),
        list(range(20, 40)),
        list(range(40, 50)),
    ]
    assert all(block != sorted(block) for block in blocks)
    assert [i - 20 for i in blocks[1]] != blocks[0]


SAMPLED = pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.long),
        {"sampling_alpha": 0.2, "maximum_length": 300},
    ],
    ids=str,
)


@SAMPLED
def test_a_dataset_for_fit_goes_on_with_the_next_epoch(
    options: dict[str, Any], pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    batches = make(pairs, tokenizer, **options)
    whole = batches.dataset()
    for number in (0, 1):
        twice = 2 * list(epoch(batches, number))
        expected = twice[: batches.batches_per_epoch]
        assert found(list(whole.as_numpy_iterator())) == found(expected)


def test_nothing_is_tuned(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> None:
    """See `untuned`: the end of a long epoch would take up to a minute."""
    batches = make(pairs, tokenizer)
    assert tf.data.Options().autotune.enabled is None
    for dataset in (
        batches.epoch(0),
        batches.epoch(0).skip(3),
        batches.stream(0, 0, print),
        batches.dataset(),
    ):
        assert dataset.options().autotune.enabled is False


@SAMPLED
def test_a_stream_goes_on_from_a_position(
    options: dict[str, Any], pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    batches, began = make(pairs, tokenizer, **options), list[int]()
    epochs = [epoch(batches, number) for number in (1, 2)]
    left = len(epochs[0]) - 3
    stream = list(
        batches.stream(1, 3, began.append).take(left + len(epochs[1])).as_numpy_iterator()
    )
    assert found(stream) == found([*epochs[0][3:], *epochs[1]])
    assert began[0] == left


def test_what_is_dropped_is_counted(tokenizer: Tokenizer) -> None:
    """Lengths are pieces with the end symbol."""
    length = len(tokenizer.encode(["a dog"])[0]) + 1
    long = " ".join(["a dog"] * 20)
    cases = [
        ("a dog", "a dog"),
        ("", "a dog"),
        ("a dog", "  "),
        (long, "a dog"),
        ("a dog", long),
        ("", ""),
    ]
    statistics = make(cases, tokenizer, maximum_length=length, maximum_ratio=100).statistics
    assert (statistics.kept, statistics.empty, statistics.too_long, statistics.uneven) == (
        1,
        3,
        2,
        0,
    )
    assert statistics.histogram[length, length] == 1
    statistics = make(cases, tokenizer, maximum_length=1000, maximum_ratio=2).statistics
    assert (statistics.kept, statistics.empty, statistics.too_long, statistics.uneven) == (
        1,
        3,
        0,
        2,
    )
    assert str(statistics) == "1 pairs; dropped: 3 empty, 0 too long, 2 of too unequal lengths"
    statistics = make(cases, tokenizer, maximum_length=1000, maximum_ratio=1000).statistics
    assert statistics.kept == 3

    # With their ends, one side has exactly `short + 1` times the pieces of the other.
    (short,) = map(len, tokenizer.encode(["a dog"]))
    cases = [("a dog", "a dog"), ("a dog", " ".join(["a dog"] * (short + 2)))]
    for ratio, kept in ((short + 1, 2), (short + 0.99, 1)):
        limits: dict[str, Any] = {"maximum_length": 1000, "maximum_ratio": ratio}
        assert make(cases, tokenizer, **limits).statistics.kept == kept

    for words, kept in ((1, 0), (2, 1), (39, 1), (40, 3)):
        cases = [("a dog", "a  dog "), (long, "a dog"), ("a dog", long)]
        limits = {"maximum_length": 1000, "maximum_ratio": 1000, "maximum_words": words}
        if kept:
            assert make(cases, tokenizer, **limits).statistics.kept == kept
        else:
            with pytest.raises(ValueError, match="3 too long"):
                make(cases, tokenizer, **limits)


def test_nothing_left_to_train_on(tokenizer: Tokenizer) -> None:
    with pytest.raises(
        ValueError, match=r"`pairs` must be a corpus with pairs to train on.*2 empty"
    ):
        make([("", "a"), ("b", "")], tokenizer)


def test_sampled_segmentations(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> None:
    """Reproduced by a second instance, other in another epoch, and spelling the same texts."""
    first, second = (
        make(pairs, tokenizer, sampling_alpha=0.2, maximum_length=300) for _ in range(2)
    )
    rows = found(epoch(first))
    assert rows == found(epoch(second))
    assert len(set(rows) & set(found(epoch(first, 1)))) < 50
    for side in (0, 1):
        padded = tf.ragged.constant([row[side] for row in rows]).to_tensor()
        texts = [text.decode() for text in tokenizer.detokenize(padded).numpy()]
        assert Counter(texts) == Counter(pair[side] for pair in pairs)


def test_segmentations_sampled_on_the_source_alone(
    pairs: list[tuple[str, str]], tokenizer: Tokenizer
) -> None:
    """Sources are those of sampling on both sides, targets those of no sampling."""
    sampling: dict[str, Any] = {"sampling_alpha": 0.2, "maximum_length": 300, "maximum_ratio": 1000}
    both, plain = (
        make(pairs, tokenizer, **sampling),
        make(pairs, tokenizer, maximum_length=300, maximum_ratio=1000),
    )
    rows = found(epoch(make(pairs, tokenizer, **sampling, sampled_sides="source")))
    for side, other in ((0, both), (1, plain)):
        assert Counter(row[side] for row in rows) == Counter(
            row[side] for row in found(epoch(other))
        )
    assert Counter(row[0] for row in rows) != Counter(row[0] for row in found(epoch(plain)))


def test_joined_pairs(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> None:
    """All pieces are those of an epoch that joins nothing, in its order; one end symbol closes a
    row."""
    pairs = [*pairs, ("", "empty")]
    options: dict[str, Any] = {"buckets": 1, "maximum_length": 60, "maximum_ratio": 1000}
    joined, plain = (
        make(pairs, tokenizer, joined_pairs=3, **options),
        make(pairs, tokenizer, **options),
    )
    first = found(epoch(joined, 0))
    assert first == found(epoch(make(pairs, tokenizer, joined_pairs=3, **options), 0))
    assert Counter(first) != Counter(found(epoch(joined, 1)))
    for number in (0, 1):
        rows, apart = found(epoch(joined, number)), found(epoch(plain, number))
        for side in (0, 1):
            pieces, expected = (
                [i for row in some for i in row[side] if i != END] for some in (rows, apart)
            )
            assert pieces == expected
            assert all(
                row[side].count(END) == 1 and row[side][-1] == END and len(row[side]) <= 60
                for row in rows
            )
        assert 40 < len(rows) < 90
    measured = int(joined.statistics.histogram.sum())
    assert str(joined.statistics) == (
        f"100 pairs, joined to {measured}; dropped: 1 empty, 0 too long, 0 of too unequal lengths"
    )


def test_two_pairs_are_joined(pairs: list[tuple[str, str]], tokenizer: Tokenizer) -> None:
    options: dict[str, Any] = {"buckets": 1, "maximum_length": 120, "maximum_ratio": 1000}
    rows = found(epoch(make(pairs, tokenizer, joined_pairs=2, **options)))
    assert 50 <= len(rows) < 90
