"""The limit of a text in bytes, which holds before the text is tokenized.

A limit in pieces comes too late: SentencePiece takes some 200 bytes of memory for each byte of a
text before there are any pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

MAXIMUM_TEXT_BYTES = 2**16
"""The most bytes, in UTF-8, that are read of a text whose pieces are limited, too.

The 400 pieces of the usual limit have some 1,600 bytes.
"""

LONGEST_CHARACTER = 4
"""The most bytes of a character in UTF-8."""


class CutTexts(NamedTuple):
    """A batch of texts of at most `MAXIMUM_TEXT_BYTES` each."""

    texts: tf.Tensor  # [B] string
    truncated: tf.Tensor  # [B] bool: the text was longer, and cut


def cut_text(text: bytes) -> bytes:
    """The longest beginning of a text that is within the limit and of whole characters.

    Bytes that are no UTF-8 are cut at the limit.
    """
    limit = MAXIMUM_TEXT_BYTES
    if len(text) <= limit:
        return text

    for end in range(limit, limit - LONGEST_CHARACTER, -1):
        begins_character = text[end] & 0xC0 != 0x80
        if begins_character:
            return text[:end]

    return text[:limit]


def cut_texts(texts: tf.Tensor) -> CutTexts:
    """`cut_text` of strings `[B]`, in a graph of TensorFlow."""
    import tensorflow as tf

    limit = MAXIMUM_TEXT_BYTES
    # One byte more than may be read: the character that this byte belongs to is left out.
    head = tf.strings.substr(texts, 0, limit + 1)
    truncated = tf.strings.length(head) > limit

    # The space is a character for bytes that belong to none.
    spaced = tf.strings.join([" ", head])
    characters = tf.strings.length(spaced, unit="UTF8_CHAR")
    kept = tf.maximum(characters - 1, 1)
    whole = tf.strings.substr(spaced, tf.zeros_like(kept), kept, unit="UTF8_CHAR")
    whole = tf.strings.substr(whole, 1, limit)

    is_text = tf.strings.length(whole) > limit - LONGEST_CHARACTER
    cut = tf.where(is_text, whole, tf.strings.substr(head, 0, limit))

    return CutTexts(texts=tf.where(truncated, cut, head), truncated=truncated)
