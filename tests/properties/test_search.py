"""Whatever the distribution, limits and settings, a search keeps what it promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_nmt.config import SearchConfig
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.search import search_steps
from tests.attention_nmt.search.toy import END, VOCABULARY, Toy, trimmed

TO_THE_LIMIT = 1000

seeds = st.integers(0, 10_000)
sentences = st.lists(st.integers(0, 1008), min_size=1, max_size=4)
alphas = st.sampled_from([0.0, 0.6, 1.0, 2.0])


def find(toy: Toy, rows: list[int], limits: list[int], **options: Any) -> Hypotheses:
    """A search, operation by operation."""
    loop = options.pop("loop", LoopOptions())
    problem = toy.problem(np.array(rows, np.int32), np.array(limits, np.int32))
    found = search_steps(problem, SearchConfig(**options), loop)
    return Hypotheses(*(np.asarray(part) for part in found))


@given(seed=seeds, sentence=st.integers(0, 1008), limit=st.integers(1, 3), alpha=alphas)
def test_a_beam_of_all_prefixes_finds_the_best_of_all(
    seed: int, sentence: int, limit: int, alpha: float
) -> None:
    toy = Toy(seed)
    options = {"beam_size": 125, "n_best": 3, "length_penalty": alpha, "lookahead": TO_THE_LIMIT}
    found = find(toy, [sentence], [limit], **options)
    expected = toy.exhaustive(sentence, limit, alpha)[:3]
    scores = [hypothesis.score for hypothesis in expected]
    assert found.scores[0, : len(scores)] == pytest.approx(scores, abs=1e-4)


@given(
    seed=seeds,
    rows=sentences,
    limit=st.integers(1, 6),
    size=st.integers(1, 4),
    n_best=st.integers(1, 4),
    alpha=alphas,
)
def test_what_is_found_is_well_formed(
    seed: int, rows: list[int], limit: int, size: int, n_best: int, alpha: float
) -> None:
    """Scores are those of the hypotheses and fall; an end symbol is the last piece; no hypothesis
    stands there twice; alignments sum to 1."""
    toy = Toy(seed)
    n_best = min(n_best, size)
    limits = [1 + (limit + row) % 6 for row in rows]
    found = find(toy, rows, limits, beam_size=size, n_best=n_best, length_penalty=alpha)

    for b, (row, most) in enumerate(zip(rows, limits, strict=True)):
        real = found.scores[b] > -1e8
        hypotheses = [trimmed(ids) for ids in found.ids[b][real]]
        assert len(set(hypotheses)) == len(hypotheses) > 0
        assert (np.diff(found.scores[b]) <= 1e-6).all()
        for n, ids in enumerate(hypotheses):
            assert 1 <= len(ids) <= most
            assert END not in ids[:-1]
            assert ids[-1] == END or len(ids) == most
            if size > 1:
                assert found.scores[b, n] == pytest.approx(toy.score(row, ids, alpha), abs=1e-4)
            assert found.alignments is not None
            weights = found.alignments[b, n].sum(axis=-1)
            assert weights[: len(ids)] == pytest.approx(1, abs=1e-5)
            assert (weights[len(ids) :] == 0).all()


@given(seed=seeds, rows=sentences, size=st.integers(1, 4), extra=st.integers(0, 5), alpha=alphas)
def test_neighbours_and_longer_buffers_change_nothing(
    seed: int, rows: list[int], size: int, extra: int, alpha: float
) -> None:
    """A sentence is translated alone as it is in a batch, and in longer buffers as in its own."""
    toy = Toy(seed, end_bias=0.5)
    limits = [2 + row % 5 for row in rows]
    options = {"beam_size": size, "length_penalty": alpha}
    together = find(toy, rows, limits, **options)
    loop = LoopOptions(static_length=max(limits) + extra)
    longer = find(toy, rows, limits, loop=loop, **options)

    for b, row in enumerate(rows):
        alone = find(toy, [row], [limits[b]], **options)
        expected = trimmed(alone.ids[0, 0])
        assert trimmed(together.ids[b, 0]) == expected
        assert trimmed(longer.ids[b, 0]) == expected
        for found in (together, longer):
            assert found.scores[b, 0] == pytest.approx(alone.scores[0, 0], abs=1e-5)


@given(seed=seeds, sentence=st.integers(0, 1008), limit=st.integers(1, 6))
def test_greedy_takes_the_likeliest_piece_each_time(seed: int, sentence: int, limit: int) -> None:
    toy = Toy(seed)
    found = find(toy, [sentence], [limit], beam_size=1)
    ids: tuple[int, ...] = ()
    while len(ids) < limit and END not in ids:
        choices = range(1, VOCABULARY)
        ids = max(
            ((*ids, piece) for piece in choices),
            key=lambda longer: toy.log_probability(sentence, longer),
        )
    assert trimmed(found.ids[0, 0]) == ids
