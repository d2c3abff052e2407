"""The splits of a training's corpus, and its short form at the start of a training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..presets import TrainConfig
from ..text_folder import splits
from .inspection import inspect
from .reading import Split
from .report import CorpusReport


def every_split(config: TrainConfig) -> list[Split]:
    """All splits of a dataset, the one that is trained on as the last one.

    Raises:
        ValueError: the dataset does not exist.
    """
    folder = Path(config.dataset)
    names = _folder_splits(config, folder) if folder.is_dir() else _tfds_splits(config)
    if config.dev_split is not None and config.dev_split not in names:
        names.append(config.dev_split)

    trained_on = {config.train_split, config.train_split.partition("[")[0]}
    others = [name for name in names if name not in trained_on]
    return [split_of(config, name) for name in [*others, config.train_split]]


def split_of(config: TrainConfig, name: str) -> Split:
    """A split of a training's corpus."""
    languages = (config.source, config.target)
    return Split(config.dataset, languages, name, data_dir=config.data_dir)


def _folder_splits(config: TrainConfig, folder: Path) -> list[str]:
    return sorted(splits(folder, config.source) & splits(folder, config.target))


def _tfds_splits(config: TrainConfig) -> list[str]:
    from ..data import prepared_builder

    return sorted(prepared_builder(config.dataset, config.data_dir).info.splits)


class Start(NamedTuple):
    """What is said of a corpus at the start of a training."""

    summary: str
    """One line: pairs and words."""
    warnings: tuple[str, ...]
    """One line for each thing that is likely not as it should be."""


def look_at_start(config: TrainConfig, dev_split: str | None) -> Start:
    """Reads the split that is trained on and that which it is evaluated on.

    Args:
        config: the settings of the training, with one corpus.
        dev_split: the split that it is evaluated on; None where another corpus has that.

    Raises:
        ValueError: the data is at fault.
    """
    names = [config.train_split] if dev_split is None else [dev_split, config.train_split]
    inspected = inspect([split_of(config, name) for name in names])
    report = CorpusReport(
        dataset=config.dataset,
        languages=(config.source, config.target),
        splits=inspected.reports(),
        overlaps=inspected.overlaps,
        dropped=None,
    )

    train = report.splits[-1]
    words = [f"{side.words:,} {side.unit} of {side.language}" for side in train.sides]
    summary = f"{config.dataset}, {train.name}: {train.pairs:,} pairs, {' and '.join(words)}."
    return Start(summary, tuple(report.warnings()))
