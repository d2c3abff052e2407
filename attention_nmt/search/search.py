"""Greedy search, beam search and sampling over a step function; they never see a model. See
`hypotheses`."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from attention_nmt.checks import require
from attention_nmt.config import PAD, SearchConfig
from attention_nmt.search.beam import beam_search
from attention_nmt.search.greedy import greedy_search, sample
from attention_nmt.search.hypotheses import Hypotheses, StepFunction
from attention_nmt.types import Tensor


def maximum_lengths(source: Tensor, config: SearchConfig) -> Tensor:
    """The most pieces that a translation of each source `[B, S]` may have, the end symbol
    included, int32 `[B]`."""
    lengths = ops.sum(ops.cast(ops.not_equal(source, PAD), "float32"), axis=1)
    return ops.cast(lengths * config.maximum_length_ratio, "int32") + config.maximum_length_extra


def longest_limit(width: int, config: SearchConfig) -> int:
    """At least the highest of the `maximum_lengths` of sources `[B, width]`, as a number."""
    return math.ceil(width * config.maximum_length_ratio) + config.maximum_length_extra


def search(
    step: StepFunction,
    state: Any,
    memory: Any,
    limits: Tensor,
    config: SearchConfig,
    compact: bool = False,
    keys: Tensor | None = None,
    longest: int | None = None,
) -> Hypotheses:
    """Searches for the likeliest targets, greedily with `beam_size` 1, else with a beam; or
    samples.

    Args:
        state: the state of one hypothesis per sentence `[B, 1, ...]`.
        memory: what all hypotheses of a sentence share, any structure of tensors `[B, ...]`.
        limits: the most pieces of each translation, at least 1, int32 `[B]`.
        compact: drop finished sentences from the batch on the way. For graphs of TensorFlow in
        which `B` is unknown;
            neither XLA nor LiteRT takes it.
        keys: for sampling, numbers of the sentences from `sampling.sentence_keys`, int32 `[B]`.
        longest: at least the highest of the limits, as `longest_limit` gives it, for compilers
        that must know the room
            that hypotheses take, as XLA, and with it `jax.jit`, must; without it that is what the
            limits say.

    Raises:
        ValueError: a temperature without keys, or a coverage penalty with a step that gives no
        alignments.
    """
    if config.temperature:
        require(keys is not None, "keys", "numbers of the sentences with a temperature", keys)
        return sample(step, state, memory, limits, config, keys, compact, longest)
    if config.beam_size == 1:
        return greedy_search(step, state, memory, limits, config, compact, longest)
    return beam_search(step, state, memory, limits, config, compact, longest)
