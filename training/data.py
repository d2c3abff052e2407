"""Text pairs from a TFDS name or a folder of text files, checked before they are used."""

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

from attention_nmt.checks import require
from attention_nmt.data.pipeline import untuned
from attention_nmt.files import file_sum
from attention_nmt.run_folder import RunFolder
from attention_nmt.stored import StoredModel, open_model

from . import grammar_en_fr  # noqa: F401 - registers the bundled dataset
from .folder import read_config
from .text_folder import CHUNK, DataError, Shard, checked_count, chunks, find, splits

BUNDLED = "grammar_en_fr"

DEV_SPLITS = ("validation", "val", "valid", "dev")
"""The names of a development split, in the order of preference."""

NETWORK_TIMEOUT_S = 5

DOWNLOAD_ERRORS = (DownloadError, NonMatchingChecksumError, ExtractError)


@dataclass(frozen=True)
class Corpus:
    """A dataset in one direction.

    Attributes:
        dataset: a TFDS name such as `ted_hrlr_translate/pt_to_en`, or a folder of
            `LANG.SPLIT.txt` files or others, see `text_folder`.
        source: the language to translate from, as the dataset calls it.
        target: the language to translate to, as the dataset calls it.
        data_dir: where TFDS keeps prepared datasets; None is its default.
    """

    dataset: str
    source: str
    target: str
    data_dir: str | None = None

    @classmethod
    def of_run(cls, run_dir: Path) -> Corpus:
        """The corpus that a run folder was trained on, the first one of a mixture.

        Raises:
            FileNotFoundError: it holds no `config.json`.
            ValueError: its config has a setting that there is none of, or outside its range.
        """
        config = read_config(RunFolder(run_dir))
        return first_of(config.dataset, config.source, config.target, config.data_dir)

    @classmethod
    def of_model(cls, stored: StoredModel, **given: str | None) -> Corpus:
        """What a model can be evaluated on, with what is given in place of what it knows.

        Args:
            stored: the model.
            **given: fields of a corpus; None where one is not given.

        Raises:
            FileNotFoundError: a file of the model is missing.
            ValueError: the dataset or a language is neither given nor known.
        """
        fields = stored.corpus
        fields |= {name: value for name, value in given.items() if value is not None}
        for name in ("dataset", "source", "target"):
            known = fields.get(name) is not None
            require(known, name, f"given: {stored.path.name} does not say it", None)
        return first_of(**fields)

    @property
    def languages(self) -> tuple[str, str]:
        """The source and the target language."""
        return self.source, self.target

    def reverse(self) -> Corpus:
        """The same texts in the other direction."""
        return replace(self, source=self.target, target=self.source)

    def check_run(self, name: str, run_dir: Path) -> None:
        """Makes sure that a run translates in this direction.

        Args:
            name: of the argument that the run folder was given by.
            run_dir: the run folder.

        Raises:
            ValueError: it does not; the message has both pairs of languages.
            FileNotFoundError: there is no such folder.
        """
        corpus = open_model(run_dir).corpus
        languages = (corpus.get("source"), corpus.get("target"))
        expected = f"a run from {self.source} to {self.target}"
        require(languages == self.languages, name, expected, languages)

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
        decoders = None
        if not isinstance(builder.info.features, tfds.features.Translation):
            decoders = tfds.decode.PartialDecoding({self.source: True, self.target: True})

        dataset = builder.as_dataset(split=split, decoders=decoders)
        return dataset.map(lambda example: (example[self.source], example[self.target]))

    def count(self, split: str) -> int:
        """The pairs of a split.

        Raises:
            DataError: as for `pairs`.
        """
        if Path(self.dataset).is_dir():
            return checked_count(self._shards(split))
        return prepared_builder(self.dataset, self.data_dir).info.splits[split].num_examples

    def _shards(self, split: str) -> list[Shard]:
        return find(Path(self.dataset), split, *self.languages)

    def fingerprint(self, split: str) -> dict[str, str]:
        """Tells the texts of a split from others.

        Returns:
            SHA-256 of a folder's files by their names, or a TFDS dataset's version.

        Raises:
            DataError: as for `pairs`.
            FileNotFoundError: a file of the split does not exist.
        """
        if Path(self.dataset).is_dir():
            shards = self._shards(split)
            return {path.name: file_sum(path) for shard in shards for path in shard.files}

        return {"version": prepared_builder(self.dataset, self.data_dir).info.full_name}

    def name(self, split: str, language: str) -> str:
        """A name of the texts of a split in one language: the file, where there is one."""
        if Path(self.dataset).is_dir():
            return str(Path(self.dataset) / f"{language}.{split}.txt")
        return f"{self.dataset}, {split}, {language}"

    def dev_split(self) -> str:
        """The name of the development split.

        Raises:
            DataError: there is none.
        """
        folder = Path(self.dataset)
        if folder.is_dir():
            known = splits(folder, self.source)
        else:
            known = set(prepared_builder(self.dataset, self.data_dir).info.splits)

        for split in DEV_SPLITS:
            if split in known:
                return split
        expected = f"expected a split called one of {DEV_SPLITS}"
        raise DataError(f"{self.dataset}: {expected}. Received: {sorted(known)}.")

    def texts(self, split: str) -> tuple[list[str], list[str]]:
        """The sources and the targets of a split, in memory.

        Raises:
            DataError: as for `pairs`, or the split is empty.
        """
        sources: list[str] = []
        targets: list[str] = []
        for chunk in text_chunks(self.pairs(split)):
            sources += chunk[0]
            targets += chunk[1]

        if not sources:
            raise DataError(f"{self.dataset}: the split {split!r} is empty.")
        return sources, targets


def first_of(dataset: str, source: str, target: str, data_dir: str | None = None) -> Corpus:
    """The first corpus of a setting `dataset`, see `mixture.Mixture`."""
    from .mixture import Mixture

    return Mixture.of(dataset, source, target, data_dir).first


def iterate_texts(pairs: tf.data.Dataset, sides: Sequence[int] = (0, 1)) -> Iterator[str]:
    """The source (side 0) or target (side 1) texts of pairs, or both, one at a time.

    The pairs are read once.
    """
    for chunk in text_chunks(pairs):
        for side in sides:
            yield from chunk[side]


def text_chunks(pairs: tf.data.Dataset) -> Iterator[list[list[str]]]:
    """The sources and the targets of some pairs at a time."""
    for chunk in untuned(pairs.batch(CHUNK)).as_numpy_iterator():
        yield [_decoded(side.tolist()) for side in chunk]


def _decoded(texts: Sequence[bytes]) -> list[str]:
    return [text.decode(errors="replace") for text in texts]


def _folder_pairs(corpus: Corpus, split: str) -> tf.data.Dataset:
    shards = corpus._shards(split)
    if checked_count(shards) == 0:
        raise DataError(f"{corpus.dataset}: the split {split!r} is empty.")

    # `tf.data.TextLineDataset` would delete carriage returns within a line, too.
    texts = tf.TensorSpec([None], tf.string)
    read = tf.data.Dataset.from_generator(lambda: chunks(shards), output_signature=(texts, texts))
    return read.unbatch()


def prepared_builder(name: str, data_dir: str | None = None) -> tfds.core.DatasetBuilder:
    """The TFDS builder of a dataset that is ready to read, downloaded and prepared if need be.

    Raises:
        DataError: an unknown name (with the nearest known ones), one that must be downloaded
            without a network, or one whose download or preparation failed.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, ImportError) as error:
        raise DataError(_unknown(name)) from error
    except AssertionError as error:  # a version that there is none of
        raise DataError(f"{name}: {error}") from error
    if builder.is_prepared():
        return builder

    if builder.name != BUNDLED and not _online():
        raise DataError(
            f"{name} is not prepared in {builder.data_dir} and there is no network to download it "
            "from. Prepare it on a machine with a network and copy that folder, or set --data-dir "
            "to where it lies."
        )
    try:
        builder.download_and_prepare()
    except FileExistsError:
        # Another process was faster: its dataset is taken.
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.is_prepared():
            raise
    except DOWNLOAD_ERRORS as error:
        message = f"{name} could not be prepared in {builder.data_dir}: {error!r}"
        raise DataError(message) from error
    return builder


def _online() -> bool:
    answers: list[bool] = []

    def ask() -> None:
        answers.append(_reaches("https://storage.googleapis.com"))

    # In a thread, because no timeout of a connection covers the resolution of names and every
    # address in turn.
    asking = threading.Thread(target=ask, daemon=True)
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
    """The message on a name that TFDS does not know, with the nearest ones that it knows."""
    base, _, config = name.partition("/")
    known = tfds.list_builders(with_community_datasets=False)
    if base not in known:
        near = difflib.get_close_matches(base, known, 3, 0.5) or "none"
        missing = f"{name!r} is neither a folder nor a dataset that TFDS knows"
        return f"{missing}. The nearest names: {near}."

    configs = list(tfds.builder_cls(base).builder_configs)
    near = difflib.get_close_matches(config, configs, 3, 0.3) or configs[:5]
    names = [f"{base}/{one}" for one in near]
    return f"{base} has no configuration {config!r}. The nearest: {names}."


def _check_features(builder: tfds.core.DatasetBuilder, corpus: Corpus, split: str) -> None:
    features = list(builder.info.features)
    for language in corpus.languages:
        if language not in features:
            expected = f"expected one of the languages {features}"
            raise DataError(f"{corpus.dataset}: {expected}. Received: {language!r}.")

    splits = list(builder.info.splits)
    if splits and split.partition("[")[0] not in splits:
        expected = f"expected one of the splits {splits}"
        raise DataError(f"{corpus.dataset}: {expected}. Received: {split!r}.")
