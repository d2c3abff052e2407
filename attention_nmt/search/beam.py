"""Beam search."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops, tree

from attention_nmt.backend import select
from attention_nmt.checks import require
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
from attention_nmt.search.ranking import IMPOSSIBLE, Continuations, best_continuations
from attention_nmt.types import Tensor


class _Sentences(NamedTuple):
    """The part of a problem that a step reads and does not change."""

    memory: Any
    maximum_lengths: Tensor  # [B, 1]
    penalties: Tensor  # [B]: the length penalty at the maximum length


class _State(NamedTuple):
    """The state of the loop: `K` slots a sentence, each with a live or an ended hypothesis.

    Before the first position ids, log-probabilities and state are those of one hypothesis.
    """

    position: Tensor  # []
    ids: Tensor  # [B, K]: the previous pieces, padding in slots whose hypothesis has ended
    log_probabilities: Tensor  # [B, K], of live hypotheses; IMPOSSIBLE in other slots
    scores: Tensor  # [B, K], of ended hypotheses, final; IMPOSSIBLE in other slots
    running: Tensor  # [B] bool: some live hypothesis can still enter the n best
    state: Any  # of the model
    tokens: Tensor  # [B, K, T]
    origins: Tensor | None  # [B, K, T]: a hypothesis' slot at each position; of models that align
    alignments: Tensor | None  # [B, K, T, S]: of slots at each position, whatever became of them


class _Candidates(NamedTuple):
    """The best continuations of a sentence's hypotheses and its ended ones, `K` of both."""

    scores: Tensor  # [B, K]
    ids: Tensor  # [B, K]: the pieces, padding behind a hypothesis that had ended
    slots: Tensor  # [B, K]: which hypotheses they continue, or are


def beam_search(problem: Problem, config: SearchConfig, options: LoopOptions = PLAIN) -> Hypotheses:
    """Keeps the `beam_size` best hypotheses of each sentence at each position.

    Live and ended hypotheses compete for the same slots by their scores, log-probability over
    length penalty, and an ended one keeps its score. A sentence is done when none of its live
    hypotheses, were it to lose nothing more and to end within `lookahead` pieces, could enter its
    `n_best`. What reaches the maximum length counts as it is. With a coverage penalty the search
    goes on until none is live: `beam_size` hypotheses have ended, and are ranked with it.

    Args:
        problem: the sentences and the step.
        config: sizes and penalties.
        options: how the loop runs.

    Raises:
        ValueError: a coverage penalty with a step that gives no alignments.

    Source: Wu et al. (2016), section 7, for the score; the exact stop is that of Huang et al.
    (2017), arXiv 1809.00069.
    """
    sentences = _Sentences(
        memory=problem.memory,
        maximum_lengths=problem.maximum_lengths[:, None],
        penalties=length_penalty(problem.maximum_lengths, config.length_penalty),
    )
    positions = ops.arange(buffer_length(problem.maximum_lengths, options))

    def body(loop: _State, sentences: _Sentences) -> _State:
        here = ops.equal(positions, loop.position)
        return _extend(problem, loop, sentences, here, config)

    tokens, scores, origins, alignments = repeat(
        body,
        lambda loop: (loop.tokens, loop.scores, loop.origins, loop.alignments),
        _first_state(problem, sentences, positions, config),
        sentences,
        options,
    )
    if config.coverage_penalty:
        aligned = alignments is not None
        require(aligned, "coverage_penalty", "0 without alignments", config.coverage_penalty)
        tokens = _possible(tokens, scores, problem.special.pad)
        alignments = _follow(alignments, origins, tokens, problem.special.pad)
        return _ranked_by_coverage(Hypotheses(tokens, scores, alignments), config)

    scores, order = ops.top_k(scores, config.n_best)
    tokens = _possible(select(tokens, order), scores, problem.special.pad)
    if alignments is not None:
        origins = select(origins, order)
        alignments = _follow(alignments, origins, tokens, problem.special.pad)
    return Hypotheses(tokens, scores, alignments)


def _ranked_by_coverage(found: Hypotheses, config: SearchConfig) -> Hypotheses:
    """The `n_best` of all hypotheses by their scores with the coverage penalty."""
    covered = found.scores + config.coverage_penalty * coverage(found.alignments)
    scores = ops.where(found.scores > IMPOSSIBLE / 2, covered, found.scores)
    scores, order = ops.top_k(scores, config.n_best)
    return Hypotheses(select(found.ids, order), scores, select(found.alignments, order))


def _possible(tokens: Tensor, scores: Tensor, pad: int) -> Tensor:
    """The tokens `[B, N, T]` of hypotheses that there are; slots without one have padding."""
    return ops.where(ops.expand_dims(scores > IMPOSSIBLE / 2, -1), tokens, pad)


def coverage(alignments: Tensor) -> Tensor:
    """The coverage of the source, `sum_j log min(sum_i alpha_ij, 1)`, at most 0.

    Args:
        alignments: `[B, K, T, S]`; a source position of which nobody reads anything is padding and
            does not count. (In float16 a word of which less than 3e-8 is read is taken for
            padding.)

    Returns:
        float32 `[B, K]`.

    Source: Wu et al. (2016), arXiv 1609.08144, Eq. 14. Departure from it: it ranks finished
    hypotheses, and does not prune unfinished ones.
    """
    read = ops.sum(ops.cast(alignments, "float32"), axis=2)
    share = ops.where(read > 0, ops.minimum(read, 1.0), 1.0)
    return ops.sum(ops.log(share), axis=-1)


def _follow(alignments: Tensor, origins: Tensor, tokens: Tensor, pad: int) -> Tensor:
    """The alignments of hypotheses from those of their slots at each position; 0 on padding.

    Args:
        alignments: of slots `[B, K, T, S]`.
        origins: the slots `[B, N, T]` in which the hypotheses were.
        tokens: of the hypotheses `[B, N, T]`.
        pad: the id of padding.

    Returns:
        `[B, N, T, S]`.
    """
    alignments = ops.take_along_axis(alignments, ops.expand_dims(origins, -1), axis=1)
    real = ops.expand_dims(ops.not_equal(tokens, pad), -1)
    return ops.where(real, alignments, 0)


def _first_state(
    problem: Problem, sentences: _Sentences, positions: Tensor, config: SearchConfig
) -> _State:
    """The state after the first position, where the empty hypothesis is the one to continue."""
    start = first_ids(problem)
    outputs = problem.step(start, problem.state, sentences.memory)
    alignment = outputs[2]
    shape = (ops.shape(start)[0], config.beam_size, ops.shape(positions)[0])
    empty = _State(
        position=ops.zeros((), "int32"),
        ids=start,
        log_probabilities=ops.zeros_like(start, "float32"),
        scores=ops.full(shape[:2], IMPOSSIBLE),
        running=ops.ones_like(sentences.maximum_lengths[:, 0], "bool"),
        state=problem.state,
        tokens=ops.zeros(shape, "int32"),
        origins=None if alignment is None else ops.zeros(shape, "int32"),
        alignments=alignment_buffer(alignment, shape),
    )
    known = problem._replace(step=lambda *_: outputs)
    return _extend(known, empty, sentences, ops.equal(positions, 0), config)


def _extend(
    problem: Problem, loop: _State, sentences: _Sentences, here: Tensor, config: SearchConfig
) -> _State:
    """One position; `here` `[T]` is true at it."""
    special = problem.special
    length = loop.position + 1
    penalty = length_penalty(length, config.length_penalty)
    logits, state, alignment = problem.step(loop.ids, loop.state, sentences.memory)
    best = best_continuations(
        logits, loop.log_probabilities, config.beam_size, special.pad, problem.pieces
    )
    scores, ids, slots = _best_candidates(loop, best, penalty, config.beam_size, special.pad)

    # What had ended before has padding for its piece: live hypotheses are not continued by it.
    at_limit = length >= sentences.maximum_lengths
    last = ops.logical_or(
        ops.equal(ids, special.pad), ops.logical_or(ops.equal(ids, special.end), at_limit)
    )
    log_probabilities = ops.where(last, IMPOSSIBLE, scores * penalty)
    scores = ops.where(last, scores, IMPOSSIBLE)

    # A sentence's hypotheses when it is done are not to depend on how long others in its batch
    # take.
    best_penalty = _best_penalty(length, sentences, config)
    count = config.beam_size if config.coverage_penalty else config.n_best
    running = _can_win(log_probabilities, scores, best_penalty, count)
    log_probabilities = ops.where(running[:, None], log_probabilities, IMPOSSIBLE)

    origins = loop.origins
    alignments = loop.alignments
    if alignment is not None:
        origins = write(select(origins, slots), slots, here)
        alignments = write_rows(alignments, alignment, here)
    return _State(
        position=length,
        ids=ids,
        log_probabilities=log_probabilities,
        scores=scores,
        running=running,
        state=tree.map_structure(lambda x: select(x, slots) if len(x.shape) else x, state),
        tokens=write(select(loop.tokens, slots), ids, here),
        origins=origins,
        alignments=alignments,
    )


def _best_candidates(
    loop: _State, best: Continuations, penalty: Tensor, size: int, pad: int
) -> _Candidates:
    """The best of all continuations and ended hypotheses; behind the former stand the latter."""
    before = loop.ids.shape[1]
    log_probabilities = best.log_probabilities
    live = ops.where(log_probabilities > IMPOSSIBLE / 2, log_probabilities / penalty, IMPOSSIBLE)
    scores, chosen = ops.top_k(ops.concatenate([live, loop.scores], axis=1), size)

    ended_pieces = ops.full_like(loop.scores, pad, "int32")
    pieces = ops.concatenate([best.ids, ended_pieces], axis=1)
    own_slots = ops.array([slot % before for slot in range(size)], "int32")
    ended_slots = ops.zeros_like(ended_pieces) + own_slots
    slots = ops.concatenate([best.slots, ended_slots], axis=1)
    return _Candidates(scores=scores, ids=select(pieces, chosen), slots=select(slots, chosen))


def _best_penalty(length: Tensor, sentences: _Sentences, config: SearchConfig) -> Tensor:
    """The length penalty `[B]` that live hypotheses of a length may hope for.

    The higher it is, the better their score.
    """
    ahead = length_penalty(length + config.lookahead, config.length_penalty)
    return ops.minimum(ahead, sentences.penalties)


def _can_win(log_probabilities: Tensor, scores: Tensor, penalties: Tensor, count: int) -> Tensor:
    """Whether a live hypothesis of each sentence could still enter its `count` best, bool `[B]`."""
    highest = ops.max(log_probabilities, axis=1)
    to_beat = ops.max(scores, axis=1)
    if count > 1:
        to_beat = ops.min(ops.top_k(scores, count)[0], axis=1)
    return ops.logical_and(highest > IMPOSSIBLE / 2, highest / penalties > to_beat)
