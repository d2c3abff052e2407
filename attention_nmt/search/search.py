"""The one way into a search: with a model, or with a step function of one's own."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from attention_nmt.backend import in_lists
from attention_nmt.checks import require, require_axes, require_ids, require_type
from attention_nmt.config import SearchConfig
from attention_nmt.models.interface import TranslationModel
from attention_nmt.search.beam import beam_search
from attention_nmt.search.greedy import greedy_search
from attention_nmt.search.hypotheses import Hypotheses, Problem
from attention_nmt.search.loop import PLAIN, LoopOptions, buffer_length
from attention_nmt.search.noise import sentence_keys
from attention_nmt.search.prefix import begun_with
from attention_nmt.search.ranking import whole_chunks
from attention_nmt.search.sampling import sample
from attention_nmt.search.shortlist import Shortlist, among
from attention_nmt.types import SPECIAL, SpecialIds, Tensor


def search_steps(
    problem: Problem, config: SearchConfig, options: LoopOptions = PLAIN
) -> Hypotheses:
    """Searches for the likeliest targets: greedily with `beam_size` 1, by a beam, or by sampling.

    Args:
        problem: the sentences, and the step that continues their hypotheses.
        config: which search.
        options: how its loop runs.

    Raises:
        ValueError: a temperature without keys, or a coverage penalty with a step that gives no
            alignments.
        TypeError: an argument is something else.
    """
    expected = "a Problem; `search_model` makes one of a model and ids"
    require_type(isinstance(problem, Problem), "problem", expected, problem)
    require_type(isinstance(config, SearchConfig), "config", "a SearchConfig", config)
    require_axes("maximum_lengths", problem.maximum_lengths, "[B]")
    if config.temperature:
        return sample(problem, config, options)
    if config.beam_size == 1:
        return greedy_search(problem, config, options)
    return beam_search(problem, config, options)


def search_model(
    model: TranslationModel,
    source: Tensor,
    config: SearchConfig,
    *,
    special: SpecialIds = SPECIAL,
    weights: Any = None,
    alignments: bool = True,
    prefix: Tensor | None = None,
    shortlist: Shortlist | None = None,
    loop: LoopOptions = PLAIN,
) -> Hypotheses:
    """Searches for a model's translations of ids.

    Args:
        model: keeps the contract of `TranslationModel`.
        source: ids `[B, S]`, each with its end symbol, padded behind it.
        config: which search.
        special: the ids of the special pieces, as the target's tokenizer has them.
        weights: the model's `search_weights`; without them each step lays them out itself.
        alignments: False is faster, and gives none.
        prefix: the pieces with which each translation begins `[B, P]`, padded behind them. A
            translation may have as many pieces more, and its score is that of what follows.
        shortlist: the pieces that translations may have, all without it; probabilities are shares
            among these. Where shapes may change, and nothing is sampled, it makes steps faster.
        loop: how the loop runs.

    Raises:
        ValueError: a coverage penalty for a model that does not align, ids of more axes or fewer,
            or a shortlist that is none for the model; see `check_shortlist`.
        TypeError: an argument is something else.
    """
    require_ids("source", source, "[B, S]")
    require_type(isinstance(config, SearchConfig), "config", "a SearchConfig", config)
    maximum_lengths = longest_translations(source, config, special.pad)
    if prefix is not None:
        require_ids("prefix", prefix, "[B, P]")
        rows = (source.shape[0], prefix.shape[0])
        same = None in rows or rows[0] == rows[1]
        require(same, "prefix", f"of {rows[0]} rows, as the source", tuple(prefix.shape))
        given = ops.cast(ops.not_equal(prefix, special.pad), "int32")
        maximum_lengths = maximum_lengths + ops.sum(given, axis=1)
    longest = None if loop.changing_shapes else buffer_length(maximum_lengths, loop)
    with in_lists(loop.changing_shapes):
        memory, state = model.start(source, longest)

    allowed = None
    pieces = None
    if shortlist is not None:
        check_shortlist(shortlist, model, config, special)
        allowed = shortlist.allowed(source, prefix)
        if loop.changing_shapes and not config.temperature:
            pieces = ops.nonzero(ops.any(allowed, axis=0))[0]
            allowed = ops.take(allowed, pieces, axis=1)
            pieces, allowed = whole_chunks(pieces, allowed, config.beam_size + 1, special.pad)
            weights = model.shortened(weights, pieces)

    covers = config.coverage_penalty > 0 and config.beam_size > 1
    keeps_alignment = alignments or covers

    def step(ids: Tensor, state: Any, memory: Any) -> tuple:
        logits, state, alignment = model.step(ids, state, memory, weights)
        return logits, state, alignment if keeps_alignment else None

    problem = Problem(
        step=step,
        state=state,
        memory=memory,
        maximum_lengths=maximum_lengths,
        sentence_keys=sentence_keys(source, special.pad) if config.temperature else None,
        pieces=pieces,
        special=special,
    )
    if allowed is not None:
        problem = among(problem, allowed)
    if prefix is not None:
        problem = begun_with(problem, prefix)
    found = search_steps(problem, config, loop)
    return found if alignments else found._replace(alignments=None)


def check_shortlist(
    shortlist: Shortlist, model: TranslationModel, config: SearchConfig, special: SpecialIds
) -> None:
    """Makes sure that a shortlist is one for a model and a search.

    Raises:
        ValueError: it is of other vocabularies, its usual pieces lack the end symbol, or the beam
            is as wide as there are of them.
    """
    require_type(isinstance(shortlist, Shortlist), "shortlist", "a Shortlist", shortlist)
    sizes = (model.source_vocabulary_size, model.target_vocabulary_size)
    found = (shortlist.source_vocabulary_size, shortlist.target_vocabulary_size)
    require(found == sizes, "shortlist", f"of the model's vocabularies of {sizes} pieces", found)

    ends = special.end in shortlist.usual
    expected = f"one whose usual pieces have the end symbol, {special.end}"
    require(ends, "shortlist", expected, shortlist.usual.tolist())

    usual = len(shortlist.usual)
    expected = f"below the {usual} usual pieces of the model's shortlist"
    require(config.beam_size < usual, "beam_size", expected, config.beam_size)


def longest_translations(source: Tensor, config: SearchConfig, pad: int) -> Tensor:
    """The most pieces that a translation of each source may have, the end symbol included.

    It follows the true length of a source, whatever padding is behind it.

    Args:
        source: ids `[B, S]`.
        config: the ratio and what is added to it.
        pad: the id of padding.

    Returns:
        int32 `[B]`.
    """
    lengths = ops.sum(ops.cast(ops.not_equal(source, pad), "float32"), axis=1)
    longest = ops.cast(lengths * config.maximum_length_ratio, "int32")
    return longest + config.maximum_length_extra


def longest_translation(width: int, config: SearchConfig) -> int:
    """At least the highest of the `longest_translations` of sources `[B, width]`, as a number."""
    return math.ceil(width * config.maximum_length_ratio) + config.maximum_length_extra
