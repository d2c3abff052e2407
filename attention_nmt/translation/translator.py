"""Python strings to translations."""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from attention_nmt.backend import check_tensorflow
from attention_nmt.checks import require, require_type
from attention_nmt.config import WORD_PRODUCTS_BYTES, SearchConfig
from attention_nmt.data.source_tokenizer import SourceTokenizer
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.model_folder import ModelCard, write_model_folder
from attention_nmt.models.ensemble import Ensemble
from attention_nmt.models.interface import TranslationModel
from attention_nmt.search.shortlist import Shortlist
from attention_nmt.stored import StoredModel, open_model
from attention_nmt.translation.graph import TranslationGraph
from attention_nmt.translation.results import (
    Alignment,
    Translation,
    TranslationTensors,
    unpack,
    unpack_alignments,
)
from attention_nmt.weights import Storage

SEARCHES_KEPT = 8
"""The searches of `Translator.translate` whose graphs are kept; those of one take 20 MB."""


class Translator:
    """Translates strings.

    Args:
        model: a trained model, anything that keeps the contract of `TranslationModel`.
        source_tokenizer: the tokenizer of the source, and of the target where no other is given.
        search: the search for translations; without it that of `SearchConfig()`.
        target_tokenizer: the tokenizer of the target, where the vocabulary is not shared.
        batch_size: sentences translated together.
        search_weights: see `frozen`.
        shortlist: the pieces that translations may have, which makes the search faster; all,
            without it. The command `attention-nmt shortlist` makes one.

    Attributes:
        graph: the same for graphs of TensorFlow, from strings to tensors.

    Raises:
        ValueError: the backend is not TensorFlow, a vocabulary or the shortlist is not of the
            model's size, a coverage penalty goes with a model without attention, or a batch has no
            sentence.
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
        source_tokenizer: SourceTokenizer,
        search: SearchConfig | None = None,
        target_tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        *,
        search_weights: Any = None,
        shortlist: Shortlist | None = None,
    ) -> None:
        self.graph = TranslationGraph(
            model,
            source_tokenizer,
            target_tokenizer or cast(Tokenizer, source_tokenizer),  # which is checked there
            search or SearchConfig(),
            batch_size=batch_size,
            search_weights=search_weights,
            shortlist=shortlist,
        )
        self.model = model
        self.search = self.graph.search_config
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = self.graph.target_tokenizer
        self.batch_size = batch_size
        self.search_weights = search_weights
        self.shortlist = shortlist
        self._limit_bytes = WORD_PRODUCTS_BYTES
        self._others: dict[SearchConfig, Translator] = {}

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
        self._translate_behind = tf.function(
            self.graph.translate,
            input_signature=[strings, strings],
            autograph=False,
        )
        self._align = tf.function(
            self.graph.align,
            input_signature=[strings, strings],
            autograph=False,
        )
        self._score = tf.function(
            self.graph.score,
            input_signature=[strings, strings],
            autograph=False,
        )
        self._lay_out = tf.function(model.search_weights, autograph=False)

    @classmethod
    def from_preset(
        cls, name: str | Path, search: SearchConfig | None = None, batch_size: int = 64
    ) -> Translator:
        """The translator of a trained model: its weights, its tokenizers and its search.

        Args:
            name: a bundled model, such as `tatoeba_en_de`; a folder that `save` wrote; a run
                folder; or one on a hub, `hf://OWNER/NAME` or `kaggle://OWNER/MODEL/keras/NAME`.
            search: another search than the model's.
            batch_size: sentences translated together.

        Raises:
            FileNotFoundError: there is no such model, or a file of it is missing.
            ValueError: the backend is not TensorFlow, a file is damaged, a weight is not finite, or
                the config has a setting of the search that there is none of, or that is outside its
                range.
            OSError: a hub cannot be reached.
        """
        check_tensorflow("a Translator")

        return cls.from_stored(open_model(name), search, batch_size)

    @classmethod
    def from_stored(
        cls,
        stored: StoredModel,
        search: SearchConfig | None = None,
        batch_size: int = 64,
        shortlist: Shortlist | None = None,
    ) -> Translator:
        """The translator of a model that `open_model` found; see `from_preset`.

        A shortlist takes the place of the model's.
        """
        search = search or stored.read_search()
        model = stored.load_model()
        source, target = stored.load_tokenizers()
        shortlist = shortlist or stored.load_shortlist()

        return cls(model, source, search, target, batch_size, shortlist=shortlist)

    @classmethod
    def from_run(
        cls, run_dir: str | Path, search: SearchConfig | None = None, batch_size: int = 64
    ) -> Translator:
        """The translator of a run folder; an older spelling of `from_preset`."""
        return cls.from_preset(Path(run_dir), search, batch_size)

    @classmethod
    def together(
        cls,
        translators: Sequence[Translator],
        search: SearchConfig | None = None,
        shortlist: Shortlist | None = None,
    ) -> Translator:
        """Translators of the same tokenizers as one, whose model is an `Ensemble` of theirs.

        Args:
            translators: of models trained with other seeds, sizes or architectures. Their
                shortlists are left out, and weights that `frozen` laid out.
            search: another search than the first one's.
            shortlist: see the class.

        Raises:
            ValueError: there is none, or one has another tokenizer than the first.
            TypeError: one is no translator, or its model none of Keras.
        """
        require(len(translators) >= 1, "translators", "at least one", translators)
        first = translators[0]
        for index, other in enumerate(translators):
            name = f"translators[{index}]"
            require_type(isinstance(other, Translator), name, "a Translator", other)
            for side in ("source_tokenizer", "target_tokenizer"):
                same = getattr(other, side).content == getattr(first, side).content
                expected = f"a translator of the first one's {side}"
                require(same, name, expected, "one with another")

        model = Ensemble([cast(keras.Model, one.model) for one in translators])
        return cls(
            model,
            first.source_tokenizer,
            search or first.search,
            first.target_tokenizer,
            first.batch_size,
            shortlist=shortlist,
        )

    def save(
        self,
        folder: str | Path,
        *,
        card: ModelCard | None = None,
        storage: Storage = "float32",
        samples: Sequence[str] = (),
    ) -> None:
        """Writes the translator into a folder, whole or not at all; `from_preset` loads it.

        Args:
            folder: a new or empty folder, or one that was written so, which is replaced.
            card: what people are told of the model, its languages above all.
            storage: `float16` and `int8` make a smaller folder of nearly the same numbers.
            samples: a few source sentences, on which exports are checked.

        Raises:
            OSError: the folder cannot be written.
            ValueError: it holds something else, or a weight is not finite.
            TypeError: the model is none of Keras.
        """
        write_model_folder(
            self,
            Path(folder),
            card=card or ModelCard(),
            storage=storage,
            samples=samples,
        )

    def __call__(
        self, texts: Iterable[str] | tf.Tensor, alignments: bool = True
    ) -> list[Translation]:
        """The best translation of each text; see `n_best`."""
        return [translations[0] for translations in self.n_best(texts, alignments)]

    def translate(self, text: str, *, prefix: str = "", **changes: Any) -> list[Translation]:
        """The translations of one text by another search than the translator's, the best first.

        Args:
            text: the source.
            prefix: the text with which each translation begins, whose last word may go on; the
                score is that of what follows.
            **changes: fields of `SearchConfig`, such as `beam_size` and `n_best`.

        Raises:
            ValueError: a value outside its range.
            TypeError: there is no such field, or `text` or `prefix` is no string.

        Example:

        ```python
        translator.translate("A red dress.", prefix="Ein rotes", n_best=3)
        ```
        """
        require_type(isinstance(text, str), "text", "one string", text)
        require_type(isinstance(prefix, str), "prefix", "one string", prefix)

        search = dataclasses.replace(self.search, **changes)
        translator = self._with_search(search)
        strings = _strings([text, prefix], [0, 1])
        tensors = translator._translate_behind(strings[:1], strings[1:])

        return unpack(tensors)[0]

    def _with_search(self, search: SearchConfig) -> Translator:
        """A translator of the same weights by another search.

        The graphs of the `SEARCHES_KEPT` last ones are kept.
        """
        found = self._others.pop(search, None)
        if found is None:
            found = self._like_this(search, self.search_weights, self.shortlist)
        self._others[search] = found
        for oldest in list(self._others)[:-SEARCHES_KEPT]:
            self._others.pop(oldest, None)  # which another thread may have done

        return found

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
        with ThreadPoolExecutor(_batches_at_a_time()) as pool:
            for indices, batch in zip(batches, pool.map(translate_batch, batches), strict=True):
                for index, translations in zip(indices, batch, strict=True):
                    found[index] = translations

        return found

    def score(
        self, sources: Iterable[str] | tf.Tensor, targets: Iterable[str] | tf.Tensor
    ) -> np.ndarray:
        """The log-probabilities of given translations, in nats.

        Of a text with more pieces than `search.maximum_source_length` only the beginning is read or
        scored, and a warning names the pair.

        Returns:
            float32 `[N]`, of each target with its end symbol.

        Raises:
            ValueError: there are not as many targets as sources, or one string is given and not a
                sequence of them.
            TypeError: one of them is no string; the message says which.
        """
        source_list, target_list = _pairs(sources, targets)
        found = np.zeros(len(source_list), np.float32)
        truncated = np.zeros(len(source_list), bool)
        for indices in self._batches(source_list):
            pairs = (_strings(source_list, indices), _strings(target_list, indices))
            scored = self._score(*pairs)
            found[indices] = scored.log_probability.numpy()
            truncated[indices] = scored.truncated.numpy()

        if truncated.any():
            limit = self.search.maximum_source_length
            first = int(np.argmax(truncated))
            warnings.warn(
                f"{truncated.sum()} of {len(found)} pairs have a text of more than {limit} pieces, "
                f"of which only the beginning counts; pair {first} is the first.",
                stacklevel=2,
            )
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
        source_list, target_list = _pairs(sources, targets)
        found: dict[int, Alignment] = {}
        for indices in self._batches(source_list):
            tensors = self._align(_strings(source_list, indices), _strings(target_list, indices))
            found.update(zip(indices, unpack_alignments(tensors), strict=True))

        return [found[index] for index in range(len(source_list))]

    def frozen(self, limit_bytes: int = WORD_PRODUCTS_BYTES) -> Translator:
        """The same translator of the weights as they are now, laid out for the search.

        It is faster. Training the model changes it only by `refresh`.

        Args:
            limit_bytes: the most memory for `search_weights` that only make steps faster, above all
                the products of all words.

        Raises:
            ValueError: the memory is less than none.
        """
        require(limit_bytes >= 0, "limit_bytes", "at least 0", limit_bytes)
        found = self._lay_out(limit_bytes)
        weights = tf.nest.map_structure(_variable, found)
        shortlist = None if self.shortlist is None else self.shortlist.laid_out()

        frozen = self._like_this(self.search, weights, shortlist)
        frozen._limit_bytes = limit_bytes
        return frozen

    def with_shortlist(self, shortlist: Shortlist | None) -> Translator:
        """A translator of the same weights and search, with another shortlist or none."""
        return self._like_this(self.search, self.search_weights, shortlist)

    def _like_this(
        self, search: SearchConfig, search_weights: Any, shortlist: Shortlist | None
    ) -> Translator:
        """A translator of the same model and tokenizers."""
        translator = Translator(
            self.model,
            self.source_tokenizer,
            search,
            self.target_tokenizer,
            self.batch_size,
            search_weights=search_weights,
            shortlist=shortlist,
        )
        translator._limit_bytes = self._limit_bytes
        return translator

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

        found = self._lay_out(self._limit_bytes)
        tf.nest.map_structure(_assign, self.search_weights, found)

    def _batches(self, texts: Sequence[str | bytes]) -> Iterator[list[int]]:
        """The indices of batches of texts of about one length.

        They need little padding, and a batch takes as long as its longest sentence.
        """
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for begin in range(0, len(order), self.batch_size):
            yield order[begin : begin + self.batch_size]


def _batches_at_a_time() -> int:
    """The batches that are translated at the same time.

    They are one on each core where an operation has one thread. Where it has all of them, two: a
    search has many short operations, which leave cores idle.
    """
    whole = tf.config.threading.get_intra_op_parallelism_threads() == 1
    return os.cpu_count() or 1 if whole else 2


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


def _pairs(sources: Any, targets: Any) -> tuple[list[str | bytes], list[str | bytes]]:
    """The texts of both sides, of which there are equally many."""
    source_list = _text_list("sources", sources)
    target_list = _text_list("targets", targets)

    expected = f"as many as the sources ({len(source_list)})"
    require(len(target_list) == len(source_list), "targets", expected, len(target_list))
    return source_list, target_list


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
