"""Greedy and beam search over a step function; they never see a model.

A step function takes the previous pieces `[B, K]`, a state, any structure of tensors `[B, K, ...]`, and a memory, any
structure of tensors `[B, ...]` that all hypotheses of a sentence share. It gives the logits of the next pieces
`[B, K, V]`, the next state and the alignment `[B, K, S]` or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from keras import ops, tree

from attention_nmt.config import END, PAD, START, SearchConfig
from attention_nmt.gather import select, take
from attention_nmt.loops import repeat
from attention_nmt.ranking import IMPOSSIBLE, best_pieces
from attention_nmt.types import Tensor

StepFunction: TypeAlias = Callable[[Tensor, Any, Any], tuple[Tensor, Any, Tensor | None]]


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


def search(
    step: StepFunction, state: Any, memory: Any, limits: Tensor, config: SearchConfig, compact: bool = False
) -> Hypotheses:
    """Searches for the likeliest targets: greedily with `beam_size` 1, else with a beam.

    Args:
        state: the state of one hypothesis per sentence `[B, 1, ...]`.
        memory: what all hypotheses of a sentence share, any structure of tensors `[B, ...]`.
        limits: the most pieces of each translation, int32 `[B]`.
        compact: drop finished sentences from the batch on the way. For graphs of TensorFlow in which `B` is unknown;
            neither XLA nor LiteRT takes it.
    """
    if config.beam_size == 1:
        return greedy_search(step, state, memory, limits, config, compact)
    return beam_search(step, state, memory, limits, config, compact)


class _Greedy(NamedTuple):
    """The state of the greedy loop."""

    position: Tensor  # []
    ids: Tensor  # [B, 1]: the previous piece
    log_probability: Tensor  # [B, 1]
    running: Tensor  # [B] bool
    state: Any
    tokens: Tensor  # [B, 1, T]
    alignments: Tensor | None  # [B, 1, T, S]


def greedy_search(
    step: StepFunction, state: Any, memory: Any, limits: Tensor, config: SearchConfig, compact: bool = False
) -> Hypotheses:
    """Takes the likeliest piece at each position, until the end symbol or the limit; see `search`."""
    start = ops.zeros_like(limits)[:, None] + START
    shape = (ops.shape(limits)[0], 1, ops.max(limits))
    positions = ops.arange(shape[-1])
    loop = _Greedy(
        ops.zeros((), "int32"),
        start,
        ops.zeros_like(start, "float32"),
        limits > 0,
        state,
        ops.zeros(shape, "int32"),
        _room(step(start, state, memory)[2], shape),
    )

    def body(loop: _Greedy, shared: tuple) -> _Greedy:
        memory, limits = shared
        return _greedy_step(step, loop, memory, limits, ops.equal(positions, loop.position))

    tokens, total, alignments = repeat(
        body, lambda loop: (loop.tokens, loop.log_probability, loop.alignments), loop, (memory, limits), compact
    )
    real = ops.not_equal(tokens, PAD)
    scores = total / length_penalty(ops.sum(ops.cast(real, "int32"), axis=2), config.length_penalty)
    return Hypotheses(tokens, scores, None if alignments is None else ops.where(real[..., None], alignments, 0))


def _greedy_step(step: StepFunction, loop: _Greedy, memory: Any, limits: Tensor, here: Tensor) -> _Greedy:
    """One position; `here` `[T]` is true at it."""
    logits, state, alignment = step(loop.ids, loop.state, memory)
    best, pieces = best_pieces(logits, 1)
    first = best[:, :, 0] >= best[:, :, 1]  # one of the two may be padding
    running = loop.running[:, None]
    ids = ops.where(running, ops.where(first, pieces[:, :, 0], pieces[:, :, 1]), PAD)
    goes_on = ops.logical_and(ops.not_equal(ids, END), loop.position + 1 < limits[:, None])
    return _Greedy(
        loop.position + 1,
        ids,
        loop.log_probability + ops.where(running, ops.max(best, axis=-1), 0.0),
        ops.logical_and(running, goes_on)[:, 0],
        state,
        _put(loop.tokens, ids, here),
        None if alignment is None else _put_rows(loop.alignments, alignment, here),
    )


class _Beam(NamedTuple):
    """The state of the beam loop: K slots a sentence, each with a live or an ended hypothesis.

    Before the first position ids, log-probabilities and state are those of one hypothesis.
    """

    position: Tensor  # []
    ids: Tensor  # [B, K]: the previous pieces, padding in slots whose hypothesis has ended
    log_probabilities: Tensor  # [B, K], of live hypotheses; IMPOSSIBLE in other slots
    scores: Tensor  # [B, K], of ended hypotheses, final; IMPOSSIBLE in other slots
    running: Tensor  # [B] bool: some live hypothesis can still enter the n best
    state: Any
    tokens: Tensor  # [B, K, T]
    origins: Tensor | None  # [B, K, T]: the slot in which a hypothesis was at each position, where the model aligns
    alignments: Tensor | None  # [B, K, T, S]: of the slots at each position, whatever became of them


def beam_search(
    step: StepFunction, state: Any, memory: Any, limits: Tensor, config: SearchConfig, compact: bool = False
) -> Hypotheses:
    """Keeps the `beam_size` best hypotheses of each sentence at each position; see `search`.

    Live and ended hypotheses compete for the same slots by their scores, log-probability over length penalty, and an
    ended one keeps its score. A sentence is done when none of its live hypotheses, were it to lose nothing more and to
    end within `lookahead` pieces, could enter its `n_best`. What reaches the limit counts as it is.

    Source: Wu et al. (2016), section 7, for the score; the exact stop is that of Huang et al. (2017), arXiv 1809.00069.
    """
    sentences = _Sentences(memory, limits[:, None], length_penalty(limits, config.length_penalty))
    positions = ops.arange(ops.max(limits))

    def body(loop: _Beam, sentences: _Sentences) -> _Beam:
        return _beam_step(step, loop, sentences, ops.equal(positions, loop.position), config)

    tokens, scores, origins, alignments = repeat(
        body,
        lambda loop: (loop.tokens, loop.scores, loop.origins, loop.alignments),
        _first_beam(step, state, sentences, positions, config),
        sentences,
        compact,
    )
    scores, order = ops.top_k(scores, config.n_best)
    tokens = select(tokens, order)
    if alignments is not None:
        alignments = ops.take_along_axis(alignments, select(origins, order)[..., None], axis=1)
        alignments = ops.where(ops.not_equal(tokens, PAD)[..., None], alignments, 0)
    return Hypotheses(tokens, scores, alignments)


class _Sentences(NamedTuple):
    """What a beam step reads of the sentences and does not change."""

    memory: Any
    limits: Tensor  # [B, 1]
    penalties: Tensor  # [B]: the length penalty at the limit


def _first_beam(
    step: StepFunction, state: Any, sentences: _Sentences, positions: Tensor, config: SearchConfig
) -> _Beam:
    """The beam after the first position, where there is one hypothesis to continue, the empty one."""
    start = ops.zeros_like(sentences.limits) + START
    outputs = step(start, state, sentences.memory)
    shape = (ops.shape(start)[0], config.beam_size, ops.shape(positions)[0])
    loop = _Beam(
        ops.zeros((), "int32"),
        start,
        ops.zeros_like(start, "float32"),
        ops.full(shape[:2], IMPOSSIBLE),
        sentences.limits[:, 0] > 0,
        state,
        ops.zeros(shape, "int32"),
        None if outputs[2] is None else ops.zeros(shape, "int32"),
        _room(outputs[2], shape),
    )
    return _beam_step(lambda *_: outputs, loop, sentences, ops.equal(positions, 0), config)


def _beam_step(step: StepFunction, loop: _Beam, sentences: _Sentences, here: Tensor, config: SearchConfig) -> _Beam:
    """One position; `here` `[T]` is true at it."""
    size, before = config.beam_size, loop.ids.shape[1]
    logits, state, alignment = step(loop.ids, loop.state, sentences.memory)
    penalty = length_penalty(loop.position + 1, config.length_penalty)
    # The best of all continuations are among the best `size` of each hypothesis; behind them stand the ended ones.
    best, pieces = best_pieces(logits, size)
    width = best.shape[-1]
    live = ops.reshape((loop.log_probabilities[:, :, None] + best) / penalty, (-1, before * width))
    scores, chosen = ops.top_k(ops.concatenate([live, loop.scores], axis=1), size)
    owners = [*(k for k in range(before) for _ in range(width)), *(k % before for k in range(size))]
    slots = take(ops.array(owners, "int32"), chosen)
    pieces = ops.concatenate([ops.reshape(pieces, (-1, before * width)), ops.zeros_like(loop.scores, "int32")], axis=1)
    ids = select(pieces, chosen)
    # What had ended before has padding for its piece: live hypotheses are not continued by it.
    last = ops.logical_or(ids <= PAD, ops.logical_or(ops.equal(ids, END), loop.position + 1 >= sentences.limits))
    log_probabilities = ops.where(last, IMPOSSIBLE, scores * penalty)
    scores = ops.where(last, scores, IMPOSSIBLE)
    running = _can_win(log_probabilities, scores, _best_penalty(loop.position + 1, sentences, config), config.n_best)
    # What a sentence has found when it is done is not to depend on how long others in its batch take.
    log_probabilities = ops.where(running[:, None], log_probabilities, IMPOSSIBLE)

    origins, alignments = loop.origins, loop.alignments
    if alignment is not None:
        origins = _put(select(origins, slots), slots, here)
        alignments = _put_rows(alignments, alignment, here)
    return _Beam(
        loop.position + 1,
        ids,
        log_probabilities,
        scores,
        running,
        tree.map_structure(lambda x: select(x, slots), state),
        _put(select(loop.tokens, slots), ids, here),
        origins,
        alignments,
    )


def _best_penalty(length: Tensor, sentences: _Sentences, config: SearchConfig) -> Tensor:
    """The length penalty, `[B]`, that live hypotheses of a length may hope for: the higher, the better their score."""
    return ops.minimum(length_penalty(length + config.lookahead, config.length_penalty), sentences.penalties)


def _can_win(log_probabilities: Tensor, scores: Tensor, penalties: Tensor, count: int) -> Tensor:
    """Whether a live hypothesis of each sentence could still enter its `count` best, bool `[B]`."""
    highest = ops.max(log_probabilities, axis=1)
    to_beat = ops.min(ops.top_k(scores, count)[0], axis=1) if count > 1 else ops.max(scores, axis=1)
    return ops.logical_and(highest > IMPOSSIBLE / 2, highest / penalties > to_beat)


def _room(alignment: Tensor | None, shape: tuple) -> Tensor | None:
    """Zeros for the alignments `[*shape, S]`, or None where there is none.

    A graph drops the step that an alignment is taken from but for its shape.
    """
    return None if alignment is None else ops.zeros((*shape, ops.shape(alignment)[-1]), alignment.dtype)


def _put(buffer: Tensor, values: Tensor, here: Tensor) -> Tensor:
    """`buffer` `[..., T]` with `values` `[...]` at the position where `here` `[T]` is true.

    Written densely: an update of a slice is an XLA-only op on TensorFlow and has no place in a served graph.
    """
    return ops.where(here, values[..., None], buffer)


def _put_rows(buffer: Tensor, values: Tensor, here: Tensor) -> Tensor:
    """`buffer` `[..., T, S]` with `values` `[..., S]` at the position where `here` `[T]` is true."""
    return ops.where(here[:, None], values[..., None, :], buffer)
