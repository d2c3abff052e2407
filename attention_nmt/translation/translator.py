"""Strings to translations: tokenizer, model and search as one function of TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from attention_nmt.checks import require
from attention_nmt.config import END, PAD, START, SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.losses import smoothed_cross_entropy
from attention_nmt.models.seq2seq import SearchWeights, Seq2Seq
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.hypotheses import Hypotheses
from attention_nmt.search.model_search import MAXIMUM_WORDS_BYTES, search_model
from attention_nmt.translation.results import (
    Alignment,
    PairTensors,
    Translation,
    TranslationTensors,
    tokens_of,
    unpack,
)


class Translator:
    """Translates strings.

    Args:
        model: a trained model.
        source_tokenizer: the tokenizer of the source, and of the target where no other is given.
        search: how to search.
        target_tokenizer: the tokenizer of the target, where the vocabulary is not shared.
        batch_size: sentences translated together.
        search_weights: see `frozen`.

    Raises:
        ValueError: a vocabulary is not of the model's size, a coverage penalty goes with a model
        without attention, or
            a batch has no sentence.

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
        search_weights: SearchWeights | None = None,
    ) -> None:
        self.model, self.search, self.batch_size = model, search or SearchConfig(), batch_size
        self.search_weights = search_weights
        self.source_tokenizer, self.target_tokenizer = (
            source_tokenizer,
            target_tokenizer or source_tokenizer,
        )
        require(batch_size >= 1, "batch_size", "at least 1", batch_size)
        covering = self.search.coverage_penalty if model.config.attention == "none" else 0.0
        require(not covering, "coverage_penalty", "0 for a model without attention", covering)
        for side, tokenizer in (
            ("source", self.source_tokenizer),
            ("target", self.target_tokenizer),
        ):
            size, key = tokenizer.vocabulary_size, f"{side}_vocabulary_size"
            expected = getattr(model.config, key)
            require(
                size == expected,
                f"{side}_tokenizer",
                f"of the model's {key}={expected} pieces",
                size,
            )
        graph, strings = (
            functools.partial(tf.function, autograph=False),
            tf.TensorSpec([None], tf.string),
        )
        self._translate = {
            alignments: graph(
                functools.partial(self.translate_tensor, alignments=alignments),
                input_signature=[strings],
            )
            for alignments in (True, False)
        }
        self._align = graph(self._align_tensor, input_signature=[strings, strings])
        self._lay_out = graph(model.search_weights)

    @classmethod
    def from_run(cls, run_dir: str | Path, search: SearchConfig | None = None) -> Translator:
        """The translator of a run folder: its best weights, its tokenizers and, if none is given,
        its search.

        Raises:
            FileNotFoundError: the folder holds no finished evaluation of a training.
            ValueError: a tokenizer is not of the model's size, the model's file holds code, or the
            config has a setting
                of the search that there is none of, or that is outside its range.
        """
        run = RunFolder(Path(run_dir))
        search = search or run.read_search()
        if not run.best.is_file():
            raise FileNotFoundError(
                f"{run.path} has no {run.best.name}: its training has not been evaluated yet."
            )
        model = keras.saving.load_model(run.best, compile=False)
        source = Tokenizer.load(run.source_tokenizer)
        target = Tokenizer.load(run.target_tokenizer) if run.target_tokenizer.is_file() else source
        return cls(model, source, search, target)

    def frozen(self) -> Translator:
        """The same translator of the weights as they are now, laid out for the search: faster,
        until they are trained.

        It holds products of all words (`Decoder.project_words`), if they take at most
        `MAXIMUM_WORDS_BYTES`.
        """
        found = self._lay_out(MAXIMUM_WORDS_BYTES)
        weights = SearchWeights(
            *(None if x is None else tf.Variable(x, trainable=False) for x in found)
        )
        source, target = self.source_tokenizer, self.target_tokenizer
        return Translator(self.model, source, self.search, target, self.batch_size, weights)

    def refresh(self) -> None:
        """Lays the weights out again where `frozen` did and the model has been trained since."""
        assert self.search_weights is not None, "made by `frozen`"
        for variable, value in zip(
            self.search_weights, self._lay_out(MAXIMUM_WORDS_BYTES), strict=True
        ):
            if variable is not None:
                variable.assign(value)

    def hypotheses(
        self, source: tf.Tensor, alignments: bool = True, compact: bool = True
    ) -> Hypotheses:
        """Searches translations of ids `[B, S]`, in a graph; see `search_model`."""
        return search_model(
            self.model, source, self.search, alignments, compact, self.search_weights
        )

    def translate_tensor(self, text: tf.Tensor, alignments: bool = True) -> TranslationTensors:
        """Translates strings `[B]`, in a graph; the translation of a text without words is empty
        and scores 0."""
        source, truncated = _encode(self.source_tokenizer, text, self.search.maximum_source_length)
        found = self.hypotheses(source, alignments)
        shape = tf.shape(found.ids)
        texts = self.target_tokenizer.detokenize(tf.reshape(found.ids, [-1, shape[2]]))
        blank = tf.equal(source[:, :1], END)
        return TranslationTensors(
            tf.where(blank, "", tf.reshape(texts, shape[:2])),
            tf.where(blank, 0.0, found.scores),
            self.source_tokenizer.pieces(source),
            tf.where(blank[:, :, None], "", self.target_tokenizer.pieces(found.ids)),
            found.alignments,
            truncated,
        )

    def score_tensor(self, sources: tf.Tensor, targets: tf.Tensor) -> PairTensors:
        """The log-probabilities, in nats, of given translations `[B]` of sources `[B]`, in a
        graph."""
        limit = self.search.maximum_source_length
        source, source_cut = _encode(self.source_tokenizer, sources, limit)
        labels, target_cut = _encode(self.target_tokenizer, targets, limit)
        count, size = tf.shape(source)[0], self.batch_size
        rows = tf.TensorArray(
            tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None, None]
        )

        def some(begin: tf.Tensor, rows: tf.TensorArray) -> tuple:
            """Some rows at a time: the logits of all could be too large."""
            part = slice(begin, begin + size)
            logits = self.model({"source": source[part], "target": _shifted(labels[part])})
            return begin + size, rows.write(
                begin // size, -smoothed_cross_entropy(labels[part], logits)
            )

        _, rows = tf.while_loop(
            lambda begin, _: begin < count, some, (0, rows), parallel_iterations=1
        )
        tokens = tf.where(tf.equal(labels, PAD), 0.0, tf.reshape(rows.concat(), tf.shape(labels)))
        pieces = self.target_tokenizer.pieces(labels)
        return PairTensors(pieces, tokens, tf.reduce_sum(tokens, axis=1), source_cut | target_cut)

    def n_best(
        self, texts: Sequence[str] | tf.Tensor, alignments: bool = True
    ) -> list[list[Translation]]:
        """The `search.n_best` best translations of each text, the best first; faster without
        alignments.

        Raises:
            ValueError: `texts` is one string and not a sequence of them.
        """
        _check_sequence("texts", texts)
        strings = list(texts.numpy() if isinstance(texts, tf.Tensor) else texts)
        found: list[list[Translation]] = [[] for _ in strings]
        batches = list(self._batches(strings))

        def translate(indices: list[int]) -> list[list[Translation]]:
            return unpack(self._translate[alignments](_strings([strings[i] for i in indices])))

        with ThreadPoolExecutor(
            2
        ) as pool:  # a search has many short operations, which leave cores idle
            for indices, translations in zip(batches, pool.map(translate, batches), strict=True):
                for index, best in zip(indices, translations, strict=True):
                    found[index] = best
        return found

    def align(self, sources: Sequence[str], targets: Sequence[str]) -> list[Alignment]:
        """The alignments of given translations, by forced decoding.

        Raises:
            ValueError: the model has no attention, there are not as many targets as sources, or
            one string is given
                and not a sequence of them.
        """
        _check_sequence("sources", sources)
        _check_sequence("targets", targets)
        require(
            len(targets) == len(sources),
            "targets",
            f"as many as the sources ({len(sources)})",
            len(targets),
        )
        found: list[Alignment | None] = [None] * len(sources)
        for indices in self._batches(sources):
            tensors = self._align(
                _strings([sources[i] for i in indices]), _strings([targets[i] for i in indices])
            )
            for index, *rows in zip(indices, *(x.numpy() for x in tensors), strict=True):
                source, target = tokens_of(rows[0]), tokens_of(rows[1])
                found[index] = Alignment(source, target, rows[2][: len(target), : len(source)])
        return [alignment for alignment in found if alignment is not None]

    def _align_tensor(
        self, sources: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Tokens `[B, S]` and `[B, T]` of strings and the alignment `[B, T, S]`, in a graph."""
        source, _ = _encode(self.source_tokenizer, sources, self.search.maximum_source_length)
        labels, _ = _encode(self.target_tokenizer, targets)
        weights = self.model.align({"source": source, "target": _shifted(labels)})
        return self.source_tokenizer.pieces(source), self.target_tokenizer.pieces(labels), weights

    def _batches(self, texts: Sequence[str | bytes]) -> Iterator[list[int]]:
        """The indices of batches of texts of about one length: little padding, and a batch ends
        with its longest."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for begin in range(0, len(order), self.batch_size):
            yield order[begin : begin + self.batch_size]

    def __call__(
        self, texts: Sequence[str] | tf.Tensor, alignments: bool = True
    ) -> list[Translation]:
        """The best translation of each text; see `n_best`."""
        return [translations[0] for translations in self.n_best(texts, alignments)]


def _check_sequence(name: str, texts: Any) -> None:
    if isinstance(texts, (str, bytes)) or (isinstance(texts, tf.Tensor) and texts.shape.rank != 1):
        raise ValueError(f"`{name}` must be a sequence of strings. Received: {texts!r}.")


def _encode(
    tokenizer: Tokenizer, text: tf.Tensor, limit: int = 2**31 - 1
) -> tuple[tf.Tensor, tf.Tensor]:
    """The ids `[B, S]` of strings `[B]`, at most `limit` with the end symbol, and which were cut
    to it, in a graph."""
    pieces = tokenizer.tokenize(text)
    truncated = pieces.row_lengths() >= limit
    pieces = pieces[:, : limit - 1]
    return tf.concat([pieces, tf.fill([pieces.nrows(), 1], END)], axis=1).to_tensor(PAD), truncated


def _shifted(labels: tf.Tensor) -> tf.Tensor:
    """What the decoder reads `[B, T]` to write labels `[B, T]`: the start symbol and all but the
    last."""
    return tf.concat([tf.fill([tf.shape(labels)[0], 1], START), labels[:, :-1]], axis=1)


def _strings(texts: Sequence[str | bytes]) -> tf.Tensor:
    return tf.constant(
        [t.encode(errors="replace") if isinstance(t, str) else t for t in texts], tf.string
    )
