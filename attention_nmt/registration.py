"""The package's classes for Keras' files, before they or Keras are imported.

Keras finds the class of a saved object by its registered name. Importing the package is enough for
that, and does not import Keras, which takes seconds: a name stands for its class until Keras asks
for it.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "attention_nmt"

CLASSES = {
    "layers.attention": ("BahdanauAttention", "FixedContext", "LuongAttention"),
    "layers.decoder": ("Decoder",),
    "layers.decoder_recurrence": ("AttendingRecurrence",),
    "layers.dropout": ("SentenceDropout", "WordDropout"),
    "layers.encoder": ("Encoder",),
    "layers.heads": ("MultiHeadAttention",),
    "layers.pretrained_encoder": ("PretrainedEncoder",),
    "layers.readout": ("Readout",),
    "layers.recurrent": ("Recurrent", "StackedOrthogonal"),
    "layers.transformer_decoder": ("TransformerDecoder",),
    "layers.transformer_encoder": ("TransformerEncoder",),
    "losses": ("CrossEntropy", "Perplexity", "TargetTokens", "TokenAccuracy"),
    "models.ensemble": ("Ensemble",),
    "models.seq2seq": ("Seq2Seq",),
}
"""The names of classes in Keras' files by the modules that define them."""


class _Name:
    """Stands for a class in Keras' table until the class is there.

    Args:
        module: the module that registers it, below the package.
        name: its registered name.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        """The object that a file describes, of the class that its module has registered by now."""
        importlib.import_module(f"{PACKAGE}.{self._module}")
        keras = importlib.import_module("keras")

        # Not `get_registered_object`: while a file is read, that finds what stood there before.
        return keras.saving.get_custom_objects()[self._name].from_config(config)


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Follows the import of Keras, and tells it the names when it is there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of Keras, as others find it; None for any other module."""
        if fullname != "keras":
            return None

        for finder in sys.meta_path:
            search = None if finder is self else getattr(finder, "find_spec", None)
            found = search(fullname, path, target) if search else None
            if found is not None and found.loader is not None:
                self._follow(found.loader)
                return found
        return None

    def _follow(self, loader: Any) -> None:
        """Makes a loader tell Keras the names once it has run its module."""
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _tell(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        loader.exec_module = exec_module


def register() -> None:
    """Makes the names known to Keras, now or when it is imported."""
    keras = sys.modules.get("keras")
    if keras is not None:
        _tell(keras)
        return

    # A module that is imported a second time has another class of this name.
    earlier = [one for one in sys.meta_path if type(one).__module__ == __name__]
    for finder in earlier:
        sys.meta_path.remove(finder)
    sys.meta_path.insert(0, _KerasFinder())


def _tell(keras: Any) -> None:
    """Puts the names into Keras' table, but for classes that are there."""
    known = keras.saving.get_custom_objects()
    for module, classes in CLASSES.items():
        for name in classes:
            registered = f"{PACKAGE}>{name}"
            known.setdefault(registered, _Name(module, registered))
