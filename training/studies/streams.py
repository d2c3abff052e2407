"""Streams of batches to measure with: of a corpus, or of random ids."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from attention_nmt.config import BatchConfig, ModelConfig
from attention_nmt.types import SPECIAL

if TYPE_CHECKING:
    from ..data import Corpus

Batch: TypeAlias = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""What `fit` takes: `source` and `target`, labels, and weights, which are 0 on padding."""

Stream: TypeAlias = Callable[[int], Iterator[Batch]]
"""The given number of first batches, the same ones at every call."""


def corpus_stream(corpus: Corpus, vocabulary_size: int, config: BatchConfig) -> Stream:
    """The batches of a corpus' first epoch, begun again where it ends.

    Args:
        corpus: whose training split is read.
        vocabulary_size: pieces of the one vocabulary of both languages, trained on it.
        config: the way to batches.

    Raises:
        ValueError: the data is at fault, or does not support a vocabulary of this size.
    """
    from attention_nmt.data.batches import TrainingBatches
    from attention_nmt.data.tokenizer import Tokenizer

    from ..data import iterate_texts

    pairs = corpus.pairs("train")
    tokenizer = Tokenizer.train(iterate_texts(pairs), vocabulary_size)
    batches = TrainingBatches(pairs, tokenizer, tokenizer, config)

    def epochs() -> Iterator[Batch]:
        while True:
            yield from batches.epoch(0).as_numpy_iterator()

    return lambda count: itertools.islice(epochs(), count)


def synthetic_stream(model: ModelConfig, rows: int, length: int) -> Stream:
    """One batch of random ids again and again, without padding.

    Args:
        model: whose vocabulary sizes bound the ids.
        rows: pairs in the batch.
        length: pieces of both sides of each pair.
    """
    random = np.random.default_rng(0)
    first = SPECIAL.end + 1
    shape = (rows, length)
    source = random.integers(first, model.source_vocabulary_size, shape, np.int32)
    labels = random.integers(first, model.target_vocabulary_size, shape, np.int32)

    start = np.full((rows, 1), SPECIAL.start, np.int32)
    target = np.concatenate([start, labels[:, :-1]], axis=1)
    batch = ({"source": source, "target": target}, labels, np.ones(shape, np.float32))
    return lambda count: itertools.repeat(batch, count)
