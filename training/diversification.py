"""Diversified corpora: pairs, and behind them what models make of their sides.

Source: Nguyen et al. (2020), arXiv 1911.01986, in one round.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from attention_nmt.checks import require
from attention_nmt.run_folder import RunFolder
from attention_nmt.stored import open_model

from .data import Corpus
from .diversify import DiversifyConfig
from .folder import read_config
from .machine_translations import translations
from .mixture import Mixture
from .new_corpus import (
    Pair,
    Split,
    add_new,
    check_empty,
    check_writable,
    parts_folder,
    read_pairs,
    write_folder,
)


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
    check_empty(config.output)
    output = config.output.resolve()
    corpus = _common_corpus(config)

    run = read_config(RunFolder(config.forward_runs[0]))
    dev_split = run.dev_split or corpus.dev_split()
    dev = Split(dev_split, read_pairs(corpus, dev_split))
    original = read_pairs(corpus, run.train_split)

    check_writable(output)
    parts = parts_folder(output)
    train = Split(run.train_split, [*original, *_new_pairs(config, original, parts)])
    write_folder(output, corpus.languages, train, dev)
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


def _new_pairs(config: DiversifyConfig, original: Sequence[Pair], parts: Path) -> list[Pair]:
    """The pairs that the runs' translations add, in the order of the runs."""
    sources = [source for source, _ in original]
    targets = [target for _, target in original]
    known = dict.fromkeys(original)
    distinct = len(known)

    print(f"{len(original)} pairs", flush=True)
    for run in config.forward_runs:
        made = zip(sources, translations(open_model(run), sources, parts), strict=True)
        print(f"and {add_new(known, made)} new ones by {run}", flush=True)
    for run in config.backward_runs:
        made = zip(translations(open_model(run), targets, parts), targets, strict=True)
        print(f"and {add_new(known, made)} new ones by {run}", flush=True)
    return list(known)[distinct:]
