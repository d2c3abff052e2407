"""A search with a `Seq2Seq`."""

from __future__ import annotations

from typing import Any

from attention_nmt.config import SearchConfig
from attention_nmt.models.seq2seq import SearchWeights, Seq2Seq
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.noise import sentence_keys
from attention_nmt.search.search import maximum_lengths, search
from attention_nmt.types import Tensor

MAXIMUM_WORDS_BYTES = 2**28
"""The most memory for products of all words: 256 MiB are 33,000 pieces with 512 decoder and 256
readout units."""


def search_model(
    model: Seq2Seq,
    source: Tensor,
    config: SearchConfig,
    alignments: bool = True,
    compact: bool = True,
    weights: SearchWeights | None = None,
    longest: int | None = None,
) -> Hypotheses:
    """Searches what a model makes of source ids `[B, S]`.

    Args:
        alignments: faster without.
        compact, longest: as in `decoding.search`.
        weights: the model's `search_weights`, where it does not train any more.
    """
    memory, state = model.start(source)
    if (
        weights is None and compact
    ):  # LiteRT lays kernels out for itself, and would hold this one twice
        weights = model.search_weights(maximum_words_bytes=0)

    covers = config.coverage_penalty > 0 and config.beam_size > 1
    aligns = alignments or covers

    def step(ids: Tensor, state: Any, memory: Any) -> tuple:
        logits, state, alignment = model.step(ids, state, memory, weights)
        return logits, state, alignment if aligns else None

    keys = sentence_keys(source) if config.temperature else None
    found = search(
        step, state, memory, maximum_lengths(source, config), config, compact, keys, longest
    )
    return found if alignments else found._replace(alignments=None)
