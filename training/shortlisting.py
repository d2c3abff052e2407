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

from .data import Corpus, DataError
from .evaluation import corpus_to_translate
from .shortlist import ShortlistConfig

CHUNK = 2000
"""The number of pairs that are aligned before their links are counted."""

BATCH = 64
"""Sentences that are translated together, for `Coverage`."""

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
    translator = Translator.from_stored(stored)
    require(translator.model.aligns, "model", "one that aligns", "one without attention")
    given = {name: getattr(config, name) for name in ("dataset", "source", "target", "data_dir")}
    corpus = corpus_to_translate(stored, **given)

    try:
        split = corpus.dev_split()
    except DataError:
        split = config.split

    found = count_links(translator, *_texts(corpus, config.split))
    expected = "one with pairs that the tokenizers can read"
    require(len(found.weights) > 0, "split", expected, config.split)
    shortlist = choose(
        found,
        translator.source_tokenizer,
        translator.target_tokenizer,
        pieces=config.pieces,
        share=config.share,
        usual=config.usual,
    )
    shortlist.save(config.output)

    print(f"{config.output}: {len(shortlist.usual)} usual pieces")
    print(_said(shortlist, translator, corpus, split))


def _said(shortlist: Shortlist, translator: Translator, corpus: Corpus, split: str) -> str:
    """What the shortlist leaves of a split."""
    found = coverage(shortlist, translator, *_texts(corpus, split))
    share = f"{100 * found.share:.2f} % of the target pieces of {split}"
    return f"{share}; {found.alone:.0f} pieces for a sentence, {found.together:.0f} for {BATCH}"


class Coverage(NamedTuple):
    """What a shortlist leaves of pairs."""

    share: float  # of the target pieces that are allowed
    alone: float  # pieces of a sentence's list
    together: float  # pieces of the lists of `BATCH` sentences of about one length


def coverage(
    shortlist: Shortlist, translator: Translator, sources: Sequence[str], targets: Sequence[str]
) -> Coverage:
    """What a shortlist leaves of given pairs."""
    limit = translator.search.maximum_source_length
    read = translator.source_tokenizer.source_ids(sources, limit)
    usual = set(shortlist.usual.tolist())
    lists = [usual.union(shortlist.candidates[ids].ravel().tolist()) for ids in read]

    written = translator.target_tokenizer.encode(targets)
    there = sum(piece in one for one, ids in zip(lists, written, strict=True) for piece in ids)
    order = sorted(range(len(read)), key=lambda index: len(read[index]))
    batches = [order[begin : begin + BATCH] for begin in range(0, len(order), BATCH)]
    together = [len(set().union(*(lists[index] for index in batch))) for batch in batches]
    return Coverage(
        share=there / max(1, sum(map(len, written))),
        alone=float(np.mean([len(one) for one in lists])),
        together=float(np.mean(together)),
    )


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
    couples = [np.zeros(0, np.int64)]
    weights: list[np.ndarray] = [np.zeros(0)]
    for begin in range(0, len(sources), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        for one, weight in _pair_links(translator, sources[chunk], targets[chunk]):
            couples.append(one)
            weights.append(weight)
        # So rarely that adding up takes as long for each pair, however many there are.
        if sum(map(len, couples[1:])) > len(couples[0]):
            couples, weights = _added_up(couples, weights)

    (keys,), (total,) = _added_up(couples, weights)
    return Links(keys // size, keys % size, total)


def _added_up(
    couples: list[np.ndarray], weights: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Each couple once, with the sum of its weights."""
    keys, places = np.unique(np.concatenate(couples), return_inverse=True)
    return [keys], [np.bincount(places, np.concatenate(weights), minlength=len(keys))]


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

    A source piece may become the target pieces that it is linked with most, and the one that is
    spelled as it is, as in names; the pieces of some pretrained encoders are spelled otherwise.

    Args:
        links: from `count_links`.
        source_tokenizer: the tokenizer of the source.
        target_tokenizer: the tokenizer of the target.
        pieces: the most target pieces of a source piece, beside the one that is spelled like it.
        share: the least share of a source piece's links that a target piece has.
        usual: the number of frequent target pieces that are always there, beside the end symbol.
    """
    size = target_tokenizer.vocabulary_size
    pad, _, _, end = target_tokenizer.special
    candidates = np.full((source_tokenizer.vocabulary_size, pieces + 1), pad, np.int32)
    candidates[:, 0] = _spelled_alike(source_tokenizer, target_tokenizer, pad)

    totals = np.bincount(links.source, links.weights, minlength=len(candidates))
    order = np.lexsort((-links.weights, links.source))
    source = links.source[order]
    first = np.searchsorted(source, source)  # where the links of each source piece begin
    rank = np.arange(len(source)) - first
    chosen = (rank < pieces) & (links.weights[order] >= share * totals[source])
    candidates[source[chosen], 1 + rank[chosen]] = links.target[order][chosen]
    candidates = candidates[:, : 2 + rank[chosen].max(initial=-1)]  # no columns of padding alone

    written = np.bincount(links.target, links.weights, minlength=size)
    frequent = np.argsort(-written, kind="stable")[:usual]
    return Shortlist(candidates, np.unique([end, *frequent]), size)


def _spelled_alike(source: SourceTokenizer, target: Tokenizer, pad: int) -> list[int]:
    """For each source piece the target piece that is spelled like it, or padding."""
    ids = {token: i for i, token in enumerate(target.tokens(range(target.vocabulary_size)))}
    tokens: Iterable[str] = source.tokens(range(source.vocabulary_size))
    special = {*target.tokens(target.special)}
    return [pad if token in special else ids.get(token, pad) for token in tokens]
