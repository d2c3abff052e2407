"""Strings to translations: tokenizer, model and search as one function of TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from attention_nmt.config import END, PAD, RunFolder, SearchConfig, from_dict
from attention_nmt.decoding import Hypotheses, maximum_lengths, search
from attention_nmt.model import Seq2Seq
from attention_nmt.tokenizer import Tokenizer


class TranslationTensors(NamedTuple):
    """What a graph gives for `B` sentences, `N` translations each, the best first."""

    texts: tf.Tensor  # [B, N] string
    scores: tf.Tensor  # [B, N] float32
    source_tokens: tf.Tensor  # [B, S] string, the end symbol included, padding empty
    target_tokens: tf.Tensor  # [B, N, T] string, likewise
    alignments: tf.Tensor | None  # [B, N, T, S]


class Translation(NamedTuple):
    """One translation of one sentence; `T` and `S` are its own lengths, the end symbols included."""

    text: str
    score: float
    """The log-probability over the length penalty."""
    source_tokens: list[str]
    target_tokens: list[str]
    alignment: np.ndarray | None  # [T, S], each row sums to 1


class Translator:
    """Translates strings.

    Args:
        model: a trained model.
        source_tokenizer: the tokenizer of the source, and of the target where no other is given.
        search: how to search.
        target_tokenizer: the tokenizer of the target, where the vocabulary is not shared.
        batch_size: sentences translated together.

    Raises:
        ValueError: a vocabulary is not of the model's size.

    Example:

    ```python
    translator = Translator.from_run("runs/en-de")
    print(translator(["A red dress."])[0].text)
    ```
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        search: SearchConfig | None = None,
        target_tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
    ) -> None:
        self.model, self.search, self.batch_size = model, search or SearchConfig(), batch_size
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer or source_tokenizer
        _check_size("source", self.source_tokenizer, model.config.source_vocabulary_size)
        _check_size("target", self.target_tokenizer, model.config.target_vocabulary_size)
        strings = tf.TensorSpec([None], tf.string)
        self.translate = tf.function(self.translate_tensor, input_signature=[strings])

    @classmethod
    def from_run(cls, run_dir: str | Path, search: SearchConfig | None = None) -> Translator:
        """The translator of a run folder: its best weights, its tokenizers and, if none is given, its search.

        Raises:
            FileNotFoundError: the folder holds no finished evaluation of a training.
        """
        run = RunFolder(Path(run_dir))
        config = run.read_config()
        if not run.best.is_file():
            raise FileNotFoundError(f"{run.path} has no {run.best.name}: its training has not been evaluated yet.")
        model = keras.saving.load_model(run.best, compile=False)
        source = Tokenizer.load(run.source_tokenizer)
        target = Tokenizer.load(run.target_tokenizer) if run.target_tokenizer.is_file() else source
        return cls(model, source, search or from_dict(SearchConfig, config["search"]), target)

    def hypotheses(self, source: tf.Tensor, alignments: bool = True) -> Hypotheses:
        """Searches translations of ids `[B, S]`, in a graph."""
        memory, state = self.model.start(source)

        def step(ids: tf.Tensor, state: Any) -> tuple:
            logits, state, alignment = self.model.step(ids, state, memory)
            return logits, state, alignment if alignments else None

        return search(step, state, maximum_lengths(source, self.search), self.search)

    def encode(self, text: tf.Tensor) -> tf.Tensor:
        """The ids `[B, S]` of strings `[B]`, the end symbol included, in a graph."""
        pieces = self.source_tokenizer.tokenize(text)
        return tf.concat([pieces, tf.fill([pieces.nrows(), 1], END)], axis=1).to_tensor(PAD)

    def translate_tensor(self, text: tf.Tensor) -> TranslationTensors:
        """Translates strings `[B]`, in a graph; the translation of a text without words is empty and scores 0."""
        source = self.encode(text)
        found = self.hypotheses(source)
        shape = tf.shape(found.ids)
        texts = self.target_tokenizer.detokenize(tf.reshape(found.ids, [-1, shape[2]]))
        blank = tf.equal(source[:, :1], END)
        return TranslationTensors(
            tf.where(blank, "", tf.reshape(texts, shape[:2])),
            tf.where(blank, 0.0, found.scores),
            self.source_tokenizer.pieces(source),
            tf.where(blank[:, :, None], "", self.target_tokenizer.pieces(found.ids)),
            found.alignments,
        )

    def n_best(self, texts: Sequence[str] | tf.Tensor) -> list[list[Translation]]:
        """The `search.n_best` best translations of each text, the best first.

        Raises:
            ValueError: `texts` is one string and not a sequence of them.
        """
        if isinstance(texts, (str, bytes)):
            raise ValueError(f"`texts` must be a sequence of strings. Received: the string {texts!r}.")
        strings = [_encode(text) for text in (texts.numpy() if isinstance(texts, tf.Tensor) else texts)]
        # Sentences of one length together: little padding, and a batch ends with its longest.
        order = sorted(range(len(strings)), key=lambda i: len(strings[i]))
        found: list[list[Translation]] = [[] for _ in strings]
        for begin in range(0, len(order), self.batch_size):
            indices = order[begin : begin + self.batch_size]
            tensors = self.translate(tf.constant([strings[i] for i in indices], tf.string))
            for index, translations in zip(indices, _unpack(tensors), strict=True):
                found[index] = translations
        return found

    def __call__(self, texts: Sequence[str] | tf.Tensor) -> list[Translation]:
        """The best translation of each text; see `n_best`."""
        return [translations[0] for translations in self.n_best(texts)]


def _check_size(side: str, tokenizer: Tokenizer, size: int) -> None:
    if tokenizer.vocabulary_size != size:
        expected = f"the model's {side}_vocabulary_size={size} pieces"
        raise ValueError(f"`{side}_tokenizer` must have {expected}. Received: {tokenizer.vocabulary_size}.")


def _encode(text: str | bytes) -> bytes:
    return text.encode(errors="replace") if isinstance(text, str) else text


def _unpack(tensors: TranslationTensors) -> list[list[Translation]]:
    """The translations of a batch without their padding."""
    texts, scores, sources, targets, alignments = (x if x is None else x.numpy() for x in tensors)
    unpacked = []
    for b, source in enumerate(sources):
        source_tokens = [token.decode(errors="replace") for token in source if token]
        row = []
        for n in range(texts.shape[1]):
            tokens = [token.decode(errors="replace") for token in targets[b, n] if token]
            alignment = None if alignments is None else alignments[b, n, : len(tokens), : len(source_tokens)]
            text = texts[b, n].decode(errors="replace")
            row.append(Translation(text, float(scores[b, n]), source_tokens, tokens, alignment))
        unpacked.append(row)
    return unpacked
