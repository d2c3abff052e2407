"""Diversified corpora: pairs, and behind them what models make of their sides.

Source: Nguyen et al. (2020), arXiv 1911.01986, in one round.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.config import SearchConfig, to_json
from attention_nmt.files import (
    atomic_folder,
    atomic_write,
    file_sum,
    make_folder,
    one_line,
)
from attention_nmt.run_folder import RunFolder
from attention_nmt.text_files import read_lines
from attention_nmt.translation.translator import Translator

from .data import DEV_SPLITS, Corpus
from .diversify import DiversifyConfig
from .folder import read_config
from .mixture import Mixture

Pair = tuple[str, str]

CHUNK = 10_000
"""The number of texts after which translations are kept, and a line says how far it is."""


def diversify(config: DiversifyConfig) -> None:
    """Writes the corpus with translations of its sources, then of its targets, behind it.

    What a command that was stopped had translated is kept in a hidden folder beside `output`, and
    the next one goes on with it.

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
    dev_pairs = read_pairs(corpus, dev_split)
    original = read_pairs(corpus, run.train_split)

    make_folder(output)
    output.rmdir()  # a folder that another cannot take the place of, as a mount, shows now

    parts = output.parent / f".{output.name}.parts"
    splits = {
        _dev_name(dev_split, run.train_split): dev_pairs,
        file_name(run.train_split): [*original, *_new_pairs(config, original, parts)],
    }
    write_folder(output, corpus, splits)
    shutil.rmtree(parts, ignore_errors=True)


def _common_corpus(config: DiversifyConfig) -> Corpus:
    """The corpus of the first run, of whose languages all runs are."""
    dataset = read_config(RunFolder(config.forward_runs[0])).dataset
    mixed = len(Mixture.of(dataset, "", "").parts) > 1
    require(not mixed, "forward_runs", "runs of one corpus, not of several", dataset)

    corpus = Corpus.of_run(config.forward_runs[0])
    for run in config.forward_runs:
        corpus.check_run("forward_runs", run)
    for run in config.backward_runs:
        corpus.reverse().check_run("backward_runs", run)
    return corpus


def read_pairs(corpus: Corpus, split: str) -> list[Pair]:
    """The pairs of a split, each side on one line."""
    sources, targets = corpus.texts(split)
    return [
        (one_line(source), one_line(target))
        for source, target in zip(sources, targets, strict=True)
    ]


def file_name(split: str) -> str:
    """The split in names of files; TFDS can slice splits, as in "train[:90%]"."""
    return split.partition("[")[0]


def _dev_name(dev_split: str, train_split: str) -> str:
    """The dev split in names of files; it may be a slice of the same split as the training's."""
    name = file_name(dev_split)
    return DEV_SPLITS[0] if name == file_name(train_split) else name


def _new_pairs(config: DiversifyConfig, original: Sequence[Pair], parts: Path) -> list[Pair]:
    """The pairs that the runs' translations add, in the order of the runs."""
    sources = [source for source, _ in original]
    targets = [target for _, target in original]
    known = dict.fromkeys(original)
    distinct = len(known)

    print(f"{len(original)} pairs", flush=True)
    for run in config.forward_runs:
        made = zip(sources, translations(run, sources, parts), strict=True)
        print(f"and {add_new(known, made)} new ones by {run}", flush=True)
    for run in config.backward_runs:
        made = zip(translations(run, targets, parts), targets, strict=True)
        print(f"and {add_new(known, made)} new ones by {run}", flush=True)
    return list(known)[distinct:]


def translations(run: Path, texts: Sequence[str], parts: Path) -> Iterator[str]:
    """The run's model's translations of texts, by the run's search.

    That of a text that is too long for the search is empty.

    Args:
        run: a trained run folder.
        texts: what to translate.
        parts: the folder in which translations are kept, and where those of the same run and texts
            are looked for before.
    """
    folder = RunFolder(run)
    search = folder.read_search(n_best=1, temperature=0.0)
    task = _task(folder, search, texts)
    translator = None

    for begin in range(0, len(texts), CHUNK):
        chunk = texts[begin : begin + CHUNK]
        part = parts / f"{task}.{begin}.{len(chunk)}.txt"
        if not part.is_file():
            translator = translator or Translator.from_run(run, search).frozen()
            _write_lines(part, _translated(translator, chunk))

        yield from read_lines(part)
        print(f"{run}: {begin + len(chunk)} of {len(texts)}", flush=True)


def _task(run: RunFolder, search: SearchConfig, texts: Sequence[str]) -> str:
    """Tells translations by these weights and this search of these texts from any others."""
    about = [file_sum(run.best), to_json(search), *texts]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _translated(translator: Translator, texts: Sequence[str]) -> list[str]:
    found = translator(texts, alignments=False)
    return ["" if one.truncated else one_line(one.text) for one in found]


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_write(path) as temporary:
        content = "".join(f"{line}\n" for line in lines)
        temporary.write_text(content, encoding="utf-8", newline="\n")


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
    with atomic_folder(output) as folder:
        for split, pairs in splits.items():
            for side, language in enumerate(corpus.languages):
                lines = (pair[side] for pair in pairs)
                _write_lines(folder / f"{language}.{split}.txt", lines)
