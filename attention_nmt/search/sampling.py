"""Sampling: translations drawn piece by piece."""

from __future__ import annotations

from keras import ops, tree

from attention_nmt.backend import select
from attention_nmt.checks import require
from attention_nmt.config import SearchConfig
from attention_nmt.search.greedy import extend_each
from attention_nmt.search.hypotheses import Hypotheses, Problem, first_ids
from attention_nmt.search.loop import PLAIN, LoopOptions
from attention_nmt.search.noise import drawn_pieces, gumbel
from attention_nmt.types import Tensor


def sample(problem: Problem, config: SearchConfig, options: LoopOptions = PLAIN) -> Hypotheses:
    """Draws `beam_size` translations of each sentence, and gives the `n_best` likeliest.

    A piece is drawn from `softmax(logits / temperature)`. Scores are those of temperature 1.

    Args:
        problem: the sentences and the step, with the sentences' keys.
        config: its temperature is above 0.
        options: how the loop runs.

    Raises:
        ValueError: the problem has no keys, or logits of some pieces.
    """
    whole = problem.pieces is None
    require(whole, "pieces", "left out with a temperature", problem.pieces)
    expected = "numbers of the sentences with a temperature"
    has_keys = problem.sentence_keys is not None
    require(has_keys, "sentence_keys", expected, problem.sentence_keys)
    samples = config.beam_size

    def draw(logits: Tensor, position: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        noise = gumbel(keys, config.sampling_seed, samples, position, logits.shape[-1])
        return drawn_pieces(logits, noise, config.temperature, problem.special.pad)

    start = ops.repeat(first_ids(problem), samples, axis=1)
    state = tree.map_structure(
        lambda x: ops.repeat(x, samples, axis=1) if len(x.shape) else x, problem.state
    )
    found = extend_each(problem._replace(state=state), draw, start, config, options)
    scores, order = ops.top_k(found.scores, config.n_best)
    alignments = found.alignments
    if alignments is not None:
        alignments = select(alignments, order)
    return Hypotheses(select(found.ids, order), scores, alignments)
