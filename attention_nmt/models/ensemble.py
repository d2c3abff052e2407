"""Several models of the same vocabularies that translate as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from attention_nmt.checks import require, require_type
from attention_nmt.models.interface import Step
from attention_nmt.models.trainable import TrainableModel
from attention_nmt.types import Tensor

SMALLEST = 1.2e-38
"""The least probability, about the smallest normal number in float32: its logarithm is -87.3."""


class MembersWeights(NamedTuple):
    """What the members laid out for the steps of a search."""

    members: tuple[Any, ...]  # each one's own, of all pieces; None of one that laid out nothing
    pieces: Tensor | None  # [N], those whose logits are asked for; None: all


@keras.saving.register_keras_serializable("attention_nmt")
class Ensemble(TrainableModel):
    """Models that translate together: the probability of a piece is the mean of theirs.

        p(y_i | y_<i, x) = 1/M sum_m p_m(y_i | y_<i, x)

    It keeps the contract of `TranslationModel`: it is searched, exported, served and scored as any
    model is. Its weights are its members', its logits are log-probabilities, and its alignment is
    the mean of the members' that align. With a shortlist its steps are as large as without: the
    members' probabilities are those among all pieces.

    Args:
        members: `M` models of Keras that keep the contract, of the same kind or of different ones.

    Raises:
        ValueError: there is no model, one has another number of pieces than the first, or two share
            weights.
        TypeError: one is no model of Keras, or does not keep the contract.

    Source: Sutskever, Vinyals and Le (2014), arXiv 1409.3215, whose best scores are of several
    models together.

    Example:

    ```python
    seeds = [Translator.from_preset(f"runs/seed-{seed}") for seed in (1, 2, 3)]
    Translator.together(seeds).save("three-seeds")
    ```
    """

    def __init__(self, members: Sequence[keras.Model], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(len(members) >= 1, "members", "at least one model", members)
        for index, member in enumerate(members):
            keeps_contract = isinstance(member, keras.Model) and hasattr(member, "search_weights")
            expected = "a model of Keras that keeps the contract of `TranslationModel`"
            require_type(keeps_contract, f"members[{index}]", expected, member)
        self.members = list(members)

        sizes = [_sizes(member) for member in members]
        expected = f"models of the same numbers of pieces, {sizes[0]} as the first"
        require(len(set(sizes)) == 1, "members", expected, sizes)

        weights = [id(weight) for member in members for weight in member.weights]
        distinct = len(set(weights)) == len(weights)
        expected = "models that share no weights, which a file would keep once"
        require(distinct, "members", expected, [member.name for member in members])
        self.built = True

    @property
    def source_vocabulary_size(self) -> int:
        """Pieces of the source language."""
        return self.members[0].source_vocabulary_size

    @property
    def target_vocabulary_size(self) -> int:
        """`V`, pieces of the target language."""
        return self.members[0].target_vocabulary_size

    @property
    def longest_source(self) -> int | None:
        """The most positions of a source that all members read; None without a limit."""
        limits = [getattr(member, "longest_source", None) for member in self.members]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def aligns(self) -> bool:
        """Whether a member aligns."""
        return any(member.aligns for member in self.members)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Log-probabilities `[B, T, V]` by teacher forcing; see `TranslationModel`."""
        return _together([member(inputs, training=training) for member in self.members])

    def start(self, source: Tensor, maximum_length: Tensor | int | None) -> tuple[Any, Any]:
        """The members' memories and first states; see `TranslationModel`."""
        begun = [member.start(source, maximum_length) for member in self.members]
        return tuple(memory for memory, _ in begun), tuple(state for _, state in begun)

    def step(
        self, ids: Tensor, state: Any, memory: Any, weights: MembersWeights | None = None
    ) -> Step:
        """One step of each member; see `TranslationModel`."""
        laid_out = weights or self._nothing_laid_out()
        arguments = zip(self.members, state, memory, laid_out.members, strict=True)
        steps = [member.step(ids, *rest) for member, *rest in arguments]

        logits = _together([step.logits for step in steps])
        if laid_out.pieces is not None:
            logits = ops.take(logits, laid_out.pieces, axis=-1)
        aligned = [step.alignment for step in steps if step.alignment is not None]
        return Step(
            logits=logits,
            state=tuple(step.state for step in steps),
            alignment=_mean(aligned) if aligned else None,
        )

    def align(self, inputs: dict[str, Tensor]) -> Tensor:
        """The mean of the alignments of the members that align; see `TranslationModel`.

        Raises:
            ValueError: no member aligns.
        """
        require(self.aligns, "members", "one that aligns at least", [False] * len(self.members))
        return _mean([member.align(inputs) for member in self.members if member.aligns])

    def search_weights(self, limit_bytes: int) -> MembersWeights:
        """The members' weights for a search, which share the memory; see `TranslationModel`."""
        share = limit_bytes // len(self.members)
        return MembersWeights(tuple(member.search_weights(share) for member in self.members), None)

    def shortened(self, weights: MembersWeights | None, pieces: Tensor) -> MembersWeights:
        """The same weights and the pieces `[N]`; see `TranslationModel`.

        The members still tell the probabilities of all pieces. Among some alone each would count
        the more the likelier it finds those, which are other ones in every batch.
        """
        return (weights or self._nothing_laid_out())._replace(pieces=pieces)

    def _nothing_laid_out(self) -> MembersWeights:
        return MembersWeights((None,) * len(self.members), None)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        members = [keras.saving.serialize_keras_object(member) for member in self.members]
        for described in members:
            described.pop("compile_config", None)  # a training's
        return {**super().get_config(), "members": members}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict | None = None,  # noqa: ARG003 - Keras' contract
    ) -> Ensemble:
        """The ensemble that `get_config` described."""
        members = [keras.saving.deserialize_keras_object(one) for one in config["members"]]
        return cls(**{**config, "members": members})


def _sizes(model: Any) -> tuple[int, int]:
    return model.source_vocabulary_size, model.target_vocabulary_size


def _together(logits: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean probability, of the members' logits `[..., V]`."""
    probabilities = [ops.softmax(ops.cast(one, "float32"), axis=-1) for one in logits]
    return ops.log(ops.maximum(_mean(probabilities), SMALLEST))


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return sum(ops.cast(one, "float32") for one in tensors) / len(tensors)
