"""The work before the first step of a training on a corpus: texts, tokenizers, batches."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from attention_nmt import backend
from attention_nmt.data.batches import TrainingBatches
from attention_nmt.data.capitals import recased_texts
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.data.vocabularies import extend
from attention_nmt.files import atomic_write, one_line
from attention_nmt.run_folder import RunFolder, target_tokenizer
from attention_nmt.stored import StoredModel

from .corpus.report import dropped_warning
from .corpus.splits import look_at_start
from .data import iterate_texts
from .devices import Devices, OneProcess
from .folder import Tokenizers, alone, check_same, claim, load_tokenizers, write_sizes
from .initial import fingerprint, open_initial
from .mixture import Mixture
from .presets import TrainConfig
from .scoring.metrics import corpus_bleu, warn_of_tokens

SAMPLES = 50
"""Dev sentences kept in the run folder, for exports to be checked on."""


class Prepared(NamedTuple):
    """What a training begins with."""

    pairs: tf.data.Dataset  # of the training texts
    tokenizers: Tokenizers
    dev_sources: list[str]
    dev_references: list[str]
    initial: StoredModel | None  # the trained model, if its weights are needed


@contextmanager
def prepare(
    config: TrainConfig, run: RunFolder, *, quiet: bool = False, devices: Devices | None = None
) -> Iterator[Prepared]:
    """A block in which this process alone has the run folder, with all but the weights in it.

    A run that is new looks at its corpus first, and says what is likely wrong with it. Of several
    processes the chief does all that; the others wait for it, and read.

    Args:
        config: the settings.
        run: the folder.
        quiet: print warnings only.
        devices: know of the other processes; None: there are none.

    Raises:
        ValueError: the run folder is of another config or other texts, or the data or the config
            is at fault.
        OSError: another process is training in the run folder.
    """
    backend.check()
    if backend.name() != "tensorflow":
        # TensorFlow makes the batches and nothing else: it would take an accelerator's memory.
        tf.config.set_visible_devices([], "GPU")

    mixture = Mixture.of(config.dataset, config.source, config.target, config.data_dir)
    corpus = mixture.first
    pairs = mixture.pairs(config.train_split)
    dev_split = config.dev_split or corpus.dev_split()
    sources, references = corpus.texts(dev_split)
    sources = sources[: config.dev_sentences]
    references = references[: config.dev_sentences]

    # Anything that scoring this language lacks shows now.
    corpus_bleu(references, references, config.target)
    warn_of_tokens(references, corpus.name(dev_split, config.target))

    data = {
        "train": mixture.fingerprint(config.train_split),
        "dev": corpus.fingerprint(dev_split),
    }
    devices = devices or OneProcess()
    with alone(run.path) if devices.is_chief else contextlib.nullcontext():
        initial = open_initial(config, run)
        if initial is not None:
            data["initial"] = fingerprint(initial)

        if devices.is_chief:
            claim(run, config, data)
            if not run.source_tokenizer.is_file():
                for part in mixture.parts:
                    looked_at = dataclasses.replace(config, dataset=part.corpus.dataset)
                    _look(looked_at, dev_split if part is mixture.parts[0] else None, quiet)
            write_sizes(run, config, _tokenizers(run, config, pairs, initial))
            _write_samples(run, sources)

        devices.any(False)  # the others wait here
        if not devices.is_chief:
            check_same(run, config, data)

        yield Prepared(
            pairs=pairs,
            tokenizers=load_tokenizers(run),
            dev_sources=sources,
            dev_references=references,
            initial=initial,
        )


def _write_samples(run: RunFolder, sources: list[str]) -> None:
    """Keeps some dev sentences in the run folder."""
    lines = [f"{one_line(text)}\n" for text in sources[:SAMPLES]]
    with atomic_write(run.samples_file) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _look(config: TrainConfig, dev_split: str | None, quiet: bool) -> None:
    """Prints what the texts are, and a line for each thing that is likely wrong with them."""
    found = look_at_start(config, dev_split)
    if not quiet:
        print(found.summary, flush=True)

    for line in found.warnings:
        warn(line)
    if found.warnings:
        where = ["--dataset", config.dataset, "--source", config.source, "--target", config.target]
        command = shlex.join(["attention-nmt", "data", *where])
        warn(f"`{command}` says more, and `--clean` leaves out faults")


def warn(line: str) -> None:
    """Prints a warning of one line."""
    print(f"warning: {line}", file=sys.stderr, flush=True)


def _tokenizers(
    run: RunFolder, config: TrainConfig, pairs: tf.data.Dataset, initial: StoredModel | None
) -> Tokenizers:
    """The run's tokenizers, made if it has none yet."""
    if not config.model.embeds_source and not run.source_tokenizer.is_file():
        _pretrained_tokenizer(config, initial).save(run.source_tokenizer)

    sides: list[tuple[Path, list[int]]] = [(run.source_tokenizer, [0, 1])]
    if not config.shared_vocabulary:
        sides = [(run.source_tokenizer, [0]), (run.target_tokenizer, [1])]

    for path, columns in sides:
        if not path.is_file():
            begun = None
            if initial is not None and config.vocabulary != "new":
                source, target = initial.load_tokenizers()
                begun = target_tokenizer(source if columns == [0] else target, initial.path)
            if begun is None or config.vocabulary != "same":
                begun = _trained(config, iterate_texts(pairs, columns), begun)
            begun.save(path)
    return load_tokenizers(run)


def _pretrained_tokenizer(config: TrainConfig, initial: StoredModel | None) -> SourceTokenizer:
    """The source tokenizer of a pretrained encoder."""
    if initial is not None:
        return initial.load_tokenizers()[0]

    from attention_nmt.data.hub_tokenizer import HubTokenizer

    return HubTokenizer.from_preset(config.model.preset)


def _trained(config: TrainConfig, texts: Iterable[str], begun: Tokenizer | None) -> Tokenizer:
    """A tokenizer of the training texts, or one that is extended by the pieces of those texts."""
    if config.batches.capitals:
        texts = recased_texts(texts, config.batches.capitals, config.seed)

    normalization = config.normalization
    if begun is not None:
        texts = map(begun.normalize, texts)
        normalization = "none"

    with warnings.catch_warnings():
        # Lines that are left out have been warned of, with their numbers.
        warnings.simplefilter("ignore")
        trained = Tokenizer.train(
            texts, config.vocabulary_size, config.character_coverage, normalization
        )
    return trained if begun is None else extend(begun, trained)


def training_batches(config: TrainConfig, data: Prepared, parts: int = 1) -> TrainingBatches:
    """The batches of a training, which can be cut into `parts`."""
    source, target = data.tokenizers
    batches = TrainingBatches(
        data.pairs,
        source,
        target,
        config.batches,
        seed=config.seed,
        copies=2 if config.consistency else 1,
        parts=parts,
    )

    counts = batches.statistics
    dropped = {
        "empty": counts.empty,
        "too long": counts.too_long,
        "of too unequal lengths": counts.uneven,
    }
    line = dropped_warning(counts.kept, dropped)
    if line:
        warn(f"{config.train_split}: {line}")
    return batches


def describe(config: TrainConfig, batches: TrainingBatches) -> str:
    """One line on the corpus: pairs that are trained on and pairs that were dropped."""
    return f"{config.dataset}, {config.train_split}: {batches.statistics}."
