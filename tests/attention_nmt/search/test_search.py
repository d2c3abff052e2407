"""The searches against enumeration, against a plain beam search, and against each other."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.config import SearchConfig
from attention_nmt.search.beam import beam_search, coverage
from attention_nmt.search.greedy import greedy_search
from attention_nmt.search.hypotheses import Hypotheses, length_penalty
from attention_nmt.search.loop import LoopOptions
from attention_nmt.search.ranking import (
    IMPOSSIBLE,
    SHORTLIST_CHUNK,
    best_continuations,
    whole_chunks,
)
from attention_nmt.search.search import (
    longest_translation,
    longest_translations,
    search_steps,
)
from tests.attention_nmt.search.toy import END, Found, Toy, trimmed

SENTENCES = [3, 14, 159, 265]
ALPHAS = [0.0, 0.6, 1.0, 2.0]
TO_THE_LIMIT = 1000


class Arrays(NamedTuple):
    """`Hypotheses` in NumPy, their alignments given."""

    ids: np.ndarray
    scores: np.ndarray
    alignments: np.ndarray


def arrays(found: Hypotheses) -> Arrays:
    return Arrays(*(np.asarray(x) for x in found))


def run(toy: Toy, sentences: Any, limits: Any, compact: bool = True, **options: Any) -> Arrays:
    """A search in a graph whose shapes are unknown when it is made."""
    config = SearchConfig(**options)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)] * 2, autograph=False)
    def find(sentences: tf.Tensor, limits: tf.Tensor) -> Hypotheses:
        return search_steps(
            toy.problem(sentences, limits), config, LoopOptions(changing_shapes=compact)
        )

    return arrays(find(np.array(sentences, np.int32), np.array(limits, np.int32)))


def assert_found(
    hypotheses: Arrays, row: int, expected: list[Found], toy: Toy, sentence: int
) -> None:
    """Ids, scores and alignments of one sentence, the best first."""
    for n, (score, ids) in enumerate(expected):
        assert trimmed(hypotheses.ids[row, n]) == ids
        assert hypotheses.scores[row, n] == pytest.approx(score, abs=1e-4)
        alignment = hypotheses.alignments[row, n]
        np.testing.assert_allclose(
            alignment[: len(ids)], toy.alignments[toy.codes(sentence, ids)], atol=1e-6
        )
        assert (alignment[len(ids) :] == 0).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_beam_of_all_prefixes_is_enumeration(alpha: float) -> None:
    """Four pieces that go on, limit 4: up to 425 hypotheses are live or ended at once."""
    toy, limits = Toy(), [4, 3, 1, 4]
    found = run(
        toy,
        SENTENCES,
        limits,
        beam_size=425,
        n_best=5,
        length_penalty=alpha,
        lookahead=TO_THE_LIMIT,
    )
    for row, (sentence, limit) in enumerate(zip(SENTENCES, limits, strict=True)):
        assert_found(found, row, toy.exhaustive(sentence, limit, alpha)[:5], toy, sentence)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("beam_size", "n_best"), [(2, 1), (3, 3), (5, 2), (8, 8)])
def test_the_exact_stop_gives_what_a_search_to_the_limit_gives(
    beam_size: int, n_best: int, alpha: float
) -> None:
    """Against a beam search in plain Python that never stops before the limit."""
    toy, sentences = Toy(end_bias=0.5), list(range(24))
    limits = [2 + i % 7 for i in sentences]
    options: dict[str, Any] = {
        "beam_size": beam_size,
        "n_best": n_best,
        "length_penalty": alpha,
        "lookahead": TO_THE_LIMIT,
    }
    found = run(toy, sentences, limits, **options)
    lengths = set()
    for row, (sentence, limit) in enumerate(zip(sentences, limits, strict=True)):
        expected = toy.beam(sentence, limit, SearchConfig(**options))
        assert_found(found, row, expected, toy, sentence)
        lengths.add(len(expected[0].ids))
    assert len(lengths) > 2


@pytest.mark.parametrize("lookahead", [0, 1, 3])
@pytest.mark.parametrize(("beam_size", "n_best"), [(3, 1), (5, 2)])
def test_a_sentence_is_done_when_nothing_live_can_win_soon(
    beam_size: int, n_best: int, lookahead: int
) -> None:
    """Against a beam search in plain Python with the same stop, which is not always that of a
    search to the limit."""
    toy, sentences = Toy(end_bias=0.5), list(range(40))
    options: dict[str, Any] = {
        "beam_size": beam_size,
        "n_best": n_best,
        "length_penalty": 2.0,
        "lookahead": lookahead,
    }
    found = run(toy, sentences, [9] * 40, **options)
    for sentence in sentences:
        assert_found(found, sentence, toy.beam(sentence, 9, SearchConfig(**options)), toy, sentence)
    exact = run(toy, sentences, [9] * 40, **options | {"lookahead": TO_THE_LIMIT})
    assert (exact.scores[:, 0] >= found.scores[:, 0] - 1e-5).all()
    if lookahead == 0:
        assert (exact.scores[:, 0] > found.scores[:, 0] + 1e-3).any()


@pytest.mark.parametrize(("beam_size", "n_best"), [(3, 1), (6, 3)])
def test_coverage_ranks_the_beam_at_its_end(beam_size: int, n_best: int) -> None:
    """Against plain Python; scores are those with the penalty, and some sentences have another
    best translation."""
    toy, sentences, changed = Toy(end_bias=0.5), list(range(30)), 0
    limits = [2 + i % 6 for i in sentences]
    options: dict[str, Any] = {"beam_size": beam_size, "n_best": n_best, "lookahead": TO_THE_LIMIT}
    found = run(toy, sentences, limits, coverage_penalty=0.8, **options)
    plain = run(toy, sentences, limits, **options)
    for row, (sentence, limit) in enumerate(zip(sentences, limits, strict=True)):
        expected = toy.covered(sentence, limit, SearchConfig(coverage_penalty=0.8, **options))
        assert_found(found, row, expected, toy, sentence)
        changed += trimmed(found.ids[row, 0]) != trimmed(plain.ids[row, 0])
    assert changed > 2


def test_coverage_by_hand() -> None:
    """Three words read 0.5, 1.25 and 0.25 times, and a column of padding: log 0.5 + log 1 + log
    0.25."""
    alignments = np.array([[[[0.5, 0.25, 0.25, 0], [0, 1, 0, 0]]]], np.float32)
    np.testing.assert_allclose(coverage(alignments), [[np.log(0.125)]], rtol=1e-6)


def test_coverage_needs_alignments() -> None:
    toy, limits, config = Toy(), np.array([3], np.int32), SearchConfig(coverage_penalty=0.5)
    with pytest.raises(
        ValueError, match=r"`coverage_penalty` must be 0 without alignments\. Received: 0\.5"
    ):
        search_steps(toy.problem([1], limits, aligned=False), config)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_sentences_that_leave_the_batch_change_nothing(beam_size: int) -> None:
    toy, sentences = Toy(seed=4, end_bias=0.3), list(range(50, 90))
    limits = [1 + (7 * i) % 19 for i in sentences]
    options: dict[str, Any] = {"beam_size": beam_size, "n_best": min(beam_size, 3)}
    for expected, found in zip(
        run(toy, sentences, limits, compact=False, **options),
        run(toy, sentences, limits, **options),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"beam_size": 1}, {"beam_size": 3, "n_best": 2}, {"temperature": 0.7}]
)
def test_a_static_length(options: dict[str, Any]) -> None:
    """Compiled by XLA, which could not make buffers as long as limits ask for, and longer ones."""
    toy, limits, config = Toy(seed=3), np.array([4, 7, 1, 5], np.int32), SearchConfig(**options)

    def find(limits: tf.Tensor, static_length: int | None) -> Hypotheses:
        problem = toy.problem(SENTENCES, limits, keys=limits + 11)
        return search_steps(problem, config, LoopOptions(static_length=static_length))

    expected, found = (
        arrays(find(limits, None)),
        arrays(tf.function(find, jit_compile=True)(limits, 9)),
    )
    assert (expected.ids.shape[2], found.ids.shape[2]) == (7, 9)
    np.testing.assert_array_equal(found.ids[:, :, :7], expected.ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.alignments[:, :, :7], expected.alignments, atol=1e-6)
    assert not found.ids[:, :, 7:].any()
    assert not found.alignments[:, :, 7:].any()


def test_it_stops_when_nothing_live_can_win() -> None:
    toy = Toy(end_bias=12)
    problem = toy.problem(SENTENCES, np.full(4, 60, np.int32))
    found = beam_search(problem, SearchConfig(length_penalty=0.0))
    assert all(trimmed(row) == (END,) for row in found.ids[:, 0])
    assert toy.steps < 10


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_beam_of_one_is_greedy(alpha: float) -> None:
    toy, sentences, limits = Toy(), list(range(40)), 1 + np.arange(40, dtype=np.int32) % 9
    config = SearchConfig(beam_size=1, length_penalty=alpha)
    greedy = arrays(greedy_search(toy.problem(sentences, limits), config))
    beam = arrays(beam_search(toy.problem(sentences, limits), config))
    np.testing.assert_array_equal(beam.ids, greedy.ids)
    np.testing.assert_allclose(beam.scores, greedy.scores, atol=1e-5)
    np.testing.assert_allclose(beam.alignments, greedy.alignments, atol=1e-6)
    for row, sentence in enumerate(sentences):
        expected = toy.beam(sentence, int(limits[row]), config)
        assert_found(greedy, row, expected, toy, sentence)


def test_of_equally_likely_pieces_both_searches_take_the_first() -> None:
    toy = Toy()
    toy.logits[:] = -9.0
    toy.logits[:, 4:] = 1.0
    limits = np.array([3], np.int32)
    config = SearchConfig(beam_size=1)
    for search in (greedy_search, beam_search):
        found = arrays(search(toy.problem([7], limits), config))
        assert trimmed(found.ids[0, 0]) == (4, 4, 4)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_batch_is_its_sentences_one_by_one(beam_size: int) -> None:
    toy, limits = Toy(seed=2), [9, 2, 5, 1]
    batch = run(toy, SENTENCES, limits, beam_size=beam_size, n_best=beam_size)
    for row, sentence in enumerate(SENTENCES):
        alone = run(toy, [sentence], limits[row : row + 1], beam_size=beam_size, n_best=beam_size)
        room = alone.ids.shape[2]
        assert room == limits[row]
        np.testing.assert_allclose(batch.scores[row], alone.scores[0], atol=1e-5)
        real = batch.scores[row] > -1e5  # a limit of 1 leaves room for fewer hypotheses than slots
        np.testing.assert_array_equal(batch.ids[row, real, :room], alone.ids[0, real])
        np.testing.assert_allclose(
            batch.alignments[row, real, :room], alone.alignments[0, real], atol=1e-6
        )
        assert (batch.ids[row, :, room:] == 0).all()


@pytest.mark.parametrize("beam_size", [1, 6])
def test_scores_are_log_probabilities_over_the_penalty_and_limits_hold(beam_size: int) -> None:
    toy, limits = Toy(seed=5, end_bias=-2), [12, 7, 3, 1]
    found = run(
        toy, SENTENCES, limits, beam_size=beam_size, n_best=min(beam_size, 5), length_penalty=0.8
    )
    assert (np.diff(found.scores, axis=1) <= 0).all()
    for row, sentence in enumerate(SENTENCES):
        hypotheses = [trimmed(ids) for ids in found.ids[row]]
        assert len(set(hypotheses)) == len(hypotheses)
        for ids, score in zip(hypotheses, found.scores[row], strict=True):
            assert 1 <= len(ids) <= limits[row]
            assert ids[-1] == END or len(ids) == limits[row]
            assert END not in ids[:-1]
            assert score == pytest.approx(toy.score(sentence, ids, 0.8), abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_without_alignments(beam_size: int) -> None:
    toy, limits, config = Toy(), np.array([4, 5, 6, 7], np.int32), SearchConfig(beam_size=beam_size)
    plain = search_steps(toy.problem(SENTENCES, limits, aligned=False), config)
    assert plain.alignments is None
    np.testing.assert_array_equal(
        plain.ids, search_steps(toy.problem(SENTENCES, limits), config).ids
    )


@pytest.mark.parametrize("beam_size", [1, 3])
def test_padding_is_no_piece(beam_size: int) -> None:
    """Even where a step function finds it likeliest: ids are padding behind the end symbol and
    nowhere else."""
    toy = Toy()
    toy.logits[:, 0] += 40
    for row in run(toy, SENTENCES, [6, 6, 6, 6], beam_size=beam_size).ids[:, 0]:
        ids = trimmed(row)
        assert ids
        assert 0 not in ids
        assert ids[-1] == END or len(ids) == 6


@pytest.mark.parametrize("beam_size", [1, 3])
def test_eager_graph_and_xla_agree(beam_size: int) -> None:
    toy, config = Toy(seed=3), SearchConfig(beam_size=beam_size)
    limits = np.array([4, 5, 6, 2], np.int32)

    def find(sentences: Any) -> tf.Tensor:
        return search_steps(toy.problem(sentences, limits), config).ids

    expected = find(SENTENCES)
    np.testing.assert_array_equal(tf.function(find, autograph=False)(SENTENCES), expected)
    np.testing.assert_array_equal(
        tf.function(find, autograph=False, jit_compile=True)(SENTENCES), expected
    )


def continuations(logits: np.ndarray, before: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """All continuations of each sentence, the likeliest first, padding left out.

    Returns:
        Their log-probabilities, pieces and hypotheses, `[B, K (V - 1)]` each.
    """
    normal = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    sums = (before[:, :, None] + normal)[:, :, 1:].reshape(len(logits), -1)
    order = np.argsort(-sums, axis=1)
    sums = np.take_along_axis(sums, order, axis=1)
    return sums, 1 + order % (size - 1), order // (size - 1)


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("size", [2, 40, 64, 4000, 8000])
@pytest.mark.parametrize("hypotheses", [1, 5])
def test_the_likeliest_continuations(hypotheses: int, size: int, count: int) -> None:
    """Of hypotheses that all have padding for their likeliest piece."""
    random = np.random.default_rng(size)
    logits = random.normal(size=(7, hypotheses, size)).astype(np.float32)
    logits[0, 0, -count:] += 5  # neighbours, all in one chunk or two
    logits[:, :, 0] += 9
    before = random.normal(size=(7, hypotheses)).astype(np.float32)
    found = best_continuations(logits, before, count, 0)
    expected = continuations(logits, before, size)

    best, ids, slots = (np.asarray(x) for x in found)
    real = np.argsort(-best, axis=1, kind="stable")[:, : min(count, hypotheses * (size - 1))]
    for part, right in zip((best, ids, slots), expected, strict=True):
        part = np.take_along_axis(part, real, axis=1)
        np.testing.assert_allclose(part, right[:, : part.shape[1]], rtol=0, atol=2e-5)
    assert np.all(best[ids == 0] == IMPOSSIBLE)


@pytest.mark.parametrize("count", [2, 6, 21])
@pytest.mark.parametrize("size", [1, 16, 130, 997])
def test_the_likeliest_continuations_of_a_shortlist(size: int, count: int) -> None:
    """Of a length that the graph does not know; what makes it whole is never among them."""
    random = np.random.default_rng(size)
    listed = np.sort(random.choice(np.arange(1, 2000), size, replace=False))
    allowed = random.random((7, size)) < 0.8
    allowed[0] = True
    pieces, known = (np.asarray(x) for x in whole_chunks(listed, allowed, count, 0))
    np.testing.assert_array_equal(pieces[:size], listed)
    np.testing.assert_array_equal(known[:, :size], allowed)
    assert not pieces[size:].any()
    assert not known[:, size:].any()
    assert len(pieces) % SHORTLIST_CHUNK == 0
    assert max(size, 16 * count) <= len(pieces) < max(size + 16, 16 * count + 1)

    logits = random.normal(size=(7, 3, len(pieces))).astype(np.float32)
    logits[0, 0, size // 2 : size // 2 + count] += 5
    logits[:, :, size:] = IMPOSSIBLE
    before = random.normal(size=(7, 3)).astype(np.float32)
    signature = [tf.TensorSpec([None, 3, None], tf.float32), tf.TensorSpec([None, 3], tf.float32)]

    @tf.function(input_signature=signature, autograph=False)
    def search(logits: tf.Tensor, before: tf.Tensor) -> tuple:
        return best_continuations(logits, before, count - 1, 0, pieces)

    best, ids, slots = (np.asarray(x) for x in search(logits, before))
    padded = np.concatenate([np.full((7, 3, 1), IMPOSSIBLE), logits[:, :, :size]], axis=2)
    expected = continuations(padded, before, size + 1)
    number = min(count + 2, 3 * size)
    np.testing.assert_allclose(best[:, :number], expected[0][:, :number], rtol=0, atol=2e-5)
    np.testing.assert_array_equal(ids[:, :number], listed[expected[1][:, :number] - 1])
    np.testing.assert_array_equal(slots[:, :number], expected[2][:, :number])
    assert np.all(best[:, number:] == IMPOSSIBLE)
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        search(np.zeros((2, 3, len(pieces) + 8), np.float32), before[:2])  # half a chunk more


@pytest.mark.parametrize("size", [40, 4000])
def test_logits_and_hypotheses_that_are_impossible(size: int) -> None:
    """A hypothesis that is out stays out, and one whose pieces all are is not the better for it."""
    random = np.random.default_rng(1)
    logits = random.normal(size=(3, 2, size)).astype(np.float32)
    before = np.array([[-2, -3], [-2, IMPOSSIBLE], [-2, -20]], np.float32)
    logits[1, 0, 5:] = -np.inf
    logits[2, 1] = IMPOSSIBLE
    best, ids, slots = (np.asarray(x) for x in best_continuations(logits, before, 4, 0))
    expected = continuations(logits[:1], before[:1], size)
    real = ids[0] != 0
    np.testing.assert_array_equal(ids[0, real], expected[1][0, : real.sum()])

    possible = best > IMPOSSIBLE / 2
    assert sorted(ids[1, possible[1]].tolist()) == [1, 2, 3, 4]
    shares = np.exp(logits[1, 0, :5])
    found = np.exp(best[1, possible[1]] - before[1, 0]).sum()
    assert found == pytest.approx(shares[1:].sum() / shares.sum(), rel=1e-5)
    assert not slots[1:][possible[1:]].any()
    assert np.all(best[2] <= before[2, 0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_logits_of_low_precision_are_summed_in_float32(dtype: str) -> None:
    logits = tf.cast(np.random.default_rng(2).normal(size=(2, 3, 400)), dtype)
    before = np.zeros((2, 3), np.float32)
    found = best_continuations(logits, before, 5, 0)
    expected = continuations(np.asarray(tf.cast(logits, tf.float32)), before, 400)
    np.testing.assert_allclose(found.log_probabilities[:, :5], expected[0][:, :5], atol=1e-5)


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("shape", [(None, None), (None, 6)])
def test_a_step_whose_shapes_a_graph_does_not_know(beam_size: int, shape: tuple) -> None:
    """As those of a step of one's own may be."""
    toy = Toy(3, end_bias=1.0)
    config = SearchConfig(beam_size=beam_size)

    @tf.function(autograph=False)
    def search(forget: bool) -> tuple:
        problem = toy.problem(np.array([3, 14]), np.array([6, 6], np.int32))

        def step(*inputs: Any) -> tuple:
            logits, state, alignment = toy.step(*inputs)
            return tf.compat.v1.placeholder_with_default(logits, (None, *shape)), state, alignment

        return search_steps(problem._replace(step=step) if forget else problem, config)[:2]

    for found, expected in zip(search(True), search(False), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_length_penalty_by_hand() -> None:
    """Wu et al. (2016), Eq. 14."""
    np.testing.assert_allclose(length_penalty(np.array([1, 7, 13]), 1.0), [1, 2, 3])
    np.testing.assert_allclose(length_penalty(np.array([1, 7, 19]), 0.5), [1, 2**0.5, 2])
    np.testing.assert_allclose(length_penalty(np.array([1, 7, 19]), 0.0), [1, 1, 1])


def test_maximum_lengths_follow_the_words_and_not_the_padding() -> None:
    source = np.array([[5, 6, 7, 3, 0, 0], [3, 0, 0, 0, 0, 0]])
    config = SearchConfig(maximum_length_ratio=1.5, maximum_length_extra=2)
    np.testing.assert_array_equal(longest_translations(source, config, 0), [8, 3])
    np.testing.assert_array_equal(longest_translations(source[:, :4], config, 0), [8, 3])


@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.5, 2.0])
def test_a_static_length_holds_every_translation_of_a_width(ratio: float) -> None:
    config = SearchConfig(maximum_length_ratio=ratio, maximum_length_extra=2)
    source = np.full((1, 7), 5)
    assert longest_translation(7, config) == math.ceil(7 * ratio) + 2
    assert longest_translation(7, config) >= int(longest_translations(source, config, 0)[0])
