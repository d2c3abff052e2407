"""Diversified corpora: pairs, and behind them what models make of their sides.

Source: Nguyen et al. (2020), arXiv 1911.01986, in one round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.files import atomic_write, make_folder, one_line, sync_folder, temporary_folder
from attention_nmt.run_folder import RunFolder
from attention_nmt.translation.translator import Translator

from .data import DEV_SPLITS, Corpus
from .diversify import DiversifyConfig
from .folder import read_config

Pair = tuple[str, str]

CHUNK = 10_000
"""The number of texts after which a line says how far it is."""


def diversify(config: DiversifyConfig) -> None:
    """Writes the corpus with translations of its sources, then of its targets, behind it.

    Raises:
        ValueError: `output` holds something, the runs are not two directions of one pair, or the
            data is at fault.
        FileNotFoundError: a run folder is not complete.
        OSError: `output` cannot be written.
    """
    output = config.output.resolve()
    empty = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    require(empty, "output", "an empty folder, or nothing yet", str(config.output))
    corpus = _common_corpus(config)

    run = read_config(RunFolder(config.forward_runs[0]))
    dev_split = run.dev_split or corpus.dev_split()
    dev_pairs = _pairs(corpus, dev_split)
    original = _pairs(corpus, run.train_split)

    make_folder(output)
    output.rmdir()  # a folder that another cannot take the place of, as a mount, shows now

    splits = {
        _dev_name(dev_split, run.train_split): dev_pairs,
        _file_name(run.train_split): [*original, *_new_pairs(config, original)],
    }
    write_folder(output, corpus, splits)


def _common_corpus(config: DiversifyConfig) -> Corpus:
    """The corpus of the first run, of whose languages all runs are."""
    corpus = Corpus.of_run(config.forward_runs[0])
    for run in config.forward_runs:
        corpus.check_run("forward_runs", run)
    for run in config.backward_runs:
        corpus.reverse().check_run("backward_runs", run)
    return corpus


def _pairs(corpus: Corpus, split: str) -> list[Pair]:
    sources, targets = corpus.texts(split)
    return [
        (one_line(source), one_line(target))
        for source, target in zip(sources, targets, strict=True)
    ]


def _file_name(split: str) -> str:
    """The split in names of files; TFDS can slice splits, as in "train[:90%]"."""
    return split.partition("[")[0]


def _dev_name(dev_split: str, train_split: str) -> str:
    """The dev split in names of files; it may be a slice of the same split as the training's."""
    name = _file_name(dev_split)
    return DEV_SPLITS[0] if name == _file_name(train_split) else name


def _new_pairs(config: DiversifyConfig, original: Sequence[Pair]) -> list[Pair]:
    """The pairs that the runs' translations add, in the order of the runs."""
    sources = [source for source, _ in original]
    targets = [target for _, target in original]
    known = dict.fromkeys(original)
    distinct = len(known)

    print(f"{len(original)} pairs", flush=True)
    for run in config.forward_runs:
        made = zip(sources, translations(run, sources), strict=True)
        print(f"and {add_new(known, made)} new ones by {run}", flush=True)
    for run in config.backward_runs:
        made = zip(translations(run, targets), targets, strict=True)
        print(f"and {add_new(known, made)} new ones by {run}", flush=True)
    return list(known)[distinct:]


def translations(run: Path, texts: Sequence[str]) -> Iterator[str]:
    """The run's model's translations of texts, by the run's search.

    That of a text that is too long for the search is empty.
    """
    search = RunFolder(run).read_search(n_best=1, temperature=0.0)
    translator = Translator.from_run(run, search).frozen()
    for begin in range(0, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        for translation in translator(chunk, alignments=False):
            yield "" if translation.truncated else one_line(translation.text)
        print(f"{run}: {begin + len(chunk)} of {len(texts)}", flush=True)


def add_new(pairs: dict[Pair, None], made: Iterable[Pair]) -> int:
    """Adds pairs that are not there yet and of which no side is blank.

    Args:
        pairs: what is there, in the order in which it was added.
        made: what to add.

    Returns:
        The number of pairs that were added.
    """
    before = len(pairs)
    for source, target in made:
        if source.strip() and target.strip():
            pairs[source, target] = None
    return len(pairs) - before


def write_folder(output: Path, corpus: Corpus, splits: Mapping[str, Sequence[Pair]]) -> None:
    """Writes both sides of all splits into a new folder, which is there when they all are."""
    with temporary_folder(output.parent, f".{output.name}.diversifying-") as folder:
        for split, pairs in splits.items():
            for side, language in enumerate(corpus.languages):
                lines = [f"{pair[side]}\n" for pair in pairs]
                with atomic_write(folder / f"{language}.{split}.txt") as temporary:
                    temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
        folder.rename(output)
        sync_folder(output.parent)
