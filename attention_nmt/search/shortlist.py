"""The target pieces that the translation of a source may have: a shortlist."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from keras import ops

from attention_nmt.backend import take
from attention_nmt.checks import require, require_type
from attention_nmt.files import atomic_write
from attention_nmt.search.hypotheses import Problem
from attention_nmt.search.ranking import IMPOSSIBLE
from attention_nmt.types import Tensor

LARGEST = 2**26
"""The most numbers of a table of candidates, 256 MB: 250,000 source pieces of 268 each."""


class _Tokenizer(Protocol):
    @property
    def content(self) -> bytes:
        """Its file."""


def tokenizers_sha256(source: _Tokenizer, target: _Tokenizer) -> tuple[str, str]:
    """The sums by which a shortlist knows the tokenizers whose pieces it has."""
    sums = [hashlib.sha256(one.content).hexdigest() for one in (source, target)]
    return sums[0], sums[1]


class Shortlist:
    """The pieces that those of a source were aligned with in training, and the usual ones.

    The output product of a search's step is the larger the more pieces there are, and most of them
    have no place in the translation of the source at hand.

    Args:
        candidates: for each source piece the target pieces that it may become, int `[V_s, N]`,
            padded with 0. Padding of a source becomes nothing, whatever its row has.
        usual: the target pieces that every translation may have, int `[M]`, the end symbol among
            them. The piece 0, padding, is among the pieces of a sentence only where it stands here.
        target_vocabulary_size: `V`.
        tokenizers: the `tokenizers_sha256` of the tokenizers of source and target; a `Translator`
            refuses others. None: any of these sizes.

    Raises:
        TypeError: an argument is no array.
        ValueError: an array is of another shape or type, the table is larger than `LARGEST`, or a
            piece is none of the vocabulary.

    Source: Jean et al. (2015), arXiv 1412.2007, section 3.2: pieces that an aligner found for the
    words of the source, and the most frequent ones. Departure from it: the alignments are those of
    attention.
    """

    def __init__(
        self,
        candidates: np.ndarray,
        usual: np.ndarray,
        target_vocabulary_size: int,
        tokenizers: tuple[str, str] | None = None,
    ) -> None:
        _check("candidates", candidates, 2, target_vocabulary_size)
        expected = f"a table of at most {LARGEST:,} numbers"
        require(candidates.size <= LARGEST, "candidates", expected, candidates.shape)
        _check("usual", usual, 1, target_vocabulary_size)

        self.candidates = candidates.astype(np.int32)
        self.candidates[0] = 0
        self.usual = np.unique(usual).astype(np.int32)
        self.target_vocabulary_size = target_vocabulary_size
        self.tokenizers = tokenizers
        self.table: Any = self.candidates  # what graphs read

    def laid_out(self) -> Shortlist:
        """The same, its table a variable of TensorFlow: all graphs of an export read that one.

        An array becomes a constant of each of them.
        """
        import tensorflow as tf

        found = copy.copy(self)
        found.table = tf.Variable(self.candidates, trainable=False)
        return found

    @property
    def source_vocabulary_size(self) -> int:
        """`V_s`."""
        return len(self.candidates)

    def allowed(self, source: Tensor, others: Tensor | None = None) -> Tensor:
        """Which pieces the translations of a batch may have.

        Args:
            source: ids `[B, S]`.
            others: ids `[B, P]` that translations may have, too.

        Returns:
            bool `[B, V]`; each row is that of its sentence, whatever the others of the batch are.
        """
        rows = ops.shape(source)[0]
        found = ops.reshape(take(self.table, source), (rows, -1))
        if others is not None:
            found = ops.concatenate([found, ops.cast(others, "int32")], axis=1)

        numbers = ops.arange(rows, dtype="int32")[:, None] + ops.zeros_like(found)
        places = ops.reshape(ops.stack([numbers, found], axis=-1), (-1, 2))
        usual = np.zeros((1, self.target_vocabulary_size), np.int32)
        usual[0, self.usual] = 1
        flags = ops.zeros((rows, 1), "int32") + usual
        # Padding, of the table and of the source, says nothing of the piece 0.
        listed = ops.cast(ops.not_equal(places[:, 1], 0), "int32")
        listed = ops.maximum(listed, int(usual[0, 0]))
        return ops.greater(ops.scatter_update(flags, places, listed), 0)

    def save(self, path: str | Path) -> None:
        """Writes it into a file, whole or not at all.

        Padding, of which the table may be full, is left out.
        """
        sources, columns = np.nonzero(self.candidates)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                sources=sources.astype(np.int32),
                candidates=self.candidates[sources, columns],
                usual=self.usual,
                source_vocabulary_size=np.int32(self.source_vocabulary_size),
                target_vocabulary_size=np.int32(self.target_vocabulary_size),
                tokenizers=np.array(self.tokenizers or (), "U64"),
            )

    @classmethod
    def load(cls, path: str | Path) -> Shortlist:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or of something else.
        """
        from attention_nmt.archives import COMPRESSED, open_arrays, whole

        path = Path(path)
        with open_arrays(path, "shortlist", COMPRESSED) as arrays, whole(path, "shortlist"):
            rows = int(arrays["source_vocabulary_size"])
            candidates = _table(arrays["sources"], arrays["candidates"], rows)
            size = int(arrays["target_vocabulary_size"])
            known = arrays["tokenizers"].tolist() if "tokenizers" in arrays else []
            tokenizers = (known[0], known[1]) if known else None
            return cls(candidates, arrays["usual"], size, tokenizers)


def _table(sources: np.ndarray, candidates: np.ndarray, rows: int) -> np.ndarray:
    """The candidates `[rows, N]` of all source pieces, padded with 0.

    Args:
        sources: source pieces `[M]`, in order, each as often as it has candidates.
        candidates: theirs `[M]`.
        rows: `V_s`.

    Raises:
        ValueError: they do not fit each other, or the table would be larger than `LARGEST`.
    """
    whole = sources.ndim == 1 and sources.shape == candidates.shape
    require(whole, "sources", f"as many as candidates {candidates.shape}", sources.shape)
    ordered = bool(np.all(np.diff(sources, prepend=0, append=rows - 1) >= 0))
    require(ordered, "sources", f"pieces below {rows}, in order", sources)

    places = np.arange(len(sources)) - np.searchsorted(sources, sources)
    width = 1 + places.max(initial=0)
    require(rows * width <= LARGEST, "sources", f"of a table of {LARGEST:,}", (rows, width))
    table = np.zeros((rows, width), np.int32)
    table[sources, places] = candidates
    return table


def among(problem: Problem, allowed: Tensor) -> Problem:
    """The same problem, whose hypotheses have allowed pieces alone.

    Args:
        problem: the sentences, and the step that continues their hypotheses.
        allowed: bool `[B, V]`, or `[B, N]` of the problem's pieces.
    """
    bias = ops.where(allowed, 0.0, IMPOSSIBLE)

    def step(ids: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor | None]:
        logits, state, alignment = problem.step(ids, state, memory[0])
        return ops.cast(logits, "float32") + memory[1][:, None], state, alignment

    return problem._replace(step=step, memory=(problem.memory, bias))


def _check(name: str, ids: Any, axes: int, vocabulary_size: int) -> None:
    """Makes sure that ids are an array of pieces of the vocabulary."""
    require_type(isinstance(ids, np.ndarray), name, "an array of NumPy", ids)
    fits = ids.ndim == axes and ids.dtype.kind in "iu" and ids.size > 0
    require(fits, name, f"integers of {axes} axes, at least one", f"{ids.dtype} {ids.shape}")
    within = ids.min() >= 0 and ids.max() < vocabulary_size
    expected = f"of pieces below the vocabulary's size {vocabulary_size}"
    require(within, name, expected, [int(ids.min()), int(ids.max())])
