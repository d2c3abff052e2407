"""Beam search."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops, tree

from attention_nmt.backend import select, take
from attention_nmt.checks import require
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
from attention_nmt.search.ranking import IMPOSSIBLE, best_pieces
from attention_nmt.types import Tensor


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
    origins: (
        Tensor | None
    )  # [B, K, T]: the slot in which a hypothesis was at each position, where the model aligns
    alignments: (
        Tensor | None
    )  # [B, K, T, S]: of the slots at each position, whatever became of them


def beam_search(
    step: StepFunction,
    state: Any,
    memory: Any,
    limits: Tensor,
    config: SearchConfig,
    compact: bool = False,
    longest: int | None = None,
) -> Hypotheses:
    """Keeps the `beam_size` best hypotheses of each sentence at each position; see `search`.

    Live and ended hypotheses compete for the same slots by their scores, log-probability over
    length penalty, and an ended one keeps its score. A sentence is done when none of its live
    hypotheses, were it to lose nothing more and to end within `lookahead` pieces, could enter its
    `n_best`. What reaches the limit counts as it is. With a coverage penalty the search goes on
    until none is live: `beam_size` hypotheses have ended, and are ranked with it.

    Raises:
        ValueError: a coverage penalty with a step that gives no alignments.

    Source: Wu et al. (2016), section 7, for the score; the exact stop is that of Huang et al.
    (2017), arXiv 1809.00069.
    """
    sentences = _Sentences(memory, limits[:, None], length_penalty(limits, config.length_penalty))
    positions = ops.arange(ops.max(limits) if longest is None else longest)

    def body(loop: _Beam, sentences: _Sentences) -> _Beam:
        return _beam_step(step, loop, sentences, ops.equal(positions, loop.position), config)

    tokens, scores, origins, alignments = repeat(
        body,
        lambda loop: (loop.tokens, loop.scores, loop.origins, loop.alignments),
        _first_beam(step, state, sentences, positions, config),
        sentences,
        compact,
    )
    if config.coverage_penalty:
        require(
            alignments is not None,
            "coverage_penalty",
            "0 without alignments",
            config.coverage_penalty,
        )
        covering = _along(alignments, origins, tokens)
        scores = ops.where(
            scores > IMPOSSIBLE / 2, scores + config.coverage_penalty * coverage(covering), scores
        )
        scores, order = ops.top_k(scores, config.n_best)
        return Hypotheses(select(tokens, order), scores, select(covering, order))
    scores, order = ops.top_k(scores, config.n_best)
    tokens = select(tokens, order)
    if alignments is not None:
        alignments = _along(alignments, select(origins, order), tokens)
    return Hypotheses(tokens, scores, alignments)


def coverage(alignments: Tensor) -> Tensor:
    """How little of the source hypotheses read, `sum_j log min(sum_i alpha_ij, 1)`, at most 0,
    `[B, K]`.

    Args:
        alignments: `[B, K, T, S]`; a source position of which nobody reads anything is padding and
        does not count.
            (In float16 a word of which less than 3e-8 is read is taken for padding.)

    Returns:
        float32.

    Source: Wu et al. (2016), arXiv 1609.08144, Eq. 14. Departure from it: it ranks finished
    hypotheses, and does not prune unfinished ones.
    """
    read = ops.sum(ops.cast(alignments, "float32"), axis=2)
    return ops.sum(ops.log(ops.where(read > 0, ops.minimum(read, 1.0), 1.0)), axis=-1)


def _along(alignments: Tensor, origins: Tensor, tokens: Tensor) -> Tensor:
    """The alignments `[B, N, T, S]` of hypotheses, from those of the slots in which they were; 0
    on padding."""
    alignments = ops.take_along_axis(alignments, ops.expand_dims(origins, -1), axis=1)
    return ops.where(ops.expand_dims(ops.not_equal(tokens, PAD), -1), alignments, 0)


class _Sentences(NamedTuple):
    """What a beam step reads of the sentences and does not change."""

    memory: Any
    limits: Tensor  # [B, 1]
    penalties: Tensor  # [B]: the length penalty at the limit


def _first_beam(
    step: StepFunction, state: Any, sentences: _Sentences, positions: Tensor, config: SearchConfig
) -> _Beam:
    """The beam after the first position, where there is one hypothesis to continue, the empty
    one."""
    start = ops.zeros_like(sentences.limits) + START
    outputs = step(start, state, sentences.memory)
    shape = (ops.shape(start)[0], config.beam_size, ops.shape(positions)[0])
    loop = _Beam(
        ops.zeros((), "int32"),
        start,
        ops.zeros_like(start, "float32"),
        ops.full(shape[:2], IMPOSSIBLE),
        ops.ones_like(sentences.limits[:, 0], "bool"),
        state,
        ops.zeros(shape, "int32"),
        None if outputs[2] is None else ops.zeros(shape, "int32"),
        room(outputs[2], shape),
    )
    return _beam_step(lambda *_: outputs, loop, sentences, ops.equal(positions, 0), config)


def _beam_step(
    step: StepFunction, loop: _Beam, sentences: _Sentences, here: Tensor, config: SearchConfig
) -> _Beam:
    """One position; `here` `[T]` is true at it."""
    size, before = config.beam_size, loop.ids.shape[1]
    count = size if config.coverage_penalty else config.n_best
    logits, state, alignment = step(loop.ids, loop.state, sentences.memory)
    penalty = length_penalty(loop.position + 1, config.length_penalty)
    # The best of all continuations are among the best `size` of each hypothesis; behind them stand
    # the ended ones.
    best, pieces = best_pieces(logits, size)
    width = best.shape[-1]
    live = ops.reshape((loop.log_probabilities[:, :, None] + best) / penalty, (-1, before * width))
    scores, chosen = ops.top_k(ops.concatenate([live, loop.scores], axis=1), size)
    owners = [*(k for k in range(before) for _ in range(width)), *(k % before for k in range(size))]
    slots = take(ops.array(owners, "int32"), chosen)
    pieces = ops.concatenate(
        [ops.reshape(pieces, (-1, before * width)), ops.zeros_like(loop.scores, "int32")], axis=1
    )
    ids = select(pieces, chosen)
    # What had ended before has padding for its piece: live hypotheses are not continued by it.
    last = ops.logical_or(
        ids <= PAD, ops.logical_or(ops.equal(ids, END), loop.position + 1 >= sentences.limits)
    )
    log_probabilities = ops.where(last, IMPOSSIBLE, scores * penalty)
    scores = ops.where(last, scores, IMPOSSIBLE)
    running = _can_win(
        log_probabilities, scores, _best_penalty(loop.position + 1, sentences, config), count
    )
    # What a sentence has found when it is done is not to depend on how long others in its batch
    # take.
    log_probabilities = ops.where(running[:, None], log_probabilities, IMPOSSIBLE)

    origins, alignments = loop.origins, loop.alignments
    if alignment is not None:
        origins = put(select(origins, slots), slots, here)
        alignments = put_rows(alignments, alignment, here)
    return _Beam(
        loop.position + 1,
        ids,
        log_probabilities,
        scores,
        running,
        tree.map_structure(lambda x: select(x, slots), state),
        put(select(loop.tokens, slots), ids, here),
        origins,
        alignments,
    )


def _best_penalty(length: Tensor, sentences: _Sentences, config: SearchConfig) -> Tensor:
    """The length penalty, `[B]`, that live hypotheses of a length may hope for: the higher, the
    better their score."""
    return ops.minimum(
        length_penalty(length + config.lookahead, config.length_penalty), sentences.penalties
    )


def _can_win(log_probabilities: Tensor, scores: Tensor, penalties: Tensor, count: int) -> Tensor:
    """Whether a live hypothesis of each sentence could still enter its `count` best, bool `[B]`."""
    highest = ops.max(log_probabilities, axis=1)
    to_beat = ops.min(ops.top_k(scores, count)[0], axis=1) if count > 1 else ops.max(scores, axis=1)
    return ops.logical_and(highest > IMPOSSIBLE / 2, highest / penalties > to_beat)
