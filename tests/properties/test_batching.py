"""Whatever the pairs and settings: each pair once an epoch, in the announced shapes, as decided."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_nmt.config import BatchConfig
from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.buckets import TARGET_COST, rectangles
from attention_nmt.data.examples import decoder_inputs
from attention_nmt.data.joining import draw_groups, join
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.types import SPECIAL
from tests.training.corpora import PAIRS

from .conftest import EXAMPLES

PAD, _, START, END = SPECIAL

FEW = max(3, EXAMPLES // 8)
"""Examples of a property that makes pipelines of tf.data, a second each."""

FEWER = max(2, EXAMPLES // 10)
"""Examples of one whose pipelines draw, two seconds each."""

WORDS = ["dog", "black", "Le", "chien", "é", "日", "Zebra", "."]

Pair = tuple[str, str]
Ids = tuple[int, ...]
Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]

sides = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
corpora = st.lists(st.tuples(sides, sides), min_size=1, max_size=24)
large_corpora = st.lists(st.tuples(sides, sides), min_size=6, max_size=24)

plain_configs = st.builds(
    BatchConfig,
    batch_size=st.integers(1, 60),
    batch_unit=st.sampled_from(["sentences", "tokens"]),
    maximum_length=st.integers(2, 24),
    maximum_words=st.sampled_from([0, 0, 3, 6]),
    maximum_ratio=st.sampled_from([1.0, 2.0, 6.0]),
    buckets=st.integers(1, 4),
    shuffle_pairs=st.one_of(st.integers(1, 6), st.just(200_000)),
)

drawing_configs = st.builds(
    BatchConfig,
    batch_size=st.integers(1, 9),
    maximum_length=st.just(200),
    maximum_ratio=st.just(200.0),
    buckets=st.integers(1, 4),
    shuffle_pairs=st.integers(1, 40),
    sampling_alpha=st.sampled_from([0.0, 0.3]),
    sampled_sides=st.sampled_from(["source", "both"]),
    joined_pairs=st.integers(1, 4),
    capitals=st.sampled_from([0.0, 0.5, 1.0]),
)

seeds = st.integers(0, 99)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([text for pair in PAIRS for text in pair], 310)


class Kept(NamedTuple):
    """The pairs of a corpus that a config keeps, computed in Python."""

    places: list[int]
    rows: list[tuple[Ids, Ids]]
    outcomes: Counter[str]


def kept(pairs: Sequence[Pair], tokenizer: Tokenizer, config: BatchConfig) -> Kept:
    """The pairs that a config keeps, by what `BatchConfig` promises."""
    found = Kept(places=[], rows=[], outcomes=Counter())
    for place, pair in enumerate(pairs):
        source, target = ((*ids, END) for ids in tokenizer.encode(pair))
        shorter, longer = sorted([len(source), len(target)])
        words = max(len(text.split()) for text in pair)

        if shorter == 1:
            outcome = "empty"
        elif longer > config.maximum_length or 0 < config.maximum_words < words:
            outcome = "too long"
        elif longer > config.maximum_ratio * shorter:
            outcome = "uneven"
        else:
            outcome = "kept"
            found.places.append(place)
            found.rows.append((source, target))
        found.outcomes[outcome] += 1
    return found


def dataset(pairs: Sequence[Pair]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(tuple(map(list, zip(*pairs, strict=True))))


def rows_of(batches: Sequence[Batch]) -> list[tuple[Ids, Ids]]:
    """Pairs of ids without padding, rows of padding left out."""
    found = []
    for inputs, labels, _ in batches:
        for source, target in zip(inputs["source"].tolist(), labels.tolist(), strict=True):
            if any(source):
                found.append((tuple(filter(None, source)), tuple(filter(None, target))))
    return found


def check_batch(batch: Batch) -> None:
    """Checks that padding is at the ends, and that the decoder reads the labels shifted."""
    inputs, labels, weights = batch
    for ids in (inputs["source"], labels):
        is_padding = ids == PAD
        assert (np.diff(is_padding, axis=1) <= is_padding[:, 1:]).all()
        lengths = (~is_padding).sum(axis=1)
        ends = ids[np.arange(len(ids)), np.maximum(lengths - 1, 0)]
        assert ((ends == END) | (lengths == 0)).all()

    np.testing.assert_array_equal(weights, labels != PAD)
    for read, written in zip(inputs["target"].tolist(), labels.tolist(), strict=True):
        assert read == shifted(written)


def shifted(labels: list[int]) -> list[int]:
    """What the decoder reads to write labels."""
    real = [label for label in labels if label != PAD]
    read = [START, *real[:-1]]
    return read + [PAD] * (len(labels) - len(read))


def equal(one: Sequence[Batch], other: Sequence[Batch]) -> bool:
    """Whether batches are the same, in the same order."""
    arrays = [tf.nest.flatten(list(batches)) for batches in (one, other)]
    return len(arrays[0]) == len(arrays[1]) and all(map(np.array_equal, *arrays))


@settings(max_examples=FEW)
@given(pairs=corpora, config=plain_configs, copies=st.integers(1, 2), seed=seeds)
def test_each_pair_that_is_kept_once_an_epoch(
    tokenizer: Tokenizer, pairs: list[Pair], config: BatchConfig, copies: int, seed: int
) -> None:
    """In shapes that are announced, and again in the same order."""
    expected = kept(pairs, tokenizer, config)
    rows = config.batch_size
    if config.batch_unit == "tokens":
        rows //= config.maximum_length

    def make() -> TrainingBatches:
        return TrainingBatches(
            dataset(pairs), tokenizer, tokenizer, config, seed=seed, copies=copies
        )

    if copies > max(1, rows) or not expected.rows:
        with pytest.raises(ValueError, match=r"`(copies|pairs)` must be"):
            make()
        return

    batches = make()
    statistics = batches.statistics
    found = {
        "kept": statistics.kept,
        "empty": statistics.empty,
        "too long": statistics.too_long,
        "uneven": statistics.uneven,
    }
    assert found == {name: expected.outcomes[name] for name in found}

    epoch: list[Batch] = list(batches.epoch(1).as_numpy_iterator())
    assert len(epoch) == batches.batches_per_epoch
    assert len(batches.shapes) <= config.buckets
    for batch in epoch:
        check_batch(batch)
        inputs, labels, _ = batch
        assert (*inputs["source"].shape, labels.shape[1]) in batches.shapes

    firsts = [tf.nest.map_structure(lambda array: array[: len(array) // copies], b) for b in epoch]
    twice = [
        tf.nest.map_structure(lambda array: np.concatenate([array] * copies), b) for b in firsts
    ]
    assert equal(twice, epoch)
    assert Counter(rows_of(firsts)) == Counter(expected.rows)
    if config.buckets == 1:
        check_blocks(rows_of(firsts), expected, config.shuffle_pairs)

    assert equal(list(make().epoch(1).as_numpy_iterator()), epoch)


def check_blocks(rows: list[tuple[Ids, Ids]], expected: Kept, size: int) -> None:
    """Checks that pairs stay within the block of the corpus in which they are shuffled."""
    remaining = iter(rows)
    pairs = zip(expected.places, expected.rows, strict=True)
    for _, block in itertools.groupby(pairs, key=lambda pair: pair[0] // size):
        wanted = [row for _, row in block]
        assert Counter(itertools.islice(remaining, len(wanted))) == Counter(wanted)


@settings(max_examples=FEW)
@given(pairs=corpora, config=plain_configs, drawn=st.booleans())
def test_an_evaluation_is_in_the_order_of_the_corpus(
    tokenizer: Tokenizer, pairs: list[Pair], config: BatchConfig, drawn: bool
) -> None:
    """Whatever else the config draws for training."""
    expected = kept(pairs, tokenizer, config)
    if not expected.rows:
        return

    options: dict[str, Any] = {**vars(config)}
    if drawn:
        options |= {"joined_pairs": 3, "capitals": 0.5}
    batches = TrainingBatches(dataset(pairs), tokenizer, tokenizer, BatchConfig(**options))
    evaluation = batches.evaluation()
    found: list[Batch] = list(evaluation.as_numpy_iterator())

    assert rows_of(found) == expected.rows
    assert sum(len(labels) for _, labels, _ in found) == len(expected.rows)
    assert len(found) == evaluation.cardinality().numpy()
    widths = {(inputs["source"].shape[1], labels.shape[1]) for inputs, labels, _ in found}
    longest = [max(len(row[side]) for row in expected.rows) for side in (0, 1)]
    assert widths == {tuple(longest)}
    for batch in found:
        check_batch(batch)


@settings(max_examples=FEWER)
@given(pairs=large_corpora, config=drawing_configs, seed=seeds)
def test_nothing_is_lost_where_spellings_neighbours_and_capitals_are_drawn(
    tokenizer: Tokenizer, pairs: list[Pair], config: BatchConfig, seed: int
) -> None:
    """A pair's number is its first word on both sides; joined pairs have the same ones on both."""
    numbered = [(f"{n} {source}", f"{n} {target}") for n, (source, target) in enumerate(pairs)]
    batches = TrainingBatches(dataset(numbered), tokenizer, tokenizer, config, seed=seed)
    epoch = batches.epoch(3)
    read: list[Batch] = list(epoch.as_numpy_iterator())
    for batch in read:
        check_batch(batch)
    assert equal(list(epoch.as_numpy_iterator()), read)

    found = []
    for ids in rows_of(read):
        source, target = (by_number(text) for text in tokenizer.decode(ids))
        assert [number for number, _ in source] == [number for number, _ in target]
        assert len(source) <= config.joined_pairs
        found += [(n, (s, t)) for (n, s), (_, t) in zip(source, target, strict=True)]

    wanted = [tuple(text.casefold() for text in pair) for pair in pairs]
    assert sorted(found) == list(enumerate(wanted))
    if not config.capitals:
        words = Counter(word for pair in numbered for text in pair for word in text.split())
        texts = itertools.chain.from_iterable(map(tokenizer.decode, rows_of(read)))
        assert Counter(word for text in texts for word in text.split()) == words


def by_number(text: str) -> list[tuple[int, str]]:
    """The numbers in a text, each with the words behind it, in lower case."""
    found: list[tuple[int, list[str]]] = []
    for word in text.split():
        if word.isascii() and word.isdigit():
            found.append((int(word), []))
        else:
            found[-1][1].append(word.casefold())
    return [(number, " ".join(words)) for number, words in found]


@given(
    limit=st.integers(2, 40),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 9)), min_size=1),
    count=st.integers(1, 8),
)
def test_rectangles_hold_all_pairs_and_cost_no_more_than_one(
    limit: int, shares: list[tuple[float, float, int]], count: int
) -> None:
    histogram = np.zeros((limit + 1, limit + 1), np.int64)
    for source, target, pairs in shares:
        histogram[2 + int(source * (limit - 2)), 2 + int(target * (limit - 2))] += pairs

    found = rectangles(histogram, count)
    assert 1 <= len(found) <= count
    assert len(set(found)) == len(found)
    assert found[-1] == (limit, limit)
    assert all(2 <= side <= limit for shape in found for side in shape)

    costs = [source + TARGET_COST * target for source, target in found]
    assert costs == sorted(costs)
    assert cost(found, histogram) <= cost([(limit, limit)], histogram)
    assert rectangles(histogram, count) == found


def cost(shapes: list[tuple[int, int]], histogram: np.ndarray) -> int:
    """The cost of all pairs, each in the first rectangle that holds it."""
    total = 0
    for source, target in np.argwhere(histogram).tolist():
        holding = [shape for shape in shapes if source <= shape[0] and target <= shape[1]]
        total += histogram[source, target] * (holding[0][0] + TARGET_COST * holding[0][1])
    return int(total)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=30),
    most=st.integers(1, 4),
    longest=st.integers(1, 30),
    seed=seeds,
)
def test_neighbours_are_joined_as_drawn_unless_too_long(
    lengths: list[tuple[int, int]], most: int, longest: int, seed: int
) -> None:
    """By a loop over what is drawn."""
    array = np.array(lengths, np.int64).reshape(-1, 2)
    groups = draw_groups(array, most, longest, (seed, 1))

    sizes = np.random.default_rng((seed, 1)).integers(1, most + 1, len(lengths)).tolist()
    expected: list[list[int]] = []
    places = list(range(len(lengths)))
    for size in sizes:
        wished, places = places[:size], places[size:]
        together = array[wished].sum(axis=0)
        fits = bool((together <= longest).all())
        expected += [wished] if fits else [[place] for place in wished]

    found = [
        np.flatnonzero(groups == number).tolist()
        for number in range(int(groups.max(initial=-1)) + 1)
    ]
    assert found == [group for group in expected if group]


@given(
    rows=st.lists(st.lists(st.integers(4, 99), max_size=5), min_size=1, max_size=8),
    begins=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_joined_rows_hold_their_pieces_in_order(rows: list[list[int]], begins: list[bool]) -> None:
    groups = np.cumsum([False, *begins[1:]])[: len(rows)]
    ragged = tf.ragged.constant(rows, tf.int32, ragged_rank=1)
    found = join(ragged, tf.constant(groups, tf.int64)).to_list()
    expected = [
        list(itertools.chain.from_iterable(rows[i] for i in np.flatnonzero(groups == number)))
        for number in range(groups[-1] + 1)
    ]
    assert found == expected


@given(rows=st.lists(st.lists(st.integers(4, 99), max_size=6), min_size=1, max_size=5))
def test_the_decoder_reads_the_labels_shifted(rows: list[list[int]]) -> None:
    """Rows of padding, as the first one, included."""
    width = max(map(len, rows)) + 1
    labels = [[PAD] * width]
    labels += [[*row, END, *[PAD] * (width - len(row) - 1)] for row in rows]
    found = decoder_inputs(tf.constant(labels, tf.int32), SPECIAL).numpy().tolist()
    assert found == [shifted(row) for row in labels]
