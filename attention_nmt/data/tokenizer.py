"""SentencePiece unigram pieces: trained from text, one file, the same in Python, in a graph and in
a SavedModel."""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import re
from array import array
from bisect import bisect
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.python.ops.sentencepiece_tokenizer import gen_sentencepiece_tokenizer

from attention_nmt.checks import require
from attention_nmt.config import END, PAD, START, UNKNOWN
from attention_nmt.files import atomic_write

SPACE = "\u2581"
"""How a piece spells the space before a word."""

SEGMENTATIONS = 32
"""How many segmentations of a word sampling chooses from."""

REMEMBERED_WORDS = 50_000
"""Words whose segmentations are kept, those that were drawn last, 1 to 2 KB each."""

LONGEST_REMEMBERED = 50
"""Of such a word, in characters. A longer one is likely a sentence of a language without spaces,
and rare."""

MAXIMUM_TRAINING_LINES = 2_000_000
"""Lines of text that a vocabulary is trained on; a random selection is taken from more."""

MAXIMUM_TRAINING_BYTES = 2**20
"""Of such a line; a longer one is left out, as SentencePiece by itself does with 4,193 without a
word."""


class Tokenizer:
    """Turns text into pieces and back.

    Text is normalized (Unicode NFKC, runs of spaces to one, none at the ends); from then on
    nothing is lost: `detokenize(tokenize(text)) == normalize(text)` for any Unicode text, because
    characters outside the vocabulary are spelled as bytes. Invalid UTF-8 is read as U+FFFD. The
    ids 0 to 3 are padding, unknown, start and end.

    Args:
        model_proto: a serialized SentencePiece model, as `train` and `load` give it.

    Raises:
        ValueError: `model_proto` is not a SentencePiece model with these four ids.

    Source: Kudo (2018), arXiv 1804.10959; Kudo and Richardson (2018), arXiv 1808.06226.
    """

    def __init__(self, model_proto: bytes) -> None:
        self.model_proto = model_proto
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model_proto)
        except (RuntimeError, OSError) as error:
            raise ValueError(
                f"`model_proto` must be a serialized SentencePiece model: {error}"
            ) from error
        p = self._processor
        ids = (p.pad_id(), p.unk_id(), p.bos_id(), p.eos_id())
        expected = (PAD, UNKNOWN, START, END)
        require(
            ids == expected, "model_proto", f"a model with pad, unk, bos, eos = {expected}", ids
        )
        self._remembered = functools.lru_cache(maxsize=REMEMBERED_WORDS)(self._segmentations)

    @classmethod
    def train(
        cls, texts: Iterable[str], vocabulary_size: int, character_coverage: float = 0.9999
    ) -> Tokenizer:
        """Learns a vocabulary.

        Args:
            texts: sentences; read once.
            vocabulary_size: pieces, the special ones, 256 bytes and all characters included.
            character_coverage: the share of the characters of `texts`, from 0.98 to 1, that get
            pieces of their own;
                rarer ones are spelled as bytes.

        Raises:
            ValueError: `texts` is empty, or supports no vocabulary of this size, and the message
            says what it supports;
                or a value outside its range.
        """
        covering = 0.98 <= character_coverage <= 1  # what SentencePiece takes
        require(covering, "character_coverage", "a share from 0.98 to 1", character_coverage)
        texts = iter(texts)
        first = next((text for text in texts if text.strip()), None)
        require(first is not None, "texts", "at least one sentence that is not empty", "none")
        writer = io.BytesIO()
        sentencepiece.set_random_generator_seed(1)
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=itertools.chain([first], texts),
                model_writer=writer,
                model_type="unigram",
                vocab_size=vocabulary_size,
                character_coverage=character_coverage,
                byte_fallback=True,
                normalization_rule_name="nmt_nfkc",
                input_sentence_size=MAXIMUM_TRAINING_LINES,
                max_sentence_length=MAXIMUM_TRAINING_BYTES,
                pad_id=PAD,
                unk_id=UNKNOWN,
                bos_id=START,
                eos_id=END,
                minloglevel=2,
            )
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].rpartition("] ")[2]
            if characters := re.search(r"required_chars\. \d+ vs (\d+)", reason):
                least = f"The special pieces and the characters alone are {characters[1]}"
                reason = f"{least}; a smaller `character_coverage` than {character_coverage} spells rare ones as bytes."
            raise ValueError(
                f"`vocabulary_size` must be a size that the text supports. Received: {vocabulary_size}. {reason}"
            ) from error
        return cls(writer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a SentencePiece model.
        """
        return cls(Path(path).read_bytes())

    def save(self, path: str | Path) -> None:
        """Writes the tokenizer to one file, which any SentencePiece library reads."""
        with atomic_write(path) as temporary:
            temporary.write_bytes(self.model_proto)

    @property
    def vocabulary_size(self) -> int:
        """How many pieces there are."""
        return self._processor.get_piece_size()

    def normalize(self, text: str) -> str:
        """The text that `detokenize(tokenize(text))` gives."""
        return self._processor.normalize(_valid(text)).replace(SPACE, " ").lstrip(" ")

    def encode(self, texts: Sequence[str | bytes]) -> list[list[int]]:
        """The best segmentation of each text, outside of a graph."""
        return [self._processor.encode(_valid(text)) for text in texts]

    def sample(
        self, texts: Sequence[str | bytes], seed: Sequence[int], alpha: float
    ) -> list[list[int]]:
        """A random segmentation of each text, each word's drawn with probability proportional to
        `p ** alpha`.

        Args:
            seed: integers; the same ones give the same segmentations in any process.
            alpha: 0 draws evenly, large values give the best segmentation.

        Source: Kudo (2018), section 3.4, per word and not per sentence: pieces never span words,
        so a sentence's segmentations are those of its words in any combination. SentencePiece
        itself draws differently in each process.
        """
        words = [self._words(text) for text in texts]
        draws = iter(np.random.default_rng(list(seed)).random(sum(map(len, words))).tolist())
        return [
            list(itertools.chain.from_iterable(self._draw(word, alpha, draws) for word in line))
            for line in words
        ]

    def _words(self, text: str | bytes) -> list[str]:
        return self._processor.normalize(_valid(text)).replace(SPACE, " ").split(" ")

    def _draw(self, word: str, alpha: float, draws: Iterable[float]) -> list[int]:
        known = self._remembered if len(word) <= LONGEST_REMEMBERED else self._segmentations
        ids, bounds, cumulative = known(word, alpha)
        drawn = bisect(cumulative, next(iter(draws)))
        return ids[bounds[drawn] : bounds[drawn + 1]].tolist()

    def _segmentations(
        self, word: str, alpha: float
    ) -> tuple[array[int], array[int], array[float]]:
        """The likeliest segmentations of a word: their ids, where each begins and ends, and
        cumulative probabilities.

        The probabilities are of all but the last one.
        """
        found = self._processor.nbest_encode_as_ids(word, SEGMENTATIONS)
        scores = np.array([sum(map(self._processor.get_score, ids)) for ids in found])
        weights = np.exp(alpha * (scores - scores.max()))
        bounds = array("i", itertools.accumulate(map(len, found), initial=0))
        return (
            array("i", itertools.chain(*found)),
            bounds,
            array("d", (np.cumsum(weights) / weights.sum())[:-1]),
        )

    @functools.cached_property
    def module(self) -> tf_text.SentencepieceTokenizer:
        """The `tf.Module` that stands in graphs; an export has to track it."""
        with tf.init_scope():
            module = tf_text.SentencepieceTokenizer(self.model_proto, out_type=tf.int32)
            module._model_resource = _SharedModel(self.model_proto)
            return module

    def tokenize(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids `[B, (pieces)]` of strings `[B]`, in a graph; without start and end."""
        text = tf.ensure_shape(text, [None])
        return self.module.tokenize(
            tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        )

    def detokenize(self, ids: tf.Tensor) -> tf.Tensor:
        """Strings `[B]` of ids `[B, T]`, in a graph: what stands before the first end or
        padding."""
        ended = tf.cumsum(tf.cast((ids == END) | (ids == PAD), tf.int32), axis=1)
        return self.module.detokenize(tf.ragged.boolean_mask(ids, ended == 0))

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """The strings of ids of any shape, padding as empty strings."""
        strings = self.module.id_to_string(ids)
        return tf.where(ids == PAD, "", strings)


class _SharedModel(tf.saved_model.experimental.TrackableResource):
    """A SentencePiece model in TensorFlow's memory, named by its content.

    tf-text's own has no name and belongs to a cached kernel: `tf.random.set_seed` empties that
    cache, and every graph that holds the tokenizer fails from then on.
    """

    def __init__(self, model_proto: bytes) -> None:
        super().__init__()
        self._model_proto = model_proto
        _ = self.resource_handle  # creates it

    def _create_resource(self) -> tf.Tensor:
        name = f"sentencepiece_{hashlib.sha256(self._model_proto).hexdigest()}"
        return gen_sentencepiece_tokenizer.sentencepiece_op(
            model=self._model_proto, shared_name=name
        )


def _valid(text: str | bytes) -> str:
    """Valid Unicode: what is not comes as U+FFFD."""
    text = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    return text.decode(errors="replace")
