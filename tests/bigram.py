"""A model that shares no class with `Seq2Seq`: a table of bigrams, and the words of the source."""

from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.models.interface import Step


class Counts(NamedTuple):
    """A state with a leaf for each hypothesis, and a scalar."""

    steps: Any  # [B, Q] float32
    position: Any  # []


@keras.saving.register_keras_serializable("tests")
class Bigrams(keras.Model):
    """The next piece's logits are a row of a table, plus a row for each piece of the source.

        logits = next[y_{i-1}] + mean_j lexicon[x_j] + i * hurry

    Its alignment, if it has one, is even over the words of the source.
    """

    def __init__(self, pieces: int, aligns: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pieces = pieces
        self.aligns = aligns
        self.next = self.add_weight((pieces, pieces), name="next")
        self.lexicon = self.add_weight((pieces, pieces), name="lexicon")
        self.hurry = self.add_weight((pieces,), initializer="zeros", name="hurry")
        self.built = True

    @property
    def source_vocabulary_size(self) -> int:
        return self.pieces

    @property
    def target_vocabulary_size(self) -> int:
        return self.pieces

    def _even(self, source: Any) -> Any:
        """Even weights of the source's words `[B, S]`."""
        real = ops.cast(ops.not_equal(source, 0), "float32")
        return real / ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)

    def start(self, source: Any, maximum_length: Any) -> tuple[Any, Counts]:  # noqa: ARG002
        even = self._even(source)
        bag = ops.sum(ops.take(self.lexicon, source, axis=0) * ops.expand_dims(even, -1), axis=1)
        steps = ops.zeros_like(source[:, :1], "float32")
        return {"bag": bag, "even": even}, Counts(steps, ops.zeros((), "float32"))

    def step(self, ids: Any, state: Counts, memory: Any, weights: Any = None) -> Step:
        table = self.next if weights is None else weights["table"]
        # The two count the same: the one by hypothesis, the other for all.
        late = (ops.expand_dims(state.steps, -1) + state.position) / 2 * self.hurry
        rest = ops.expand_dims(memory["bag"], 1) + late
        if weights is not None and "pieces" in weights:
            rest = ops.take(rest, weights["pieces"], axis=-1)
        logits = ops.take(table, ids, axis=0) + rest
        alignment = None
        if self.aligns:
            alignment = ops.expand_dims(memory["even"], 1) + ops.zeros_like(
                ops.expand_dims(state.steps, -1)
            )
        return Step(logits, Counts(state.steps + 1, state.position + 1), alignment)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:  # noqa: ARG002
        memory, _ = self.start(inputs["source"], 0)
        positions = ops.arange(ops.shape(inputs["target"])[1], dtype="float32")
        late = positions[None, :, None] * self.hurry
        return (
            ops.take(self.next, inputs["target"], axis=0) + ops.expand_dims(memory["bag"], 1) + late
        )

    def align(self, inputs: dict[str, Any]) -> Any:
        even = self._even(inputs["source"])
        return even[:, None] + ops.zeros_like(ops.cast(inputs["target"], "float32"))[..., None]

    def search_weights(self, limit_bytes: int) -> dict[str, Any]:
        return {
            "table": ops.copy(self.next),
            "unused": None if limit_bytes == 0 else self.hurry + 0,
        }

    def shortened(self, weights: dict[str, Any] | None, pieces: Any) -> dict[str, Any]:
        weights = weights or self.search_weights(0)
        return {**weights, "table": ops.take(weights["table"], pieces, axis=1), "pieces": pieces}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pieces": self.pieces, "aligns": self.aligns}
