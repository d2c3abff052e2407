"""The contract between a translation model and everything that uses it.

Search, translation, export, LiteRT, training and studies know what stands here, and neither a class
nor a config of a model.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from attention_nmt.types import Tensor


class Step(NamedTuple):
    """The result of one step of a model for `Q` hypotheses of each sentence."""

    logits: Tensor  # [B, Q, V], of the next pieces; [B, Q, N] with weights of N pieces
    state: Any  # the next state
    alignment: Tensor | None  # [B, Q, S], rows that sum to 1; None of a model that aligns nothing


class TranslationModel(Protocol):
    """A model that translates ids to ids.

    Padding is the id 0, and changes no number. Methods run on whole batches, in graphs of
    TensorFlow and under `jax.jit` as well as eagerly.

    Attributes:
        source_vocabulary_size: pieces of the source language.
        target_vocabulary_size: `V`, pieces of the target language.
        aligns: whether `step` gives alignments and `align` is there.

    A model that reads no more than some positions of a source has `longest_source`, their number.
    """

    @property
    def source_vocabulary_size(self) -> int:
        """Pieces of the source language."""

    @property
    def target_vocabulary_size(self) -> int:
        """`V`, pieces of the target language."""

    @property
    def aligns(self) -> bool:
        """Whether `step` gives alignments and `align` is there."""

    def __call__(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Logits by teacher forcing.

        Args:
            inputs: `source`, ids `[B, S]`, and `target`, ids `[B, T]`, the start symbol first.
            training: whether dropout is on.

        Returns:
            `[B, T, V]`, of the piece behind each position.
        """

    def start(self, source: Tensor, maximum_length: Tensor | int | None) -> tuple[Any, Any]:
        """Reads sources before a search.

        Args:
            source: ids `[B, S]`.
            maximum_length: the most target positions of the search, which a cache may need, as a
                number or a scalar tensor; None where the shapes of a state may change from step to
                step, so that a cache may grow.

        Returns:
            The memory, any structure of tensors `[B, ...]` that all hypotheses of a sentence share,
            and the first state, any structure of tensors `[B, 1, ...]` and scalars.
        """

    def step(self, ids: Tensor, state: Any, memory: Any, weights: Any = None) -> Step:
        """One step for `Q` hypotheses of each sentence.

        Args:
            ids: the previous pieces `[B, Q]`; the start symbol before the first.
            state: from `start` or the step before; every leaf is `[B, Q, ...]` or a scalar.
            memory: from `start`.
            weights: from `search_weights` or `shortened`; without them the step lays them out
                itself.
        """

    def align(self, inputs: dict[str, Tensor]) -> Tensor:
        """The alignment of given targets `[B, T, S]`, by forced decoding.

        Args:
            inputs: as for a call.

        Raises:
            ValueError: the model does not align.
        """

    def search_weights(self, limit_bytes: int) -> Any:
        """Weights laid out for the steps of a search, which stay the same from step to step.

        Args:
            limit_bytes: the most memory for what is not needed but makes steps faster.

        Returns:
            A structure of tensors and None that only the model knows, for `step`.
        """

    def shortened(self, weights: Any, pieces: Tensor) -> Any:
        """Weights of steps whose logits are those of some pieces alone, for a shortlist.

        Args:
            weights: from `search_weights`, or None.
            pieces: ids `[N]`.

        Returns:
            What `step` takes for weights; it then gives logits `[B, Q, N]`.
        """
