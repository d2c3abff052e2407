"""SentencePiece unigram pieces, trained from text and kept in one file.

Text becomes the same ids in Python, in a TensorFlow graph and in a SavedModel. This module needs no
TensorFlow; what stands in graphs is in `graph_tokenizer`, which is imported when it is first used.
"""

from __future__ import annotations

import functools
import io
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sentencepiece

from attention_nmt.checks import missing_package, require
from attention_nmt.data.limits import cut_text
from attention_nmt.data.normalization import SPACE, Normalization, training_options
from attention_nmt.data.segmentations import SegmentationSampler
from attention_nmt.files import atomic_write
from attention_nmt.types import SPECIAL, SpecialIds

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_text as tf_text

    from attention_nmt.data.graph_tokenizer import GraphTokenizer

MAXIMUM_TRAINING_LINES = 2_000_000
"""Lines of text that a vocabulary is trained on; of more, a random selection is taken."""

MAXIMUM_CHARACTERS = 4000
"""The longest text that a vocabulary or a model is trained on, in characters.

The time that SentencePiece takes for a line grows with the square of its length.
"""

MAXIMUM_TRAINING_BYTES = 2**20
"""The longest line for SentencePiece, in bytes: by itself it silently leaves out those over 4,192.
"""


class Tokenizer:
    """Turns text into pieces and back.

    Text is normalized as the tokenizer's file says (see `data.normalization`; by default Unicode
    NFC), and runs of spaces become one, with none at the ends. From then on nothing is lost:
    `decode(encode([text])) == [normalize(text)]` for any Unicode text, because characters outside
    the vocabulary are spelled as bytes. Invalid UTF-8 is read as U+FFFD.

    Args:
        model_proto: a serialized SentencePiece model, as `train` and `load` give it.

    Attributes:
        model_proto: the same.
        special: the ids of padding, unknown, start and end.
        source_prefix: the ids that stand before the pieces of a source; none here.
        draws: True: a text has several segmentations, of which `sample` draws one.

    Raises:
        TypeError: `model_proto` is not bytes.
        ValueError: `model_proto` is not a SentencePiece model with the ids 0 to 3 for padding,
            unknown, start and end.

    Source: Kudo (2018), arXiv 1804.10959; Kudo and Richardson (2018), arXiv 1808.06226.

    Example:

    ```python
    tokenizer = Tokenizer.train(open("corpus.txt"), vocabulary_size=4000)
    ids = tokenizer.encode(["A red dress."])
    print(tokenizer.decode(ids))
    ```
    """

    source_prefix: ClassVar[tuple[int, ...]] = ()
    draws: ClassVar[bool] = True
    file_name: ClassVar[str] = "vocabulary.spm"

    def __init__(self, model_proto: bytes) -> None:
        if not isinstance(model_proto, bytes):
            expected = "`model_proto` must be the bytes of a file, which `load` reads"
            raise TypeError(f"{expected}. Received: {model_proto!r}.")

        self.model_proto = model_proto
        try:
            processor = sentencepiece.SentencePieceProcessor(model_proto=model_proto)
        except (RuntimeError, OSError) as error:
            message = f"`model_proto` must be a serialized SentencePiece model: {error}"
            raise ValueError(message) from error

        self._processor = processor
        self._sampler = SegmentationSampler(processor)

        self.special = SpecialIds(
            pad=processor.pad_id(),
            unknown=processor.unk_id(),
            start=processor.bos_id(),
            end=processor.eos_id(),
        )
        expected = tuple(SPECIAL)
        require(
            self.special == SPECIAL,
            "model_proto",
            f"a model with pad, unk, bos, eos = {expected}",
            tuple(self.special),
        )

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocabulary_size: int,
        character_coverage: float = 0.9999,
        normalization: Normalization = "nfc",
    ) -> Tokenizer:
        """Learns a vocabulary.

        Texts over `MAXIMUM_CHARACTERS` are left out, and a warning says how many they were.

        Args:
            texts: sentences; read once.
            vocabulary_size: pieces, the special ones, 256 bytes and all characters included.
            character_coverage: the share of the characters of `texts`, from 0.98 to 1, that get
                pieces of their own; rarer ones are spelled as bytes.
            normalization: the spelling that texts are brought into, one of
                `data.normalization.NORMALIZATIONS`; it is kept in the tokenizer's file.

        Raises:
            TypeError: `texts` is one string, or has something else than strings.
            ValueError: `texts` is empty, or supports no vocabulary of this size, and the message
                says what it supports; or a value outside its range.
        """
        # The range is SentencePiece's.
        require(
            0.98 <= character_coverage <= 1,
            "character_coverage",
            "a share from 0.98 to 1",
            character_coverage,
        )

        whole = isinstance(vocabulary_size, int) and vocabulary_size >= 1
        require(whole, "vocabulary_size", "an integer of at least 1", vocabulary_size)

        options = training_options(normalization)
        kept = _KeptTexts(texts)
        try:
            model_proto = _train(iter(kept), vocabulary_size, character_coverage, options)
        except RuntimeError as error:
            if kept.error is not None:  # that of the texts, which SentencePiece makes its own of
                raise kept.error from error

            reason = _training_error(error, character_coverage)
            expected = "`vocabulary_size` must be a size that the text supports."
            message = f"{expected} Received: {vocabulary_size}. {reason}"
            raise ValueError(message) from error

        if kept.too_long:
            message = f"{kept.too_long} texts over {MAXIMUM_CHARACTERS} characters were left out"
            warnings.warn(message, stacklevel=2)

        return cls(model_proto)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Reads a tokenizer that `save` wrote.

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
    def content(self) -> bytes:
        """Its file: equal tokenizers have equal ones."""
        return self.model_proto

    @property
    def vocabulary_size(self) -> int:
        """The number of pieces, `V`."""
        return self._processor.get_piece_size()

    def normalize(self, text: str) -> str:
        """The text that encoding and decoding `text` gives."""
        (valid,) = _valid_texts([text])

        return self._normalized(valid).lstrip(" ")

    def encode(self, texts: Sequence[str | bytes]) -> list[list[int]]:
        """The ids of the best segmentation of each text, without end symbols.

        Raises:
            TypeError: `texts` is one string, or has something else than strings.
        """
        return [self._processor.encode(text) for text in _valid_texts(texts)]

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of ids, up to its first end symbol or padding.

        Raises:
            TypeError: `rows` is one row.
        """
        return [self._processor.decode(self._before_end(row)) for row in rows]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The strings of ids."""
        return [self._processor.id_to_piece(int(piece)) for piece in ids]

    def source_ids(self, texts: Sequence[str | bytes], limit: int) -> list[list[int]]:
        """The ids that a model reads of each text: the prefix, the pieces and the end symbol.

        Args:
            texts: the sources.
            limit: the most ids of a source; pieces beyond it are cut off. A text is cut at
                `MAXIMUM_TEXT_BYTES`, too.
        """
        pieces = limit - 1 - len(self.source_prefix)
        rows = [self._processor.encode(text) for text in _valid_texts(texts, cut=True)]

        return [[*self.source_prefix, *ids[:pieces], self.special.end] for ids in rows]

    def sample(
        self, texts: Sequence[str | bytes], seed: Sequence[int], alpha: float
    ) -> list[list[int]]:
        """A random segmentation of each text, without end symbols.

        Each word's is drawn with probability proportional to `p ** alpha`.

        Args:
            texts: the texts.
            seed: integers; the same ones give the same segmentations in any process.
            alpha: 0 draws evenly, large values give the best segmentation.

        Source: Kudo (2018), section 3.4, per word and not per sentence: pieces never span words, so
        a sentence's segmentations are those of its words in any combination. SentencePiece itself
        draws differently in each process.
        """
        lines = [self._normalized(text).split(" ") for text in _valid_texts(texts)]

        return self._sampler.sample(lines, seed, alpha)

    @functools.cached_property
    def graph(self) -> GraphTokenizer:
        """The tokenizer as operations of TensorFlow.

        Raises:
            ImportError: TensorFlow or tensorflow-text is not installed; the message names the
                command that installs it.
        """
        try:
            from attention_nmt.data.graph_tokenizer import GraphTokenizer
        except ModuleNotFoundError as error:
            raise ImportError(missing_package(error), name=error.name) from error

        return GraphTokenizer(self)

    @property
    def module(self) -> tf_text.SentencepieceTokenizer:
        """The `tf.Module` that stands in graphs; an export has to track it."""
        return self.graph.module

    def tokenize(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids `[B, (pieces)]` of strings `[B]`, in a graph; without start and end."""
        return self.graph.tokenize(text)

    def detokenize(self, ids: tf.Tensor) -> tf.Tensor:
        """Strings `[B]` of ids `[B, T]`, in a graph, up to the first end symbol or padding."""
        return self.graph.detokenize(ids)

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """The strings of ids of any shape, in a graph, padding as empty strings."""
        return self.graph.pieces(ids)

    def _normalized(self, text: str) -> str:
        """The normalized text, with a space before its first word."""
        return self._processor.normalize(text).replace(SPACE, " ")

    def _before_end(self, row: Sequence[int]) -> list[int]:
        if not isinstance(row, Iterable):
            raise TypeError(f"`rows` must be rows of ids. Received one row, with {row!r}.")

        stops = (self.special.end, self.special.pad)

        return [int(i) for i in itertools.takewhile(lambda i: i not in stops, row)]


class _KeptTexts:
    """The texts that a vocabulary is trained on, those of at most `MAXIMUM_CHARACTERS`.

    Args:
        texts: all texts.

    Attributes:
        too_long: the number of longer ones, so far.
        error: what was raised when a text was read.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.too_long = 0
        self.error: BaseException | None = None
        self._texts = texts

    def __iter__(self) -> Iterator[str]:
        try:
            for text in _valid_texts(self._texts):
                if len(text) > MAXIMUM_CHARACTERS:
                    self.too_long += 1
                else:
                    yield text
        except BaseException as error:
            self.error = error
            raise


def _train(
    texts: Iterator[str], vocabulary_size: int, character_coverage: float, options: dict[str, Any]
) -> bytes:
    """A SentencePiece model, trained with the options of a normalization.

    Raises:
        RuntimeError: the texts support no vocabulary of this size, or could not be read.
        ValueError: there is no text.
    """
    first = next((text for text in texts if text.strip()), None)
    expected = "at least one sentence that is not empty"
    require(
        first is not None,
        "texts",
        f"{expected}, of at most {MAXIMUM_CHARACTERS} characters",
        "none",
    )

    writer = io.BytesIO()
    sentencepiece.set_random_generator_seed(1)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=itertools.chain([first], texts),
        model_writer=writer,
        model_type="unigram",
        vocab_size=vocabulary_size,
        character_coverage=character_coverage,
        byte_fallback=True,
        input_sentence_size=MAXIMUM_TRAINING_LINES,
        max_sentence_length=MAXIMUM_TRAINING_BYTES,
        pad_id=SPECIAL.pad,
        unk_id=SPECIAL.unknown,
        bos_id=SPECIAL.start,
        eos_id=SPECIAL.end,
        minloglevel=2,
        **options,
    )

    return writer.getvalue()


def _training_error(error: RuntimeError, character_coverage: float) -> str:
    """The reason that SentencePiece gives for learning no vocabulary, with a remedy if known."""
    reason = str(error).strip().splitlines()[-1].rpartition("] ")[2]

    characters = re.search(r"required_chars\. \d+ vs (\d+)", reason)
    if characters is None:
        return reason

    return (
        f"The special pieces and the characters alone are {characters[1]}; a smaller "
        f"`character_coverage` than {character_coverage} spells rare ones as bytes."
    )


def _valid_texts(texts: Iterable[str | bytes], *, cut: bool = False) -> Iterator[str]:
    """Texts as valid Unicode, with U+FFFD for what is not.

    Args:
        texts: the texts.
        cut: cut them at `MAXIMUM_TEXT_BYTES`.

    Raises:
        TypeError: `texts` is one string, or has something else than strings.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"`texts` must be a list of strings. Received one string: {texts[:50]!r}.")

    for index, text in enumerate(texts):
        if not isinstance(text, str | bytes):
            raise TypeError(f"`texts` must be strings. Received at index {index}: {text!r}.")

        encoded = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
        if cut:
            encoded = cut_text(encoded)
        yield encoded.decode(errors="replace")
