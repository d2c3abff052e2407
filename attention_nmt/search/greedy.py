"""Greedy search and sampling: hypotheses that each go on by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops, tree

from attention_nmt.backend import select
from attention_nmt.config import END, PAD, START, SearchConfig
from attention_nmt.search.hypotheses import (
    Hypotheses,
    StepFunction,
    length_penalty,
    put,
    put_rows,
    room,
)
from attention_nmt.search.loop import repeat
from attention_nmt.search.noise import drawn_pieces, gumbel
from attention_nmt.search.ranking import best_pieces
from attention_nmt.types import Tensor


class _Walk(NamedTuple):
    """The state of a loop whose hypotheses go on by themselves, `K` of each sentence."""

    position: Tensor  # []
    ids: Tensor  # [B, K]: the previous piece
    log_probability: Tensor  # [B, K]
    going_on: Tensor  # [B, K] bool
    running: Tensor  # [B] bool: one of the hypotheses goes on
    state: Any
    tokens: Tensor  # [B, K, T]
    alignments: Tensor | None  # [B, K, T, S]


def greedy_search(
    step: StepFunction,
    state: Any,
    memory: Any,
    limits: Tensor,
    config: SearchConfig,
    compact: bool = False,
    longest: int | None = None,
) -> Hypotheses:
    """Takes the likeliest piece at each position, until the end symbol or the limit; see
    `search`."""
    start = ops.zeros_like(limits)[:, None] + START

    def likeliest(logits: Tensor, position: Tensor, keys: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG001
        best, pieces = best_pieces(logits, 1)
        first = best[:, :, 0] >= best[:, :, 1]  # one of the two may be padding
        return ops.max(best, axis=-1), ops.where(first, pieces[:, :, 0], pieces[:, :, 1])

    return _walk(step, likeliest, start, state, (memory, limits, ()), config, compact, longest)


def sample(
    step: StepFunction,
    state: Any,
    memory: Any,
    limits: Tensor,
    config: SearchConfig,
    keys: Tensor,
    compact: bool = False,
    longest: int | None = None,
) -> Hypotheses:
    """Draws `beam_size` translations of each sentence piece by piece, and gives the `n_best`
    likeliest; see `search`.

    A piece is drawn from `softmax(logits / temperature)`. Scores are those of temperature 1.
    """
    size = config.beam_size
    start = ops.repeat(ops.zeros_like(limits)[:, None] + START, size, axis=1)
    state = tree.map_structure(lambda x: ops.repeat(x, size, axis=1), state)

    def draw(logits: Tensor, position: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        noise = gumbel(keys, config.sampling_seed, size, position, logits.shape[-1])
        return drawn_pieces(logits, noise, config.temperature)

    found = _walk(step, draw, start, state, (memory, limits, keys), config, compact, longest)
    scores, order = ops.top_k(found.scores, config.n_best)
    alignments = None if found.alignments is None else select(found.alignments, order)
    return Hypotheses(select(found.ids, order), scores, alignments)


def _walk(
    step: StepFunction,
    choose: Callable,
    start: Tensor,
    state: Any,
    shared: tuple,
    config: SearchConfig,
    compact: bool,
    longest: int | None,
) -> Hypotheses:
    """Hypotheses that each take what `choose(logits, position, keys)` gives, until the end symbol
    or the limit.

    Args:
        choose: gives log-probabilities `[B, K]` and ids `[B, K]`.
        start: the start symbols `[B, K]`.
        shared: the memory, the limits and the keys.
    """
    memory, limits, _ = shared
    shape = (*ops.shape(start), ops.max(limits) if longest is None else longest)
    positions = ops.arange(shape[-1])
    going_on = ops.logical_and(ops.equal(start, START), limits[:, None] > 0)
    loop = _Walk(
        ops.zeros((), "int32"),
        start,
        ops.zeros_like(start, "float32"),
        going_on,
        limits > 0,
        state,
        ops.zeros(shape, "int32"),
        room(step(start, state, memory)[2], shape),
    )

    def body(loop: _Walk, shared: tuple) -> _Walk:
        return _walk_step(step, choose, loop, shared, ops.equal(positions, loop.position))

    tokens, total, alignments = repeat(
        body,
        lambda loop: (loop.tokens, loop.log_probability, loop.alignments),
        loop,
        shared,
        compact,
    )
    real = ops.not_equal(tokens, PAD)
    scores = total / length_penalty(ops.sum(ops.cast(real, "int32"), axis=2), config.length_penalty)
    return Hypotheses(
        tokens,
        scores,
        None if alignments is None else ops.where(ops.expand_dims(real, -1), alignments, 0),
    )


def _walk_step(
    step: StepFunction, choose: Callable, loop: _Walk, shared: tuple, here: Tensor
) -> _Walk:
    """One position; `here` `[T]` is true at it."""
    memory, limits, keys = shared
    logits, state, alignment = step(loop.ids, loop.state, memory)
    log_probability, ids = choose(logits, loop.position, keys)
    ids = ops.where(loop.going_on, ids, PAD)
    unended = ops.logical_and(ops.not_equal(ids, END), loop.position + 1 < limits[:, None])
    going_on = ops.logical_and(loop.going_on, unended)
    return _Walk(
        loop.position + 1,
        ids,
        loop.log_probability + ops.where(loop.going_on, log_probability, 0.0),
        going_on,
        ops.any(going_on, axis=1),
        state,
        put(loop.tokens, ids, here),
        None if alignment is None else put_rows(loop.alignments, alignment, here),
    )
