"""Small presets of KerasHub, made from a config: real files, weights that nobody trained."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import sentencepiece

from tests.training.corpora import PAIRS

TEXTS = [source for source, _ in PAIRS]
SIZES: dict[str, Any] = {
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 12,
    "intermediate_dim": 16,
    "dropout": 0.0,
    "max_sequence_length": 64,
}


def _words() -> list[str]:
    """A vocabulary of WordPiece."""
    words = {word.strip(".").lower() for text in TEXTS for word in text.split()}
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *sorted(words)]
    return list(dict.fromkeys([*pieces, *letters, *(f"##{letter}" for letter in letters)]))


def bert() -> tuple[Any, Any]:
    """WordPiece."""
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=_words(), lowercase=True)
    size = tokenizer.vocabulary_size()
    return keras_hub.models.BertBackbone(vocabulary_size=size, **SIZES), tokenizer


def distil_bert() -> tuple[Any, Any]:
    """WordPiece, without segments."""
    tokenizer = keras_hub.models.DistilBertTokenizer(vocabulary=_words(), lowercase=True)
    size = tokenizer.vocabulary_size()
    return keras_hub.models.DistilBertBackbone(vocabulary_size=size, **SIZES), tokenizer


def roberta() -> tuple[Any, Any]:
    """Byte pairs, each byte spelled by one character; two merges."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    characters = [chr(byte) for byte in plain] + [chr(256 + i) for i in range(len(others))]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *characters, "th", "og"]
    tokenizer = keras_hub.models.RobertaTokenizer(
        # In another order than that of the ids.
        vocabulary={piece: pieces.index(piece) for piece in sorted(pieces)},
        merges=["t h", "o g"],
    )
    return keras_hub.models.RobertaBackbone(vocabulary_size=len(pieces), **SIZES), tokenizer


def xlm_roberta() -> tuple[Any, Any]:
    """SentencePiece, with ids of its own."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=written,
        vocab_size=60,
        pad_id=-1,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tokenizer = keras_hub.models.XLMRobertaTokenizer(proto=written.getvalue())
    size = tokenizer.vocabulary_size()
    return keras_hub.models.XLMRobertaBackbone(vocabulary_size=size, **SIZES), tokenizer


KINDS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "bert": bert,
    "distil_bert": distil_bert,
    "roberta": roberta,
    "xlm_roberta": xlm_roberta,
}
"""What makes a backbone and its tokenizer, by their names."""


def write_preset(folder: Path, kind: str) -> Path:
    """A local preset, as KerasHub saves one, of random weights."""
    keras.utils.set_random_seed(5)
    backbone, tokenizer = KINDS[kind]()
    generator = np.random.default_rng(5)
    backbone.set_weights([generator.normal(0, 0.5, weight.shape) for weight in backbone.weights])
    backbone.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    return folder
