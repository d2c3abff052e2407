"""Text pairs from a TFDS name or a folder of text files, checked before a training starts on
them."""

from __future__ import annotations

import difflib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.extractor import ExtractError
from tensorflow_datasets.core.download.util import DownloadError

import training.grammar_en_fr  # noqa: F401 - registers the bundled dataset
from attention_nmt.checks import require
from attention_nmt.data.batches import untuned
from attention_nmt.files import file_sum
from attention_nmt.run_folder import RunFolder

BUNDLED = "grammar_en_fr"

DEV_SPLITS = ("validation", "val", "valid", "dev")
"""What a development split may be called, in the order of preference."""

NETWORK_TIMEOUT_S = 5

DOWNLOAD_ERRORS = (DownloadError, NonMatchingChecksumError, ExtractError)


class DataError(ValueError):
    """A dataset that cannot be used; the message says which, where and what was expected."""


@dataclass(frozen=True)
class Corpus:
    """A dataset in one direction.

    Attributes:
        dataset: a TFDS name such as `ted_hrlr_translate/pt_to_en`, or a folder of `LANG.SPLIT.txt`
        files. source, target: the languages, as the dataset calls them.
        data_dir: where TFDS keeps prepared datasets; None is its default.
    """

    dataset: str
    source: str
    target: str
    data_dir: str | None = None

    @classmethod
    def of_run(cls, run_dir: Path) -> Corpus:
        """What a run folder was trained on.

        Raises:
            FileNotFoundError: it holds no `config.json`.
        """
        run = RunFolder(run_dir).read_config()
        return cls(run["dataset"], run["source"], run["target"], run["data_dir"])

    def reverse(self) -> Corpus:
        """The same texts in the other direction."""
        return replace(self, source=self.target, target=self.source)

    def check_run(self, name: str, run_dir: Path) -> None:
        """Whether a run translates in this direction.

        Args:
            name: of the argument that the run folder was given by.

        Raises:
            ValueError: it does not; the message has both pairs of languages.
            FileNotFoundError: the run folder holds no `config.json`.
        """
        other = Corpus.of_run(run_dir)
        languages = (other.source, other.target)
        require(
            languages == (self.source, self.target),
            name,
            f"a run from {self.source} to {self.target}",
            languages,
        )

    def pairs(self, split: str) -> tf.data.Dataset:
        """The pairs of a split as scalar strings `(source, target)`, in the order of the dataset.

        Raises:
            DataError: the dataset, a language or the split does not exist, or a file is not what
            it should be.
        """
        if Path(self.dataset).is_dir():
            return _folder_pairs(self, split)
        builder = prepared_builder(self.dataset, self.data_dir)
        _check_features(builder, self, split)
        # `Translation` holds nothing but texts, and no part of it can be asked for; other datasets
        # may hold more.
        whole = isinstance(builder.info.features, tfds.features.Translation)
        decoders = (
            None if whole else tfds.decode.PartialDecoding({self.source: True, self.target: True})
        )
        dataset = builder.as_dataset(split=split, decoders=decoders)
        return dataset.map(lambda example: (example[self.source], example[self.target]))

    def fingerprint(self, split: str) -> dict[str, str]:
        """What tells the texts of a split from others: SHA-256 of a folder's files, or a TFDS
        dataset's version.

        Raises:
            DataError: as for `pairs`.
            FileNotFoundError: a file of the split does not exist.
        """
        folder = Path(self.dataset)
        if not folder.is_dir():
            return {"version": prepared_builder(self.dataset, self.data_dir).info.full_name}
        paths = [folder / f"{language}.{split}.txt" for language in (self.source, self.target)]
        return {path.name: file_sum(path) for path in paths}

    def dev_split(self) -> str:
        """The name of the development split.

        Raises:
            DataError: there is none.
        """
        if Path(self.dataset).is_dir():
            splits = {
                path.name.split(".")[1] for path in Path(self.dataset).glob(f"{self.source}.*.txt")
            }
        else:
            splits = set(prepared_builder(self.dataset, self.data_dir).info.splits)
        found = [split for split in DEV_SPLITS if split in splits]
        if not found:
            raise DataError(
                f"{self.dataset}: expected a split called one of {DEV_SPLITS}. Received: {sorted(splits)}."
            )
        return found[0]

    def texts(self, split: str) -> tuple[list[str], list[str]]:
        """The sources and the targets of a split, in memory.

        Raises:
            DataError: as for `pairs`, or the split is empty.
        """
        texts: tuple[list[str], list[str]] = ([], [])
        for chunk in _chunks(self.pairs(split)):
            for side in (0, 1):
                texts[side].extend(chunk[side])
        if not texts[0]:
            raise DataError(f"{self.dataset}: the split {split!r} is empty.")
        return texts


def iterate_texts(pairs: tf.data.Dataset, sides: Sequence[int] = (0, 1)) -> Iterator[str]:
    """The source (side 0) or target (side 1) texts of pairs, or both, one at a time, in one
    reading of the pairs."""
    for chunk in _chunks(pairs):
        for side in sides:
            yield from chunk[side]


def _chunks(pairs: tf.data.Dataset) -> Iterator[list[list[str]]]:
    """The sources and the targets of some pairs at a time: one by one a pair takes 0.3 ms."""
    for chunk in untuned(pairs.batch(1024)).as_numpy_iterator():
        yield [[text.decode(errors="replace") for text in side.tolist()] for side in chunk]


def _folder_pairs(corpus: Corpus, split: str) -> tf.data.Dataset:
    folder = Path(corpus.dataset)
    counts = [_check_file(folder, language, split) for language in (corpus.source, corpus.target)]
    paths = [folder / f"{language}.{split}.txt" for language in (corpus.source, corpus.target)]
    if counts[0] != counts[1]:
        lines = ", ".join(
            f"{path.name} has {count}" for path, count in zip(paths, counts, strict=True)
        )
        raise DataError(
            f"{folder}: both sides of a split need the same number of lines. Received: {lines}."
        )
    if counts[0] == 0:
        raise DataError(f"{folder}: the split {split!r} is empty.")
    return tf.data.Dataset.zip(*(tf.data.TextLineDataset(str(path)) for path in paths))


def _check_file(folder: Path, language: str, split: str) -> int:
    """Reads a file once, line by line, and counts its lines."""
    path = folder / f"{language}.{split}.txt"
    if not path.is_file():
        found = sorted(p.name for p in folder.iterdir() if p.is_file())
        raise DataError(
            f"{folder}: expected a file {path.name} (LANG.SPLIT.txt). Received the files: {found}."
        )
    count = 0
    with path.open("rb") as file:
        for count, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {count}: expected UTF-8. Received: {error}."
                ) from error
    return count


def prepared_builder(name: str, data_dir: str | None = None) -> tfds.core.DatasetBuilder:
    """The TFDS builder of a dataset that is ready to read, downloaded and prepared if need be.

    Raises:
        DataError: an unknown name (with the nearest known ones), one that must be downloaded
        without a network, or one
            whose download or preparation failed.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, ImportError) as error:
        raise DataError(_unknown(name)) from error
    except AssertionError as error:  # a version that there is none of
        raise DataError(f"{name}: {error}") from error
    if not builder.is_prepared():
        if builder.name != BUNDLED and not _online():
            raise DataError(
                f"{name} is not prepared in {builder.data_dir} and there is no network to download it from. Prepare "
                "it on a machine with a network and copy that folder, or set --data-dir to where it lies."
            )
        try:
            builder.download_and_prepare()
        except DOWNLOAD_ERRORS as error:
            raise DataError(
                f"{name} could not be prepared in {builder.data_dir}: {error!r}"
            ) from error
    return builder


def _online() -> bool:
    answers: list[bool] = []
    # In a thread, because no timeout of a connection covers the resolution of names and every
    # address in turn.
    asking = threading.Thread(
        target=lambda: answers.append(_reaches("https://storage.googleapis.com")), daemon=True
    )
    asking.start()
    asking.join(NETWORK_TIMEOUT_S)
    return any(answers)


def _reaches(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=NETWORK_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _unknown(name: str) -> str:
    base, _, config = name.partition("/")
    known = tfds.list_builders(with_community_datasets=False)
    if base in known:
        configs = list(tfds.builder_cls(base).builder_configs)
        near = difflib.get_close_matches(config, configs, 3, 0.3) or configs[:5]
        return (
            f"{base} has no configuration {config!r}. The nearest: {[f'{base}/{c}' for c in near]}."
        )
    near = difflib.get_close_matches(base, known, 3, 0.5)
    return f"{name!r} is neither a folder nor a dataset that TFDS knows. The nearest names: {near or 'none'}."


def _check_features(builder: tfds.core.DatasetBuilder, corpus: Corpus, split: str) -> None:
    features, splits = list(builder.info.features), list(builder.info.splits)
    for language in (corpus.source, corpus.target):
        if language not in features:
            raise DataError(
                f"{corpus.dataset}: expected one of the languages {features}. Received: {language!r}."
            )
    if splits and split.partition("[")[0] not in splits:
        raise DataError(
            f"{corpus.dataset}: expected one of the splits {splits}. Received: {split!r}."
        )
