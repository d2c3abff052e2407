"""A corpus and variations of its pairs, as a new corpus: the command `vary`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from attention_nmt.command import run_command

from .corpus_choice import CorpusChoice


@dataclass(frozen=True, kw_only=True)
class VaryConfig(CorpusChoice):
    """Writes a corpus with variations of its training pairs behind it, as people type them.

    Some pairs come again without their last stop, with typographic quotes in the source, with other
    numbers and with other first names. The dev split is written as it is.
    """


def vary(config: VaryConfig) -> None:
    """Writes the corpus.

    Raises:
        ValueError: `output` holds something, or the data is at fault.
        OSError: `output` cannot be written.
    """
    from .new_corpus import add_new, write_folder
    from .variations import varied

    corpus, train, dev = config.read()
    known = dict.fromkeys(train.pairs)
    distinct = len(known)
    print(f"{len(train.pairs)} pairs", flush=True)
    print(f"and {add_new(known, varied(train.pairs, config.seed))} variations", flush=True)

    pairs = [*train.pairs, *list(known)[distinct:]]
    write_folder(config.output.resolve(), corpus.languages, train._replace(pairs=pairs), dev)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    return run_command(
        VaryConfig,
        vary,
        arguments,
        prog="attention-nmt vary",
        imports=["tensorflow", "tensorflow_text"],
    )


if __name__ == "__main__":
    sys.exit(main())
