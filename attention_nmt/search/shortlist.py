"""The target pieces that translations of some sources may have: a shortlist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from attention_nmt.backend import places, take
from attention_nmt.checks import require
from attention_nmt.files import atomic_write
from attention_nmt.types import Tensor


class Shortlist:
    """The pieces that those of a source were aligned with in training, and the usual ones.

    The output product of a search's step is the larger the more pieces there are, and most of them
    have no place in a translation of the source at hand.

    Args:
        candidates: for each source piece the target pieces that it may become, int `[V_s, N]`;
            where they are fewer than `N`, padding behind them.
        usual: the target pieces that every translation may have, int `[M]`, the end symbol among
            them.
        target_vocabulary_size: `V`.

    Raises:
        ValueError: an array is of another shape or type, or a piece is none of the vocabulary.

    Source: Jean et al. (2015), arXiv 1412.2007, section 3.2: pieces that an aligner found for the
    words of the source, and the most frequent ones. Departure from it: the alignments are those of
    attention.
    """

    def __init__(
        self, candidates: np.ndarray, usual: np.ndarray, target_vocabulary_size: int
    ) -> None:
        _check("candidates", candidates, 2, target_vocabulary_size)
        _check("usual", usual, 1, target_vocabulary_size)
        self.candidates = candidates.astype(np.int32)
        self.usual = usual.astype(np.int32)
        self.target_vocabulary_size = target_vocabulary_size

    @property
    def source_vocabulary_size(self) -> int:
        """`V_s`."""
        return len(self.candidates)

    def pieces(self, source: Tensor, others: Tensor | None = None) -> Tensor:
        """The pieces that translations of a batch may have.

        Args:
            source: ids `[B, S]`.
            others: ids of any shape that are to be among them.

        Returns:
            int32 `[N]`, each once, in ascending order.
        """
        found = [ops.reshape(take(self.candidates, source), (-1,)), self.usual]
        if others is not None:
            found.append(ops.reshape(others, (-1,)))
        ids = ops.concatenate([ops.cast(one, "int32") for one in found])

        # Flags of all pieces take fewer operations than sorting, and LiteRT has them all.
        none = ops.zeros((self.target_vocabulary_size,), "int32")
        flags = ops.scatter_update(none, ids[:, None], ops.ones_like(ids))
        return places(flags)

    def save(self, path: str | Path) -> None:
        """Writes it into a file, whole or not at all."""
        size = np.int32(self.target_vocabulary_size)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, candidates=self.candidates, usual=self.usual, target_vocabulary_size=size
            )

    @classmethod
    def load(cls, path: str | Path) -> Shortlist:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or of something else.
        """
        from attention_nmt.archives import whole

        path = Path(path)
        with whole(path, "shortlist"), np.load(path, allow_pickle=False) as file:
            return cls(file["candidates"], file["usual"], int(file["target_vocabulary_size"]))


def _check(name: str, ids: Any, axes: int, vocabulary_size: int) -> None:
    """Makes sure that ids are an array of pieces of the vocabulary."""
    fits = ids.ndim == axes and ids.dtype.kind in "iu" and ids.size > 0
    require(fits, name, f"integers of {axes} axes, at least one", f"{ids.dtype} {ids.shape}")
    within = ids.min() >= 0 and ids.max() < vocabulary_size
    expected = f"of pieces below the vocabulary's size {vocabulary_size}"
    require(within, name, expected, [int(ids.min()), int(ids.max())])
