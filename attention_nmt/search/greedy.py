"""Greedy search, and the loop of hypotheses that each go on by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from attention_nmt.config import SearchConfig
from attention_nmt.search.hypotheses import (
    Hypotheses,
    Problem,
    alignment_buffer,
    first_ids,
    length_penalty,
    write,
    write_rows,
)
from attention_nmt.search.loop import PLAIN, LoopOptions, buffer_length, repeat
from attention_nmt.search.ranking import best_continuations
from attention_nmt.types import Tensor

Choice = Callable[[Tensor, Tensor, Any], tuple[Tensor, Tensor]]
"""Takes logits `[B, K, V]`, the position and the sentences' keys `[B]` or None; gives
log-probabilities `[B, K]` and ids `[B, K]`."""


class _Sentences(NamedTuple):
    """The part of a problem that a step reads and does not change."""

    memory: Any
    maximum_lengths: Tensor  # [B, 1]
    keys: Tensor | None  # [B]


class _State(NamedTuple):
    """The state of the loop, for `K` hypotheses of each sentence."""

    position: Tensor  # []
    ids: Tensor  # [B, K]: the previous pieces
    log_probabilities: Tensor  # [B, K]
    live: Tensor  # [B, K] bool
    running: Tensor  # [B] bool: one of the hypotheses is live
    state: Any  # of the model
    tokens: Tensor  # [B, K, T]
    alignments: Tensor | None  # [B, K, T, S]


def greedy_search(
    problem: Problem, config: SearchConfig, options: LoopOptions = PLAIN
) -> Hypotheses:
    """Takes the likeliest piece at each position, until the end symbol or the maximum length.

    Args:
        problem: the sentences and the step.
        config: its length penalty divides the scores.
        options: how the loop runs.
    """
    pad = problem.special.pad

    def likeliest(logits: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        best, ids, _ = best_continuations(logits, ops.zeros((1, 1)), 1, pad, problem.pieces)
        first = best[:, :1] >= best[:, 1:]  # one of the two may be padding
        return ops.max(best, axis=1, keepdims=True), ops.where(first, ids[:, :1], ids[:, 1:])

    return extend_each(problem, likeliest, first_ids(problem), config, options)


def extend_each(
    problem: Problem, choose: Choice, start: Tensor, config: SearchConfig, options: LoopOptions
) -> Hypotheses:
    """Extends each hypothesis by what is chosen for it, until the end symbol or the maximum length.

    Args:
        problem: the sentences and the step; its state is that of `K` hypotheses per sentence.
        choose: the choice of a piece.
        start: the start symbols `[B, K]`.
        config: its length penalty divides the scores.
        options: how the loop runs.
    """
    length = buffer_length(problem.maximum_lengths, options)
    positions = ops.arange(length)
    sentences = _Sentences(
        memory=problem.memory,
        maximum_lengths=problem.maximum_lengths[:, None],
        keys=problem.sentence_keys,
    )

    def body(loop: _State, sentences: _Sentences) -> _State:
        here = ops.equal(positions, loop.position)
        return _extend(problem, choose, loop, sentences, here)

    tokens, log_probabilities, alignments = repeat(
        body,
        lambda loop: (loop.tokens, loop.log_probabilities, loop.alignments),
        _first_state(problem, start, length),
        sentences,
        options,
    )
    real = ops.not_equal(tokens, problem.special.pad)
    lengths = ops.sum(ops.cast(real, "int32"), axis=2)
    scores = log_probabilities / length_penalty(lengths, config.length_penalty)
    if alignments is not None:
        alignments = ops.where(ops.expand_dims(real, -1), alignments, 0)
    return Hypotheses(tokens, scores, alignments)


def _first_state(problem: Problem, start: Tensor, length: Tensor | int) -> _State:
    shape = (*ops.shape(start), length)
    alignment = problem.step(start, problem.state, problem.memory)[2]
    return _State(
        position=ops.zeros((), "int32"),
        ids=start,
        log_probabilities=ops.zeros_like(start, "float32"),
        live=ops.equal(start, problem.special.start),
        running=ops.ones_like(problem.maximum_lengths, "bool"),
        state=problem.state,
        tokens=ops.zeros(shape, "int32"),
        alignments=alignment_buffer(alignment, shape),
    )


def _extend(
    problem: Problem, choose: Choice, loop: _State, sentences: _Sentences, here: Tensor
) -> _State:
    """One position; `here` `[T]` is true at it."""
    special = problem.special
    logits, state, alignment = problem.step(loop.ids, loop.state, sentences.memory)
    log_probability, ids = choose(logits, loop.position, sentences.keys)
    ids = ops.where(loop.live, ids, special.pad)

    below = loop.position + 1 < sentences.maximum_lengths
    unended = ops.logical_and(ops.not_equal(ids, special.end), below)
    live = ops.logical_and(loop.live, unended)

    alignments = None
    if alignment is not None:
        alignments = write_rows(loop.alignments, alignment, here)
    gained = ops.where(loop.live, log_probability, 0.0)
    return _State(
        position=loop.position + 1,
        ids=ids,
        log_probabilities=loop.log_probabilities + gained,
        live=live,
        running=ops.any(live, axis=1),
        state=state,
        tokens=write(loop.tokens, ids, here),
        alignments=alignments,
    )
