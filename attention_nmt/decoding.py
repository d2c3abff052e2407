"""Greedy and beam search over a step function; they never see a model.

A step function takes the previous pieces `[B, K]` and a state, any structure of tensors `[B, K, ...]`, and gives the
logits of the next pieces `[B, K, V]`, the next state and the alignment `[B, K, S]` or None. What all hypotheses of a
sentence share is the step function's own and is never copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from keras import ops, tree

from attention_nmt.config import END, PAD, START, SearchConfig
from attention_nmt.types import Tensor

StepFunction: TypeAlias = Callable[[Tensor, Any], tuple[Tensor, Any, Tensor | None]]

IMPOSSIBLE = -1e9
"""The log-probability of what cannot be; far below any sum of real ones, and finite so that differences are."""


class Hypotheses(NamedTuple):
    """The best translations of a batch, the best first."""

    ids: Tensor  # [B, N, T] int32, padding behind the end symbol
    scores: Tensor  # [B, N] float32: the log-probability over the length penalty, by which they are ranked
    alignments: Tensor | None  # [B, N, T, S], zeros on padding


def length_penalty(lengths: Tensor, alpha: float) -> Tensor:
    """`((5 + length) / 6) ** alpha`, by which log-probabilities are divided; lengths count the end symbol.

    Source: Wu et al. (2016), arXiv 1609.08144, Eq. 14.
    """
    return ops.power((5 + ops.cast(lengths, "float32")) / 6, alpha)


def maximum_lengths(source: Tensor, config: SearchConfig) -> Tensor:
    """The most pieces that a translation of each source `[B, S]` may have, the end symbol included, int32 `[B]`."""
    lengths = ops.sum(ops.cast(ops.not_equal(source, PAD), "float32"), axis=1)
    return ops.cast(lengths * config.maximum_length_ratio, "int32") + config.maximum_length_extra


def _real(logits: Tensor) -> Tensor:
    """The logits in float32, without padding as a choice: it stands behind the end symbol and nowhere else."""
    logits = ops.cast(logits, "float32")
    return ops.where(ops.equal(ops.arange(ops.shape(logits)[-1]), PAD), IMPOSSIBLE, logits)


def search(step: StepFunction, state: Any, limits: Tensor, config: SearchConfig) -> Hypotheses:
    """Searches for the likeliest targets: greedily with `beam_size` 1, else with a beam.

    Args:
        state: the state of one hypothesis per sentence `[B, 1, ...]`.
        limits: the most pieces of each translation, int32 `[B]`.
    """
    if config.beam_size == 1:
        return greedy_search(step, state, limits, config.length_penalty)
    return beam_search(step, state, limits, config)


class _Greedy(NamedTuple):
    """The state of the greedy loop."""

    position: Tensor  # []
    ids: Tensor  # [B, 1]: the previous piece
    log_probability: Tensor  # [B, 1]
    live: Tensor  # [B, 1] bool
    state: Any
    tokens: Tensor  # [B, T]
    alignments: Tensor | None  # [B, T, S]


def greedy_search(step: StepFunction, state: Any, limits: Tensor, alpha: float) -> Hypotheses:
    """Takes the likeliest piece at each position, until the end symbol or the limit."""
    batch, positions = ops.shape(limits)[0], ops.max(limits)
    start = ops.zeros_like(limits)[:, None] + START
    zeros = ops.zeros((batch, positions), "int32")

    def body(loop: _Greedy) -> _Greedy:
        logits, state, alignment = step(loop.ids, loop.state)
        best, chosen = ops.top_k(_real(logits), 1)
        gained = best[:, :, 0] - _logsumexp(logits)
        ids = ops.where(loop.live, ops.cast(chosen[:, :, 0], "int32"), PAD)
        live = ops.logical_and(ops.not_equal(ids, END), loop.position + 1 < limits[:, None])
        return _Greedy(
            loop.position + 1,
            ids,
            loop.log_probability + ops.where(loop.live, gained, 0.0),
            ops.logical_and(loop.live, live),
            state,
            _put(loop.tokens, ids, loop.position),
            _put_alignment(loop.alignments, alignment, loop.live, loop.position),
        )

    alignments = _room(step, start, state, (batch, positions))
    loop = _Greedy(
        ops.zeros((), "int32"),
        start,
        ops.zeros_like(start, "float32"),
        ops.ones_like(start, "bool"),
        state,
        zeros,
        alignments,
    )
    loop = _while(lambda loop: ops.any(loop.live), body, loop)
    lengths = ops.sum(ops.cast(ops.not_equal(loop.tokens, PAD), "int32"), axis=1, keepdims=True)
    scores = loop.log_probability / length_penalty(lengths, alpha)
    return Hypotheses(loop.tokens[:, None], scores, None if alignments is None else loop.alignments[:, None])


class _Beam(NamedTuple):
    """The state of the beam loop: K slots a sentence, each with a live or an ended hypothesis."""

    position: Tensor  # []
    ids: Tensor  # [B, K]: the previous pieces, padding in slots whose hypothesis has ended
    log_probabilities: Tensor  # [B, K], of live hypotheses; IMPOSSIBLE in other slots
    scores: Tensor  # [B, K], of ended hypotheses, final; IMPOSSIBLE in other slots
    running: Tensor  # [B] bool: some live hypothesis can still enter the n best
    state: Any
    tokens: Tensor  # [B, K, T]
    alignments: Tensor | None  # [B, K, T, S]


def beam_search(step: StepFunction, state: Any, limits: Tensor, config: SearchConfig) -> Hypotheses:
    """Keeps the `beam_size` best hypotheses of each sentence at each position.

    Live and ended hypotheses compete for the same slots by their scores, log-probability over length penalty, and an
    ended one keeps its score. A sentence is done when none of its live hypotheses, were it to lose nothing more and to
    be as long as allowed, could enter its `n_best`: the result is that of a search up to the limit. What reaches the
    limit counts as it is.

    Source: Wu et al. (2016), section 7, for the score; the exact stop is that of Huang et al. (2017), arXiv 1809.00069.
    """
    size, batch, positions = config.beam_size, ops.shape(limits)[0], ops.max(limits)
    start = ops.zeros_like(limits)[:, None] + START
    alignments = _room(step, start, state, (batch, size, positions))
    # Before the first step all slots hold the empty hypothesis; all but the first must not multiply it.
    first = ops.concatenate([ops.zeros((1, 1)), ops.full((1, size - 1), IMPOSSIBLE)], axis=1)
    loop = _Beam(
        ops.zeros((), "int32"),
        ops.repeat(start, size, axis=1),
        ops.zeros((batch, 1)) + first,
        ops.full((batch, size), IMPOSSIBLE),
        limits > 0,
        tree.map_structure(lambda x: ops.repeat(x, size, axis=1), state),
        ops.zeros((batch, size, positions), "int32"),
        alignments,
    )

    def body(loop: _Beam) -> _Beam:
        return _beam_step(step, loop, limits, config)

    loop = _while(lambda loop: ops.any(loop.running), body, loop)
    scores, order = ops.top_k(loop.scores, config.n_best)
    alignments = None if alignments is None else _select(loop.alignments, order)
    return Hypotheses(_select(loop.tokens, order), scores, alignments)


def _beam_step(step: StepFunction, loop: _Beam, limits: Tensor, config: SearchConfig) -> _Beam:
    size, alpha = config.beam_size, config.length_penalty
    logits, state, alignment = step(loop.ids, loop.state)
    penalty = length_penalty(loop.position + 1, alpha)
    # The best of all continuations are among the best `size` of each hypothesis.
    best, pieces = ops.top_k(_real(logits), min(size, logits.shape[-1]))
    extended = loop.log_probabilities[:, :, None] + best - _logsumexp(logits)[:, :, None]
    width = best.shape[-1]
    live = ops.reshape(extended, (-1, size * width))
    scores, chosen = ops.top_k(ops.concatenate([live / penalty, loop.scores], axis=1), size)

    kept = chosen >= size * width  # slots that hold a hypothesis which had ended before this step
    slots = ops.where(kept, chosen - size * width, chosen // width)
    pieces = ops.concatenate([ops.reshape(pieces, (-1, size * width)), ops.zeros_like(loop.ids)], axis=1)
    ids = ops.cast(ops.take_along_axis(pieces, chosen, axis=1), "int32")
    limited = loop.position + 1 >= limits[:, None]
    ended = ops.logical_or(kept, ops.logical_or(ops.equal(ids, END), limited))
    log_probabilities = ops.where(ended, IMPOSSIBLE, scores * penalty)
    scores = ops.where(ended, scores, IMPOSSIBLE)

    running = _can_win(log_probabilities, scores, limits, config)
    alignments = loop.alignments
    if alignments is not None:
        live_rows = ops.logical_not(kept)
        alignments = _put_alignment(_select(alignments, slots), _select(alignment, slots), live_rows, loop.position)
    return _Beam(
        loop.position + 1,
        ids,
        log_probabilities,
        scores,
        running,
        tree.map_structure(lambda x: _select(x, slots), state),
        _put(_select(loop.tokens, slots), ids, loop.position),
        alignments,
    )


def _can_win(log_probabilities: Tensor, scores: Tensor, limits: Tensor, config: SearchConfig) -> Tensor:
    """Whether a live hypothesis of each sentence could still enter its n best, bool `[B]`."""
    highest = ops.max(log_probabilities, axis=1)
    bound = highest / length_penalty(limits, config.length_penalty)
    to_beat = ops.top_k(scores, config.n_best)[0][:, -1]
    return ops.logical_and(highest > IMPOSSIBLE / 2, bound > to_beat)


def _while(condition: Callable[[Any], Tensor], body: Callable[[Any], Any], loop: Any) -> Any:
    """`ops.while_loop` over one NamedTuple, in which None stays None."""
    present = [name for name, value in loop._asdict().items() if value is not None]
    rebuild = lambda *values: loop._replace(**dict(zip(present, values, strict=True)))  # noqa: E731

    def step(*values: Any) -> tuple:
        new = body(rebuild(*values))
        return tuple(getattr(new, name) for name in present)

    initial = tuple(getattr(loop, name) for name in present)
    return rebuild(*ops.while_loop(lambda *values: condition(rebuild(*values)), step, initial))


def _room(step: StepFunction, start: Tensor, state: Any, shape: tuple) -> Tensor | None:
    """Zeros for the alignments `[*shape, S]`, or None where the step function gives none."""
    # The graph drops this step but for the shape of its alignment.
    alignment = step(start, state)[2]
    return None if alignment is None else ops.zeros((*shape, ops.shape(alignment)[-1]), alignment.dtype)


def _logsumexp(logits: Tensor) -> Tensor:
    """The logarithm of the sum of exponentials over the vocabulary, `[B, K]` in float32."""
    return ops.logsumexp(ops.cast(logits, "float32"), axis=-1)


def _select(x: Tensor, slots: Tensor) -> Tensor:
    """Rows of `x` `[B, K, ...]` in the order `slots` `[B, N]`."""
    batch, size = ops.shape(slots)[0], ops.shape(x)[1]
    rows = ops.reshape(ops.arange(batch)[:, None] * size + slots, (-1,))
    flat = ops.reshape(x, (-1, *ops.shape(x)[2:]))
    return ops.reshape(ops.take(flat, rows, axis=0), (batch, ops.shape(slots)[1], *ops.shape(x)[2:]))


def _put(buffer: Tensor, values: Tensor, position: Tensor) -> Tensor:
    """`buffer` `[..., T]` with `values` `[..., 1]` or `[...]` at a position.

    Written densely: an update of a slice is an XLA-only op on TensorFlow and has no place in a served graph.
    """
    here = ops.equal(ops.arange(ops.shape(buffer)[-1]), position)
    return ops.where(here, values if len(values.shape) == len(buffer.shape) else values[..., None], buffer)


def _put_alignment(buffer: Tensor | None, alignment: Tensor | None, live: Tensor, position: Tensor) -> Tensor | None:
    """`buffer` `[..., T, S]` with the alignment `[..., S]` of the live rows at a position."""
    if buffer is None or alignment is None:
        return None
    alignment = ops.where(live[..., None], alignment, 0)
    here = ops.equal(ops.arange(ops.shape(buffer)[-2]), position)[:, None]
    if len(buffer.shape) == len(alignment.shape):  # greedy search: [B, T, S] and [B, 1, S]
        return ops.where(here, alignment, buffer)
    return ops.where(here, alignment[..., None, :], buffer)
