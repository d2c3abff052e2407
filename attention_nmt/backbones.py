"""KerasHub's description of a pretrained encoder, as a model's config holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from attention_nmt.checks import require


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A description that was read.

    Attributes:
        registered_name: of its class, as Keras knows it.
        config: the arguments of its class.
    """

    registered_name: str
    config: dict[str, Any]

    @classmethod
    def from_json(cls, description: str) -> Backbone:
        """Reads what `describe_backbone` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(description)
            backbone = cls(registered_name=found["registered_name"], config=found["config"])
            known = backbone._is_whole()
        except (ValueError, TypeError, KeyError, AttributeError):
            known = False

        expected = "KerasHub's description of a backbone, from `describe_backbone`"
        require(known, "backbone", expected, description[:100])
        return backbone

    def _is_whole(self) -> bool:
        numbers = (self.vocabulary_size, self.longest_source or 0, self.layers, self.depth)
        whole = all(isinstance(number, int) for number in numbers)
        return whole and isinstance(self.registered_name, str)

    def to_json(self) -> str:
        """The description."""
        record = {"registered_name": self.registered_name, "config": self.config}
        return json.dumps(record, sort_keys=True)

    @property
    def vocabulary_size(self) -> int:
        """The number of its pieces."""
        return self.config["vocabulary_size"]

    @property
    def longest_source(self) -> int | None:
        """The most positions of a source; None if there may be any number."""
        return self.config.get("max_sequence_length")

    @property
    def layers(self) -> int:
        """The number of its layers, embeddings aside; 0 if it does not say."""
        return self.config.get("num_layers", 0)

    @property
    def depth(self) -> int:
        """The columns of its annotations; 0 if it does not say."""
        return self.config.get("hidden_dim", 0)
