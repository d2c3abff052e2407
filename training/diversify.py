"""`python -m training.diversify --forward-run A --backward-run B --output F`: a corpus and its own translations."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from attention_nmt.config import require
from attention_nmt.run_folder import RunFolder, atomic_write
from attention_nmt.translations import one_line
from attention_nmt.translator import Translator
from training.command import command
from training.data import Corpus

Pair = tuple[str, str]

CHUNK = 10_000
"""After so many texts a line says how far it is."""


@dataclass(frozen=True)
class DiversifyConfig:
    """Which models translate what one of them was trained on.

    Attributes:
        forward_run: a trained run folder; its corpus is what is diversified.
        backward_run: a trained run folder of the other direction.
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.
    """

    forward_run: Path
    backward_run: Path
    output: Path


def translations(run: Path, texts: Sequence[str]) -> Iterator[str]:
    """What the run's model makes of texts, by the run's search."""
    search = RunFolder(run).read_search(n_best=1, temperature=0.0)
    translator = Translator.from_run(run, search).frozen()
    for begin in range(0, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        for translation in translator(chunk, alignments=False):
            yield one_line(translation.text)
        print(f"{run}: {begin + len(chunk)} of {len(texts)}", flush=True)


def new_pairs(known: set[Pair], pairs: Iterator[Pair]) -> list[Pair]:
    """The pairs that are not known yet, each once, both of whose sides say something."""
    return [pair for pair in dict.fromkeys(pairs) if pair not in known and pair[0].strip() and pair[1].strip()]


def write_split(output: Path, corpus: Corpus, split: str, pairs: Sequence[Pair]) -> None:
    """Writes both sides of a split."""
    for side, language in enumerate((corpus.source, corpus.target)):
        with atomic_write(output / f"{language}.{split}.txt") as temporary:
            temporary.write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8", newline="\n")


def diversify(config: DiversifyConfig) -> None:
    """Writes the corpus with its sources translated forwards, and its targets translated backwards, behind it.

    Raises:
        ValueError: `output` holds something, the runs are not two directions of one pair, or the data is at fault.
        FileNotFoundError: a run folder is not complete.

    Source: Nguyen et al. (2020), arXiv 1911.01986, with one model of each direction and one round.
    """
    empty = not config.output.exists() or (config.output.is_dir() and not any(config.output.iterdir()))
    require(empty, "output", "an empty folder, or nothing yet", str(config.output))
    corpus, run = Corpus.of_run(config.forward_run), RunFolder(config.forward_run).read_config()
    corpus.check_reverse("backward_run", config.backward_run)
    train, dev = run["train_split"], run["dev_split"] or corpus.dev_split()
    sources, targets = ([one_line(text) for text in texts] for texts in corpus.texts(train))
    original = list(zip(sources, targets, strict=True))
    forward = new_pairs(set(original), zip(sources, translations(config.forward_run, sources), strict=True))
    print(f"{len(original)} pairs; {len(forward)} new ones by {config.forward_run}", flush=True)
    known = {*original, *forward}
    backward = new_pairs(known, zip(translations(config.backward_run, targets), targets, strict=True))
    print(f"and {len(backward)} by {config.backward_run}.", flush=True)
    dev_pairs = [(one_line(source), one_line(target)) for source, target in zip(*corpus.texts(dev), strict=True)]
    write_split(config.output, corpus, dev, dev_pairs)
    write_split(config.output, corpus, train, [*original, *forward, *backward])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `command`."""
    return command(DiversifyConfig, "training.diversify", arguments, diversify)


if __name__ == "__main__":
    sys.exit(main())
