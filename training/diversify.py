"""`python -m training.diversify --forward-runs A --backward-runs B --output F`: a corpus and its
own translations."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from attention_nmt.checks import require
from attention_nmt.command import command
from attention_nmt.files import atomic_write, one_line
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .data import DEV_SPLITS, Corpus

Pair = tuple[str, str]

CHUNK = 10_000
"""After so many texts a line says how far it is."""


@dataclass(frozen=True)
class DiversifyConfig:
    """Which models translate what the first of them was trained on.

    Attributes:
        forward_runs: trained run folders of one direction; the corpus of the first is what is
        diversified. backward_runs: trained run folders of the other direction.
        output: the folder of `LANG.SPLIT.txt` files to write, of the training and the dev split.
    """

    forward_runs: tuple[Path, ...]
    backward_runs: tuple[Path, ...]
    output: Path

    def __post_init__(self) -> None:
        for name in ("forward_runs", "backward_runs"):
            require(
                len(getattr(self, name)) >= 1, name, "at least one run folder", getattr(self, name)
            )


def translations(run: Path, texts: Sequence[str]) -> Iterator[str]:
    """What the run's model makes of texts, by the run's search; nothing of one that is too long
    for it."""
    search = RunFolder(run).read_search(n_best=1, temperature=0.0)
    translator = Translator.from_run(run, search).frozen()
    for begin in range(0, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        for translation in translator(chunk, alignments=False):
            yield "" if translation.truncated else one_line(translation.text)
        print(f"{run}: {begin + len(chunk)} of {len(texts)}", flush=True)


def add_new(pairs: dict[Pair, None], made: Iterator[Pair]) -> int:
    """Adds pairs that are not there yet and whose sides both say something; how many.

    Args:
        pairs: what is there, in the order in which it was added.
    """
    before = len(pairs)
    pairs.update((pair, None) for pair in made if pair[0].strip() and pair[1].strip())
    return len(pairs) - before


def write_folder(output: Path, corpus: Corpus, splits: Mapping[str, Sequence[Pair]]) -> None:
    """Writes both sides of all splits into a new folder, which is there when they all are."""
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as name:
        Path(name).chmod(0o755)
        for split, pairs in splits.items():
            for side, language in enumerate((corpus.source, corpus.target)):
                with atomic_write(Path(name) / f"{language}.{split}.txt") as temporary:
                    temporary.write_text(
                        "".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8", newline="\n"
                    )
        Path(name).rename(output)


def diversify(config: DiversifyConfig) -> None:
    """Writes the corpus with its sources translated forwards, and its targets translated
    backwards, behind it.

    Raises:
        ValueError: `output` holds something, the runs are not two directions of one pair, or the
        data is at fault. FileNotFoundError: a run folder is not complete.
        OSError: `output` cannot be written.

    Source: Nguyen et al. (2020), arXiv 1911.01986, in one round.
    """
    output = config.output.resolve()
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    require(empty, "output", "an empty folder, or nothing yet", str(config.output))
    first = config.forward_runs[0]
    corpus, run = Corpus.of_run(first), RunFolder(first).read_config()
    for forward_run in config.forward_runs:
        corpus.check_run("forward_runs", forward_run)
    for backward_run in config.backward_runs:
        corpus.reverse().check_run("backward_runs", backward_run)
    train, dev = run["train_split"], run["dev_split"] or corpus.dev_split()
    dev_pairs = [
        (one_line(source), one_line(target))
        for source, target in zip(*corpus.texts(dev), strict=True)
    ]
    sources, targets = ([one_line(text) for text in texts] for texts in corpus.texts(train))
    original = list(zip(sources, targets, strict=True))
    output.mkdir(parents=True, exist_ok=True)
    output.rmdir()  # a folder that another cannot take the place of, as a mount, shows now
    print(f"{len(original)} pairs", flush=True)
    known = dict.fromkeys(original)
    for forward_run in config.forward_runs:
        added = add_new(known, zip(sources, translations(forward_run, sources), strict=True))
        print(f"and {added} new ones by {forward_run}", flush=True)
    for backward_run in config.backward_runs:
        added = add_new(known, zip(translations(backward_run, targets), targets, strict=True))
        print(f"and {added} new ones by {backward_run}", flush=True)
    new = list(known)[len(set(original)) :]
    # TFDS can slice splits, "train[:90%]" and "train[90%:]", which are no names of files.
    train_name, dev_name = (split.partition("[")[0] for split in (train, dev))
    splits = {
        DEV_SPLITS[0] if dev_name == train_name else dev_name: dev_pairs,
        train_name: [*original, *new],
    }
    write_folder(output, corpus, splits)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see `command`."""
    return command(DiversifyConfig, "training.diversify", arguments, diversify)


if __name__ == "__main__":
    sys.exit(main())
