"""Shortlists from the alignments of a trained model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from attention_nmt.checks import require
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.files import make_folder
from attention_nmt.search.shortlist import LARGEST, Shortlist, tokenizers_sha256
from attention_nmt.translation.translator import Translator

from .data import DataError, text_chunks
from .mixture import Mixture
from .model_texts import mixture_to_translate
from .shortlist import ShortlistConfig

BATCH = 64
"""Sentences that are translated together, for `Coverage`."""

SAMPLE = 5000
"""The most pairs on which the coverage of a shortlist is measured."""

SMALLEST_WEIGHT = 0.02
"""The least weight of attention that counts as a link."""


class Links(NamedTuple):
    """How much target pieces read source pieces, added up over pairs; each couple stands once."""

    source: np.ndarray  # [N] ids
    target: np.ndarray  # [N] ids
    weights: np.ndarray  # [N]
    left_out: int  # pairs


def make(config: ShortlistConfig) -> None:
    """Writes the shortlist of a model, and prints its size.

    Raises:
        ValueError: the model has no attention, or the data is at fault.
        OSError: a file cannot be read or written.
    """
    stored = config.open()
    require(not config.output.is_dir(), "output", "a file", str(config.output))
    translator = Translator.from_stored(stored)
    require(translator.model.aligns, "model", "one that aligns", "one without attention")
    rows = translator.source_tokenizer.vocabulary_size
    most = LARGEST // rows - 1
    expected = f"at most {most}, a table of {LARGEST:,} numbers for {rows:,} source pieces"
    require(config.pieces <= most, "pieces", expected, config.pieces)
    texts = mixture_to_translate(stored, config.texts)
    make_folder(config.output.resolve().parent)

    found = count_links(translator, text_chunks(texts.pairs(config.split)))
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

    left_out = f"; {found.left_out} pairs left out" if found.left_out else ""
    print(f"{config.output}: {len(shortlist.usual)} usual pieces{left_out}")
    print(_said(shortlist, translator, texts, config.split))


def _said(shortlist: Shortlist, translator: Translator, texts: Mixture, split: str) -> str:
    """What the shortlist leaves of a dev split, or of the one that it was made of."""
    with contextlib.suppress(DataError):
        split = texts.first.dev_split()
    sample = texts.first.pairs(split).take(SAMPLE)
    found = coverage(shortlist, translator, text_chunks(sample))
    share = f"{100 * found.share:.2f} % of the target pieces of {split}"
    return f"{share}; {found.alone:.0f} pieces for a sentence, {found.together:.0f} for {BATCH}"


class Coverage(NamedTuple):
    """What a shortlist leaves of pairs."""

    share: float  # of the target pieces that are allowed
    alone: float  # pieces of a sentence's list
    together: float  # pieces of the lists of `BATCH` sentences of about one length


def coverage(
    shortlist: Shortlist, translator: Translator, chunks: Iterable[Sequence[Sequence[str]]]
) -> Coverage:
    """What a shortlist leaves of given pairs.

    Args:
        shortlist: the shortlist.
        translator: of its model.
        chunks: the sources and the targets of some pairs at a time.
    """
    limit = translator.search.maximum_source_length
    there, pieces = 0, 0
    alone: list[int] = []
    together: list[int] = []
    for sources, targets in chunks:
        read = translator.source_tokenizer.source_ids(sources, limit)
        written = translator.target_tokenizer.encode(targets)
        rows = sorted(zip(read, written, strict=True), key=lambda row: len(row[0]))
        for begin in range(0, len(rows), BATCH):
            batch = rows[begin : begin + BATCH]
            lists = [_allowed(shortlist, ids) for ids, _ in batch]
            alone += map(len, lists)
            together.append(len(set().union(*lists)))
            for allowed, (_, ids) in zip(lists, batch, strict=True):
                there += sum(piece in allowed for piece in ids)
                pieces += len(ids)

    return Coverage(
        share=there / max(1, pieces),
        alone=float(np.mean(alone)),
        together=float(np.mean(together)),
    )


def _allowed(shortlist: Shortlist, source_ids: Sequence[int]) -> set[int]:
    """The pieces that a source may become."""
    candidates = shortlist.candidates[list(source_ids)].ravel().tolist()
    return {*shortlist.usual.tolist(), *candidates} - {0}


def count_links(translator: Translator, chunks: Iterable[Sequence[Sequence[str]]]) -> Links:
    """The links of attention in pairs, by forced decoding.

    Left out are pairs whose target has more pieces than a source may have, and texts that are no
    valid Unicode.

    Args:
        translator: of a model that aligns.
        chunks: the sources and the targets of some pairs at a time.
    """
    size = translator.target_tokenizer.vocabulary_size
    couples = [np.zeros(0, np.int64)]
    weights: list[np.ndarray] = [np.zeros(0)]
    left_out = 0
    for sources, targets in chunks:
        found = list(_pair_links(translator, sources, targets))
        left_out += len(sources) - len(found)
        couples += [one for one, _ in found]
        weights += [weight for _, weight in found]
        # So rarely that adding up takes as long for each pair, however many there are.
        if sum(map(len, couples[1:])) > len(couples[0]):
            couples, weights = _added_up(couples, weights)

    (keys,), (total,) = _added_up(couples, weights)
    return Links(keys // size, keys % size, total, left_out)


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
    written = translator.target_tokenizer.encode(targets)
    short = [index for index, ids in enumerate(written) if len(ids) < limit]
    sources = [sources[index] for index in short]
    targets = [targets[index] for index in short]

    read = translator.source_tokenizer.source_ids(sources, limit)
    found = translator.align(sources, targets)
    for source_ids, index, alignment in zip(read, short, found, strict=True):
        target_ids = [*written[index], end]
        couples = np.add.outer(target_ids, size * np.asarray(source_ids, np.int64))
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
    rows = source_tokenizer.vocabulary_size

    totals = np.bincount(links.source, links.weights, minlength=rows)
    order = np.lexsort((-links.weights, links.source))
    source = links.source[order]
    first = np.searchsorted(source, source)  # where the links of each source piece begin
    rank = np.arange(len(source)) - first
    chosen = (rank < pieces) & (links.weights[order] >= share * totals[source])
    candidates = np.full((rows, 2 + rank[chosen].max(initial=-1)), pad, np.int32)
    candidates[:, 0] = _spelled_alike(source_tokenizer, target_tokenizer, pad)
    candidates[source[chosen], 1 + rank[chosen]] = links.target[order][chosen]

    written = np.bincount(links.target, links.weights, minlength=size)
    frequent = np.argsort(-written, kind="stable")[:usual]
    tokenizers = tokenizers_sha256(source_tokenizer, target_tokenizer)
    return Shortlist(candidates, np.unique([end, *frequent]), size, tokenizers)


def _spelled_alike(source: SourceTokenizer, target: Tokenizer, pad: int) -> list[int]:
    """For each source piece the target piece that is spelled like it, or padding."""
    ids = {token: i for i, token in enumerate(target.tokens(range(target.vocabulary_size)))}
    tokens: Iterable[str] = source.tokens(range(source.vocabulary_size))
    special = {*target.tokens(target.special)}
    return [pad if token in special else ids.get(token, pad) for token in tokens]
