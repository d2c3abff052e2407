"""Shortlists from the alignments of a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from attention_nmt.checks import require
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.translation.translator import Translator

from .data import Corpus
from .evaluation import corpus_to_translate
from .shortlist import ShortlistConfig

CHUNK = 2000
"""The number of pairs that are aligned before their links are counted."""

SMALLEST_WEIGHT = 0.02
"""The least weight of attention that counts as a link."""


class Links(NamedTuple):
    """How much target pieces read source pieces, added up over pairs; each couple stands once."""

    source: np.ndarray  # [N] ids
    target: np.ndarray  # [N] ids
    weights: np.ndarray  # [N]


def make(config: ShortlistConfig) -> None:
    """Writes the shortlist of a model, and prints its size.

    Raises:
        ValueError: the model has no attention, or the data is at fault.
        OSError: a file cannot be read or written.
    """
    stored = config.open()
    given = {name: getattr(config, name) for name in ("dataset", "source", "target", "data_dir")}
    corpus = corpus_to_translate(stored, **given)
    translator = Translator.from_stored(stored)
    require(translator.model.aligns, "model", "one that aligns", "one without attention")

    found = count_links(translator, *_texts(corpus, config.split))
    shortlist = choose(
        found,
        translator.source_tokenizer,
        translator.target_tokenizer,
        pieces=config.pieces,
        share=config.share,
        usual=config.usual,
    )
    shortlist.save(config.output)

    mean = np.count_nonzero(shortlist.candidates) / len(shortlist.candidates)
    usual = len(shortlist.usual)
    print(f"{config.output}: {mean:.1f} pieces for a source piece, {usual} usual ones")


def _texts(corpus: Corpus, split: str) -> tuple[list[str], list[str]]:
    sources, targets = corpus.texts(split)
    require(len(sources) > 0, "split", "one with pairs", split)
    return sources, targets


def count_links(translator: Translator, sources: Sequence[str], targets: Sequence[str]) -> Links:
    """The links of attention in pairs, by forced decoding.

    Args:
        translator: of a model that aligns.
        sources: one text a pair.
        targets: one text a pair.
    """
    size = translator.target_tokenizer.vocabulary_size
    keys = np.zeros(0, np.int64)
    weights: np.ndarray = np.zeros(0)
    for begin in range(0, len(sources), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        new = list(_pair_links(translator, sources[chunk], targets[chunk]))
        keys = np.concatenate([keys, *(one for one, _ in new)])
        weights = np.concatenate([weights, *(one for _, one in new)])
        keys, places = np.unique(keys, return_inverse=True)
        weights = np.bincount(places, weights, minlength=len(keys))
    return Links(keys // size, keys % size, weights)


def _pair_links(
    translator: Translator, sources: Sequence[str], targets: Sequence[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The links of each pair: the numbers of couples of pieces, and their weights."""
    size = translator.target_tokenizer.vocabulary_size
    end = translator.target_tokenizer.special.end
    limit = translator.search.maximum_source_length
    read = translator.source_tokenizer.source_ids(sources, limit)
    written = translator.target_tokenizer.encode(targets)
    found = translator.align(sources, targets)
    for source_ids, target_ids, alignment in zip(read, written, found, strict=True):
        couples = np.add.outer([*target_ids, end], size * np.asarray(source_ids, np.int64))
        if couples.shape == alignment.weights.shape:  # not of a text that is no valid Unicode
            linked = alignment.weights >= SMALLEST_WEIGHT
            yield couples[linked], alignment.weights[linked]


def choose(
    links: Links,
    source_tokenizer: SourceTokenizer,
    target_tokenizer: Tokenizer,
    *,
    pieces: int,
    share: float,
    usual: int,
) -> Shortlist:
    """The shortlist of links.

    A source piece may become the target pieces that it is linked with most, and the one of the same
    letters, as in names.

    Args:
        links: from `count_links`.
        source_tokenizer: the tokenizer of the source.
        target_tokenizer: the tokenizer of the target.
        pieces: the most target pieces of a source piece, beside the one of the same letters.
        share: the least share of a source piece's links that a target piece has.
        usual: the number of frequent target pieces that are always there, beside the end symbol.
    """
    size = target_tokenizer.vocabulary_size
    pad, _, _, end = target_tokenizer.special
    candidates = np.full((source_tokenizer.vocabulary_size, pieces + 1), pad, np.int32)
    candidates[:, 0] = _same_letters(source_tokenizer, target_tokenizer, pad)

    totals = np.bincount(links.source, links.weights, minlength=len(candidates))
    order = np.lexsort((-links.weights, links.source))
    source = links.source[order]
    first = np.searchsorted(source, source)  # where the links of each source piece begin
    rank = np.arange(len(source)) - first
    chosen = (rank < pieces) & (links.weights[order] >= share * totals[source])
    candidates[source[chosen], 1 + rank[chosen]] = links.target[order][chosen]

    written = np.bincount(links.target, links.weights, minlength=size)
    frequent = np.argsort(-written, kind="stable")[:usual]
    return Shortlist(candidates, np.unique([end, *frequent]), size)


def _same_letters(source: SourceTokenizer, target: Tokenizer, pad: int) -> list[int]:
    """For each source piece the target piece of the same letters, or padding."""
    ids = {token: i for i, token in enumerate(target.tokens(range(target.vocabulary_size)))}
    tokens: Iterable[str] = source.tokens(range(source.vocabulary_size))
    special = {*target.tokens(target.special)}
    return [pad if token in special else ids.get(token, pad) for token in tokens]
