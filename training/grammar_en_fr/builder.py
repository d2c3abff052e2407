"""The TFDS builder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from .corpus import SPLITS, generate

_DESCRIPTION = """
English sentences, their French translations and gold word alignments, generated from a grammar and
a lexicon of some 190 lemmas: agreement, elision, contraction, adjectives on both sides of the noun,
negation, object pronouns, relative clauses, questions. The French is a function of the English.
Sentences of train, validation and test have 2 to 20 English words; those of test_long have two to
four times as many as the longest of train. Nothing is downloaded.
"""


class GrammarEnFr(tfds.core.GeneratorBasedBuilder):
    """English-French sentence pairs with gold alignments, generated from a grammar."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012 - the type that TFDS declares

    def _info(self) -> tfds.core.DatasetInfo:
        # Sequence(Text()) and Sequence(Tensor) read back as the same tensors, but prepare five
        # times as slowly.
        words = tfds.features.Tensor(shape=(None,), dtype=np.str_)
        links = tfds.features.Tensor(shape=(None, 2), dtype=np.int32)

        features = {
            "en": tfds.features.Text(),
            "fr": tfds.features.Text(),
            "en_words": words,
            "fr_words": words,
            "links": links,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("en", "fr"),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, pair in enumerate(generate(split)):
            yield index, pair._asdict()
