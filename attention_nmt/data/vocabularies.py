"""One vocabulary by another: the pieces that both have, and the parts of those that are new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sentencepiece

from attention_nmt.checks import missing_package
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer

_BYTE = "<0x{:02X}>"
_IS_BYTE = re.compile(r"<0x[0-9A-F]{2}>")

_UNKNOWN_PENALTY = 10.0
"""How much less likely than the rarest piece a character is that has none, as in SentencePiece."""


def extend(tokenizer: Tokenizer, other: Tokenizer) -> Tokenizer:
    """A tokenizer with the pieces that only another one has behind its own.

    All ids of `tokenizer` stay what they are, and so does its normalization. Both vocabularies'
    log-probabilities stand beside each other as they are.

    Raises:
        ImportError: protobuf is not installed; the message names the command that installs it.
    """
    parse = _model_class().FromString
    extended = parse(tokenizer.model_proto)
    known = {piece.piece for piece in extended.pieces}
    new = [piece for piece in parse(other.model_proto).pieces if piece.piece not in known]

    extended.pieces.extend(new)
    extended.trainer_spec.vocab_size = len(extended.pieces)
    return Tokenizer(extended.SerializeToString())


def _model_class() -> Any:
    """The message of a SentencePiece model, as far as it is looked into; the rest of it is kept.

    SentencePiece's own class wants a protobuf that is at least as new as the one it was made with.

    Raises:
        ImportError: protobuf is not installed.

    Source: SentencePiece's `sentencepiece_model.proto`.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ModuleNotFoundError as error:
        raise ImportError(missing_package(error), name=error.name) from error

    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model.proto", package="nmt", syntax="proto2")

    piece = file.message_type.add(name="Piece")
    piece.field.add(name="piece", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)

    trainer = file.message_type.add(name="Trainer")
    trainer.field.add(name="vocab_size", number=4, type=kind.TYPE_INT32, label=kind.LABEL_OPTIONAL)

    model = file.message_type.add(name="Model")
    pieces = model.field.add(name="pieces", number=1, type=kind.TYPE_MESSAGE)
    pieces.label = kind.LABEL_REPEATED
    pieces.type_name = ".nmt.Piece"
    spec = model.field.add(name="trainer_spec", number=2, type=kind.TYPE_MESSAGE)
    spec.label = kind.LABEL_OPTIONAL
    spec.type_name = ".nmt.Trainer"

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nmt.Model"))


def parts(old: SourceTokenizer, new: SourceTokenizer) -> list[list[int]]:
    """The ids in an old vocabulary of what each piece of a new one is made of.

    Of a piece that both have it is its own id; of another one the ids of its likeliest
    segmentation, in which a character without a piece is spelled as bytes, if there are such
    pieces, or is unknown. Special symbols are themselves.

    Returns:
        A list for each id of `new`, none of them empty.

    Raises:
        ValueError: they differ, and one is a pretrained encoder's.
    """
    if old.content == new.content:
        return [[piece] for piece in range(new.vocabulary_size)]
    if not isinstance(old, Tokenizer) or not isinstance(new, Tokenizer):
        raise ValueError("`new` must be the tokenizer of the pretrained encoder. Received another.")

    segmenter = _Segmenter(old)
    return [segmenter.ids(piece) for piece in _pieces(_processor(new))]


class _Segmenter:
    """The likeliest segmentation of a piece as it is: SentencePiece's own would add a space."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        processor = _processor(tokenizer)
        self.unknown = tokenizer.special.unknown
        self.known = {piece: index for index, piece in enumerate(_pieces(processor))}
        self.scores = {
            piece: processor.get_score(index)
            for piece, index in self.known.items()
            if not (processor.is_control(index) or processor.is_byte(index))
        }
        self.longest = max(map(len, self.scores))
        self.rarest = min(self.scores.values()) - _UNKNOWN_PENALTY

    def ids(self, piece: str) -> list[int]:
        """The ids that a piece is made of."""
        if piece in self.known:
            return [self.known[piece]]
        if _IS_BYTE.fullmatch(piece):
            return [self.unknown]
        return [index for part in self._best(piece) for index in self._part_ids(part)]

    def _best(self, text: str) -> list[str]:
        """The segmentation with the highest sum of log-probabilities, by dynamic programming."""
        best: list[tuple[float, list[str]]] = [(0.0, [])]
        for end in range(1, len(text) + 1):
            ways = []
            for start in range(max(0, end - self.longest), end):
                part = text[start:end]
                if part in self.scores or len(part) == 1:
                    score, before = best[start]
                    ways.append((score + self.scores.get(part, self.rarest), [*before, part]))
            best.append(max(ways))
        return best[-1][1]

    def _part_ids(self, part: str) -> list[int]:
        if part in self.scores:
            return [self.known[part]]
        spelled = [_BYTE.format(byte) for byte in part.encode()]
        return [self.known.get(byte, self.unknown) for byte in spelled]


def _processor(tokenizer: Tokenizer) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)


def _pieces(processor: sentencepiece.SentencePieceProcessor) -> Iterator[str]:
    return map(processor.id_to_piece, range(processor.get_piece_size()))
