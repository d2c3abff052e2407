"""Alignment error rates of the layers and heads of a Transformer: the command `alignment-heads`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from attention_nmt.checks import require
from attention_nmt.command import run_command

from ..texts_choice import TextsChoice

if TYPE_CHECKING:
    from attention_nmt.models.seq2seq import Seq2Seq
    from attention_nmt.translation.translator import Translator

    from ..alignment.gold import GoldPair
    from ..data import Corpus


class HeadRates(NamedTuple):
    """The alignment error rates, in percent, of a layer's heads."""

    layer: int
    heads: tuple[int, ...]  # whose mean is the alignment; all, if there are none
    same: float  # while a piece is written
    later: float  # one step later


@dataclass(frozen=True, kw_only=True)
class AlignmentHeadsConfig(TextsChoice):
    """Compares the layers and heads of a Transformer decoder with gold links: a table.

    Attributes:
        split: the split with the links, which lie beside its texts in a folder.

    Raises:
        ValueError: there is no model.
    """

    split: str = "test"


def compare(config: AlignmentHeadsConfig) -> list[HeadRates]:
    """The rates of each layer, all heads and each of them, by forced decoding.

    Raises:
        ValueError: the model has no Transformer decoder, the split has no gold links, or the
            corpus is not of the model's direction.
    """
    from attention_nmt.translation.translator import Translator

    from ..alignment.gold import gold_pairs
    from ..model_texts import corpus_to_translate

    stored = config.open()
    corpus = corpus_to_translate(stored, config.texts)
    gold = gold_pairs(corpus, config.split)
    if not gold:
        raise ValueError(f"`split` must be one with gold links. Received: {config.split!r}.")

    translator = Translator.from_stored(stored)
    of_heads = getattr(translator.model, "aligned_by", None)
    require(of_heads is not None, "model", "a Seq2Seq", type(translator.model).__name__)
    return list(_rates(translator, gold, corpus, config.split))


def _rates(
    translator: Translator, gold: Sequence[GoldPair], corpus: Corpus, split: str
) -> Iterator[HeadRates]:
    from attention_nmt.translation.translator import Translator

    from ..alignment.attention_links import error_rates

    sources, targets = corpus.texts(split)
    model = cast("Seq2Seq", translator.model)
    for layer, heads in _choices(model):
        other = Translator(
            model.aligned_by(layer, heads),
            translator.source_tokenizer,
            target_tokenizer=translator.target_tokenizer,
        )
        rates = error_rates(other, gold, sources, targets)
        require("AER" in rates, "split", "of pairs whose words the tokenizers spell", split)
        yield HeadRates(layer, heads, same=rates["AER"], later=rates["AER later"])


def _choices(model: Seq2Seq) -> list[tuple[int, tuple[int, ...]]]:
    """Each layer with all heads, and with each of them."""
    heads = [(), *((head,) for head in range(model.config.transformer.heads))]
    layers = range(model.config.decoder_layers)
    return [(layer, chosen) for layer in layers for chosen in heads]


def table(rates: Sequence[HeadRates]) -> str:
    """The rates in Markdown, the best of each column in bold."""
    rows = ["| layer | heads | AER | one step later |", "|---|---|---|---|"]
    best = [min(getattr(one, name) for one in rates) for name in ("same", "later")]
    for one in rates:
        heads = ", ".join(map(str, one.heads)) or "all"
        values = zip((one.same, one.later), best, strict=True)
        cells = [f"**{rate:.2f}**" if rate == least else f"{rate:.2f}" for rate, least in values]
        rows.append(f"| {one.layer} | {heads} | {' | '.join(cells)} |")
    return "\n".join(rows)


def run(config: AlignmentHeadsConfig) -> None:
    """Compares, and prints the table."""
    print(table(compare(config)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        AlignmentHeadsConfig,
        run,
        arguments,
        prog="attention-nmt alignment-heads",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
