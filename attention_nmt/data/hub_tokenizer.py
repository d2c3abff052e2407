"""Tokenizers of KerasHub, for the sources of a pretrained encoder; they need TensorFlow."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import sentencepiece
import tensorflow as tf

from attention_nmt.checks import require, require_type
from attention_nmt.data.graph_tokenizer import (
    UNLIMITED,
    EncodedTexts,
    checked,
    encoded,
    sentencepiece_module,
)
from attention_nmt.files import TOKENIZER_BYTES, atomic_write
from attention_nmt.layers.pretrained_encoder import import_keras_hub
from attention_nmt.types import SpecialIds

_RECORD = "tokenizer.json"
"""The name of the tokenizer's description in its file; its assets have KerasHub's names."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of what is in a file, so that equal tokenizers have equal files."""


class HubTokenizer:
    """Turns source texts into the ids of a KerasHub tokenizer plus 1; 0 is padding.

    A source has KerasHub's start symbol before its pieces and its end symbol behind them. Pieces
    are KerasHub's, made by its operations of TensorFlow wherever they are made.

    Args:
        hub: a tokenizer of KerasHub that has a start, an end and a form in graphs.

    Attributes:
        hub: the same.
        special: the ids of padding, unknown, start and end.
        source_prefix: the ids that stand before the pieces of a source.
        draws: False: a text has one segmentation.

    Raises:
        ImportError: KerasHub is not installed.
        TypeError: `hub` is something else.
        ValueError: it has no start and end symbols, or cannot stand in a graph.
    """

    draws: ClassVar[bool] = False
    file_name: ClassVar[str] = "tokenizer.zip"

    def __init__(self, hub: Any) -> None:
        keras_hub = import_keras_hub()
        known = isinstance(hub, keras_hub.tokenizers.Tokenizer)
        require_type(known, "hub", "a tokenizer of KerasHub", hub)
        for name in ("sequence_length", "add_bos", "add_eos"):
            value = getattr(hub, name, None)
            require(not value, name, "left out of the tokenizer", value)

        self.hub = hub
        framing = [getattr(hub, f"{name}_token_id", None) for name in ("start", "end")]
        ids = [int(i) + 1 for i in framing if i is not None]
        expected = "a tokenizer with a start and an end symbol"
        require(len(ids) == 2, "hub", expected, type(hub).__name__)
        start, end = ids
        self.special = SpecialIds(pad=0, unknown=_unknown(hub, end), start=start, end=end)
        self.source_prefix = (start,)
        if self.model_proto is None:
            self._check_graph()

    @classmethod
    def from_preset(cls, preset: str) -> HubTokenizer:
        """The tokenizer of a preset: a name, a folder, or one on a hub, as KerasHub takes it.

        Raises:
            ImportError: KerasHub is not installed.
            ValueError: there is no such preset, or its tokenizer cannot be used here.
        """
        keras_hub = import_keras_hub()
        try:
            hub = keras_hub.models.Tokenizer.from_preset(preset)
        except (ValueError, OSError) as error:
            expected = "one whose tokenizer KerasHub loads"
            message = (
                f"`preset` must be {expected}. Received: {preset!r}, of which it says: {error}"
            )
            raise ValueError(message) from error
        return cls(hub)

    @classmethod
    def from_bytes(cls, content: bytes) -> HubTokenizer:
        """The tokenizer that a file holds.

        Raises:
            ImportError: KerasHub is not installed.
            ValueError: the file holds something else.
        """
        import_keras_hub()
        try:
            with tempfile.TemporaryDirectory() as folder:
                hub = _read(content, Path(folder))
        except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"expected a tokenizer of KerasHub: {error}") from error
        return cls(hub)

    @functools.cached_property
    def content(self) -> bytes:
        """Its file: equal tokenizers have equal ones."""
        record = keras.saving.serialize_keras_object(self.hub)
        kept = {name: record[name] for name in ("registered_name", "config")}
        kept["config"] = {**kept["config"], "name": "tokenizer"}
        stored = io.BytesIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            self.hub.save_assets(folder)
            (Path(folder) / _RECORD).write_text(json.dumps(kept, sort_keys=True), encoding="utf-8")
            for path in sorted(Path(folder).iterdir()):
                entry = zipfile.ZipInfo(path.name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
        return stored.getvalue()

    @property
    def model_proto(self) -> bytes | None:
        """The SentencePiece model that its graphs hold; None if its pieces are made otherwise."""
        proto = getattr(self.hub, "proto", None)
        return proto if isinstance(proto, bytes) else None

    def save(self, path: str | Path) -> None:
        """Writes the tokenizer to one file, which `from_bytes` reads."""
        with atomic_write(path) as temporary:
            temporary.write_bytes(self.content)

    @property
    def vocabulary_size(self) -> int:
        """The number of ids, padding included."""
        return self.hub.vocabulary_size() + 1

    def normalize(self, text: str) -> str:
        """The text that pieces are compared with: as it is, since KerasHub names no other."""
        return text

    def encode(self, texts: Sequence[str | bytes]) -> list[list[int]]:
        """The ids of each text, without start and end.

        Raises:
            TypeError: `texts` is one string, or has something else than strings.
        """
        return self.graph.tokenize(_tensor(texts)).to_list()

    def source_ids(self, texts: Sequence[str | bytes], limit: int) -> list[list[int]]:
        """The ids that a model reads of each text: start, pieces, end; see `Tokenizer`."""
        ids = self.graph.source_ids(_tensor(texts), limit).ids
        return tf.RaggedTensor.from_tensor(ids, padding=self.special.pad).to_list()

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The strings of ids, padding as empty ones."""
        return [self.hub.id_to_token(int(i) - 1) if i else "" for i in ids]

    def sample(
        self,
        texts: Sequence[str | bytes],
        seed: Sequence[int],  # noqa: ARG002 - a text has one segmentation
        alpha: float,  # noqa: ARG002
    ) -> list[list[int]]:
        """The ids of each text, without start and end: a text has one segmentation here."""
        return self.encode(texts)

    @functools.cached_property
    def graph(self) -> HubGraphTokenizer:
        """The tokenizer as operations of TensorFlow."""
        return HubGraphTokenizer(self)

    @property
    def module(self) -> Any:
        """What stands in graphs; an export has to track it."""
        return self.graph.module

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """The strings of ids of any shape, in a graph, padding as empty strings."""
        return self.graph.pieces(ids)

    def _check_graph(self) -> None:
        """Makes what the tokenizer's operations read, outside any graph.

        Raises:
            ValueError: it has no operations.
        """
        name = type(self.hub).__name__
        try:
            tf.function(self.hub.tokenize, autograph=False)(tf.constant(["a"]))
        except Exception as error:
            message = f"`hub` must be a tokenizer with a form in graphs. Received: a {name}, which"
            raise ValueError(f"{message} gives: {error!r:.200}") from error


def _read(content: bytes, folder: Path) -> Any:
    """KerasHub's tokenizer of a file, whose assets are written into a folder.

    Raises:
        BadZipFile, zlib.error, OSError, ValueError, KeyError, TypeError: the file is at fault.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        require(size <= TOKENIZER_BYTES, "file", f"of at most {TOKENIZER_BYTES:,} bytes", size)
        archive.extractall(folder)
    record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    found = keras.saving.get_registered_object(record["registered_name"])
    known = isinstance(found, type) and issubclass(found, import_keras_hub().tokenizers.Tokenizer)
    require(known, "registered_name", "a tokenizer of KerasHub", record["registered_name"])
    hub = found.from_config(record["config"])
    hub.load_assets(str(folder))
    return hub


class HubGraphTokenizer:
    """Turns strings into ids, in a graph; see `GraphTokenizer`.

    Args:
        tokenizer: the tokenizer whose pieces these are.
    """

    def __init__(self, tokenizer: HubTokenizer) -> None:
        self._special = tokenizer.special
        self._source_prefix = tokenizer.source_prefix
        self._tokenize = tokenizer.hub.tokenize
        # Not KerasHub's layer itself: an export takes no layer without weights.
        self.module = tf.Module()
        self.module.hub = tokenizer.hub
        if tokenizer.model_proto is not None:
            self.module = sentencepiece_module(tokenizer.model_proto)
            self._tokenize = self._tokenize_by_sentencepiece
        # KerasHub has operations within a graph only.
        signature = [tf.TensorSpec([None], tf.string)]
        self._traced = tf.function(self._tokenize, input_signature=signature, autograph=False)
        # Outside any graph, which read them later.
        with tf.init_scope():
            self._pieces = tf.constant(tokenizer.tokens(range(tokenizer.vocabulary_size)))
            self._ids = tf.constant(_ids_of_pieces(tokenizer), tf.int32)

    def tokenize(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids `[B, (pieces)]` of strings `[B]`, without start and end.

        Raises:
            ValueError: `text` is something else than a vector of strings.
        """
        text = checked(text, "text", tf.string, rank=1)
        valid = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        # What is behind a zero byte would be lost.
        valid = tf.strings.regex_replace(valid, r"\x00", "")
        tokenize = self._tokenize if tf.inside_function() else self._traced
        return tf.cast(tokenize(valid), tf.int32) + 1

    def source_ids(self, text: tf.Tensor, limit: int = UNLIMITED) -> EncodedTexts:
        """The ids that a model reads of strings `[B]`: start, pieces, end; see `GraphTokenizer`."""
        return encoded(self.tokenize, text, self._source_prefix, self._special, limit)

    def _tokenize_by_sentencepiece(self, text: tf.Tensor) -> tf.RaggedTensor:
        """KerasHub's ids by a module that `tf.random.set_seed` leaves alone, unlike KerasHub's."""
        return tf.gather(self._ids, self.module.tokenize(text))

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """The strings of ids of any shape, padding as empty strings."""
        return tf.gather(self._pieces, ids)


def _ids_of_pieces(tokenizer: HubTokenizer) -> list[int]:
    """KerasHub's id of each piece of the SentencePiece model; none of another kind."""
    if tokenizer.model_proto is None:
        return []
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)
    pieces = map(processor.id_to_piece, range(processor.get_piece_size()))
    return [int(tokenizer.hub.token_to_id(piece)) for piece in pieces]


def _unknown(hub: Any, otherwise: int) -> int:
    """The id of what has no piece; a tokenizer of bytes has none."""
    known = getattr(hub, "unk_token_id", None)
    if known is None and getattr(hub, "oov_token", None) is not None:
        known = hub.token_to_id(hub.oov_token)
    return otherwise if known is None else int(known) + 1


def _tensor(texts: Iterable[str | bytes]) -> tf.Tensor:
    """Texts as a vector of strings.

    Raises:
        TypeError: `texts` is one string, or has something else than strings.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"`texts` must be a list of strings. Received one string: {texts[:50]!r}.")
    rows = list(texts)
    for index, text in enumerate(rows):
        if not isinstance(text, str | bytes):
            raise TypeError(f"`texts` must be strings. Received at index {index}: {text!r}.")
    encoded = [
        text if isinstance(text, bytes) else text.encode(errors="surrogatepass") for text in rows
    ]
    return tf.constant(encoded, tf.string)
