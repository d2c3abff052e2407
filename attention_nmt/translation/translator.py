"""Python strings to translations."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tensorflow as tf

from attention_nmt.backend import check_tensorflow
from attention_nmt.checks import require, require_type
from attention_nmt.config import SearchConfig
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.models.interface import TranslationModel
from attention_nmt.run_folder import RunFolder
from attention_nmt.search.search import WORD_PRODUCTS_BYTES
from attention_nmt.translation.graph import TranslationGraph
from attention_nmt.translation.results import (
    Alignment,
    Translation,
    TranslationTensors,
    unpack,
    unpack_alignments,
)


class Translator:
    """Translates strings.

    Args:
        model: a trained model, anything that keeps the contract of `TranslationModel`.
        source_tokenizer: the tokenizer of the source, and of the target where no other is given.
        search: the search for translations; without it that of `SearchConfig()`.
        target_tokenizer: the tokenizer of the target, where the vocabulary is not shared.
        batch_size: sentences translated together.
        search_weights: see `frozen`.

    Attributes:
        graph: the same for graphs of TensorFlow, from strings to tensors.

    Raises:
        ValueError: the backend is not TensorFlow, a vocabulary is not of the model's size, a
            coverage penalty goes with a model without attention, or a batch has no sentence.
        TypeError: a tokenizer or the search is something else.

    Example:

    ```python
    translator = Translator.from_run("runs/en-de")
    print(translator(["A red dress."])[0].text)
    ```
    """

    def __init__(
        self,
        model: TranslationModel,
        source_tokenizer: Tokenizer,
        search: SearchConfig | None = None,
        target_tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        *,
        search_weights: Any = None,
    ) -> None:
        self.graph = TranslationGraph(
            model,
            source_tokenizer,
            target_tokenizer or source_tokenizer,
            search or SearchConfig(),
            batch_size=batch_size,
            search_weights=search_weights,
        )
        self.model = model
        self.search = self.graph.search_config
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = self.graph.target_tokenizer
        self.batch_size = batch_size
        self.search_weights = search_weights

        strings = tf.TensorSpec([None], tf.string)
        self._translate = tf.function(
            self.graph.translate,
            input_signature=[strings],
            autograph=False,
        )
        self._translate_without_alignments = tf.function(
            functools.partial(self.graph.translate, alignments=False),
            input_signature=[strings],
            autograph=False,
        )
        self._align = tf.function(
            self.graph.align,
            input_signature=[strings, strings],
            autograph=False,
        )
        self._lay_out = tf.function(model.search_weights, autograph=False)

    @classmethod
    def from_run(
        cls, run_dir: str | Path, search: SearchConfig | None = None, batch_size: int = 64
    ) -> Translator:
        """The translator of a run folder: its best weights, its tokenizers and its search.

        Args:
            run_dir: the folder of a training.
            search: another search than the run's.
            batch_size: sentences translated together.

        Raises:
            FileNotFoundError: the folder holds no finished evaluation of a training.
            ValueError: the backend is not TensorFlow, a tokenizer is not the training's, the
                model's file is damaged, holds code or weights that are not finite, or the config
                has a setting of the search that there is none of, or that is outside its range.
        """
        check_tensorflow("a Translator")
        # Keras finds the class of a saved model by its registered name: importing it registers it.
        import attention_nmt.models.seq2seq  # noqa: F401

        run = RunFolder(Path(run_dir))
        search = search or run.read_search()
        model = run.load_best()
        source, target = run.load_tokenizers()

        return cls(model, source, search, target, batch_size)

    def __call__(
        self, texts: Iterable[str] | tf.Tensor, alignments: bool = True
    ) -> list[Translation]:
        """The best translation of each text; see `n_best`."""
        return [translations[0] for translations in self.n_best(texts, alignments)]

    def n_best(
        self, texts: Iterable[str] | tf.Tensor, alignments: bool = True
    ) -> list[list[Translation]]:
        """The `search.n_best` best translations of each text, the best first.

        Args:
            texts: the sources: a list, a column, a tensor `[N]`.
            alignments: False is faster, and gives none.

        Raises:
            ValueError: `texts` is no sequence of strings, but one string, a table or a set.
            TypeError: one of them is no string; the message says which.
        """
        strings = _text_list("texts", texts)
        batches = list(self._batches(strings))
        translate = self._translate if alignments else self._translate_without_alignments

        def translate_batch(indices: list[int]) -> list[list[Translation]]:
            tensors: TranslationTensors = translate(_strings(strings, indices))

            return unpack(tensors)

        found: list[list[Translation]] = [[] for _ in strings]
        # A search has many short operations, which leave cores idle.
        with ThreadPoolExecutor(2) as pool:
            for indices, batch in zip(batches, pool.map(translate_batch, batches), strict=True):
                for index, translations in zip(indices, batch, strict=True):
                    found[index] = translations

        return found

    def align(
        self, sources: Iterable[str] | tf.Tensor, targets: Iterable[str] | tf.Tensor
    ) -> list[Alignment]:
        """The alignments of given translations, by forced decoding.

        Raises:
            ValueError: the model has no attention, there are not as many targets as sources, or one
                string is given and not a sequence of them.
            TypeError: one of them is no string; the message says which.
        """
        source_list = _text_list("sources", sources)
        target_list = _text_list("targets", targets)
        count = len(source_list)
        given = len(target_list)
        require(given == count, "targets", f"as many as the sources ({count})", given)

        found: dict[int, Alignment] = {}
        for indices in self._batches(source_list):
            tensors = self._align(_strings(source_list, indices), _strings(target_list, indices))
            found.update(zip(indices, unpack_alignments(tensors), strict=True))

        return [found[index] for index in range(count)]

    def frozen(self) -> Translator:
        """The same translator of the weights as they are now, laid out for the search.

        It is faster. Training the model changes it only by `refresh`. It holds the model's
        `search_weights`, of which at most `WORD_PRODUCTS_BYTES` only make steps faster.
        """
        found = self._lay_out(WORD_PRODUCTS_BYTES)
        weights = tf.nest.map_structure(_variable, found)

        return Translator(
            self.model,
            self.source_tokenizer,
            self.search,
            self.target_tokenizer,
            self.batch_size,
            search_weights=weights,
        )

    def refresh(self) -> None:
        """Lays the weights out again where `frozen` did and the model has been trained since.

        Raises:
            ValueError: the translator was not made by `frozen`.
        """
        require(
            self.search_weights is not None,
            "search_weights",
            "those of a translator that `frozen` made",
            self.search_weights,
        )

        found = self._lay_out(WORD_PRODUCTS_BYTES)
        tf.nest.map_structure(_assign, self.search_weights, found)

    def _batches(self, texts: Sequence[str | bytes]) -> Iterator[list[int]]:
        """The indices of batches of texts of about one length.

        They need little padding, and a batch takes as long as its longest sentence.
        """
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for begin in range(0, len(order), self.batch_size):
            yield order[begin : begin + self.batch_size]


def _text_list(name: str, texts: Any) -> list[str | bytes]:
    """The texts of a sequence, a column of a table or a tensor, in their order.

    They are looked at before TensorFlow is: a compiled function that was once given what it does
    not take may keep its lock, and hang the next time.
    """
    iterable = hasattr(texts, "__iter__") or hasattr(texts, "__getitem__")
    ordered = iterable and not isinstance(texts, (str, bytes, Mapping, Set))
    one_axis = len(getattr(texts, "shape", [None])) == 1
    require(ordered and one_axis, name, "a sequence of strings", texts)

    values = list(texts.numpy() if isinstance(texts, tf.Tensor) else texts)
    for index, value in enumerate(values):
        require_type(isinstance(value, (str, bytes)), f"{name}[{index}]", "a string", value)

    return values


def _strings(texts: Sequence[str | bytes], indices: Sequence[int]) -> tf.Tensor:
    """The texts of a batch; what is no valid Unicode in one comes as a question mark."""
    chosen = (texts[index] for index in indices)
    encoded = [t.encode(errors="replace") if isinstance(t, str) else t for t in chosen]

    return tf.constant(encoded, tf.string)


def _variable(value: tf.Tensor | None) -> tf.Variable | None:
    return None if value is None else tf.Variable(value, trainable=False)


def _assign(variable: tf.Variable | None, value: tf.Tensor | None) -> None:
    if variable is not None:
        variable.assign(value)
