"""What is asked of the tokenizer of sources, and how one is read from its file.

That of targets is a `Tokenizer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.types import SpecialIds

if TYPE_CHECKING:
    import tensorflow as tf

_ZIP = b"PK\x03\x04"
"""The first bytes of a `HubTokenizer`'s file."""


class SourceTokenizer(Protocol):
    """`Tokenizer`, or `HubTokenizer` of a pretrained encoder."""

    @property
    def special(self) -> SpecialIds:
        """The ids of padding, unknown, start and end; padding is 0."""

    @property
    def source_prefix(self) -> tuple[int, ...]:
        """The ids before the pieces of a source."""

    @property
    def draws(self) -> bool:
        """Whether a text has several segmentations, of which `sample` draws one."""

    @property
    def file_name(self) -> str:
        """The name of its file in the folder of a model to share, as KerasHub has it."""

    @property
    def content(self) -> bytes:
        """Its file: equal tokenizers have equal ones."""

    @property
    def model_proto(self) -> bytes | None:
        """The SentencePiece model that its graphs hold; None if its pieces are made otherwise."""

    @property
    def vocabulary_size(self) -> int:
        """The number of ids."""

    @property
    def graph(self) -> Any:
        """It as operations of TensorFlow: `tokenize`, `source_ids`, `pieces`."""

    @property
    def module(self) -> Any:
        """What stands in graphs; an export has to track it."""

    def normalize(self, text: str) -> str:
        """The text that its pieces spell."""

    def encode(self, texts: Sequence[str | bytes]) -> list[list[int]]:
        """The ids of each text, without prefix and end."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The strings of ids."""

    def source_ids(self, texts: Sequence[str | bytes], limit: int) -> list[list[int]]:
        """The ids that a model reads of each text, at most `limit` of them."""

    def sample(
        self, texts: Sequence[str | bytes], seed: Sequence[int], alpha: float
    ) -> list[list[int]]:
        """A random segmentation of each text, if it draws."""

    def pieces(self, ids: tf.Tensor) -> tf.Tensor:
        """The strings of ids of any shape, in a graph, padding as empty strings."""

    def save(self, path: str | Path) -> None:
        """Writes its file."""


def read_source_tokenizer(content: bytes) -> SourceTokenizer:
    """The tokenizer of a file.

    Raises:
        ImportError: it is KerasHub's, which is not installed.
        ValueError: it is none.
    """
    if content.startswith(_ZIP):
        from attention_nmt.data.hub_tokenizer import HubTokenizer

        return HubTokenizer.from_bytes(content)
    return Tokenizer(content)
