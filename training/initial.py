"""A training that begins with a trained model: its settings, its vocabulary, its weights."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from attention_nmt.checks import require
from attention_nmt.config import ModelConfig
from attention_nmt.files import file_sum
from attention_nmt.models.vocabulary import change_vocabulary
from attention_nmt.run_folder import RunFolder
from attention_nmt.stored import StoredModel, open_model

from .folder import Tokenizers, read_config
from .presets import TrainConfig

if TYPE_CHECKING:
    from attention_nmt.models.seq2seq import Seq2Seq

_FREE = (
    "source_vocabulary_size",
    "target_vocabulary_size",
    "embedding_dropout",
    "layer_dropout",
    "annotation_dropout",
    "readout_dropout",
    "source_word_dropout",
    "target_word_dropout",
)
"""Options of a model that no weight depends on, or that its vocabulary decides."""


def with_settings_of(initial: str, run: RunFolder, config: TrainConfig) -> TrainConfig:
    """The settings with what a trained model decides in place: sizes, options, search, languages.

    Args:
        initial: the model.
        run: the folder of the training that begins with it. If it has begun, the model may be gone.
        config: the settings.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: it is no `Seq2Seq`, or its files are at fault.
        OSError: the hub cannot be reached.
    """
    if run.config.is_file():
        begun = read_config(run)
        names = ("model", "search", "shared_vocabulary", "source", "target")
        settings = {name: getattr(begun, name) for name in names}
    else:
        stored = open_model(initial)
        settings = {
            "model": stored.read_model_config(),
            "search": stored.read_search(),
            "shared_vocabulary": stored.shares_vocabulary,
        }
        for name in ("source", "target"):
            settings[name] = stored.corpus.get(name) or getattr(config, name)
    return dataclasses.replace(config, initial=initial, **settings)


def open_initial(config: TrainConfig, run: RunFolder) -> StoredModel | None:
    """The model that a training begins with; None without one, or where it is needed no more.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: the settings do not go with it.
        OSError: the hub cannot be reached.
    """
    if config.initial is None:
        return None
    try:
        stored = open_model(config.initial)
    except FileNotFoundError:
        if run.checkpoint.is_file():
            return None
        raise

    _check(config, stored)
    return stored


def _check(config: TrainConfig, stored: StoredModel) -> None:
    """Checks that the settings are of the model.

    Raises:
        ValueError: one is not, and the message names it.
    """
    its = stored.read_model_config()
    for field in dataclasses.fields(ModelConfig):
        value = getattr(config.model, field.name)
        expected = getattr(its, field.name)
        fits = field.name in _FREE or value == expected
        require(fits, field.name, f"{expected!r}, as `initial` has it", value)

    if config.vocabulary != "new":
        shared = stored.shares_vocabulary
        expected = f"{shared} with the vocabulary of `initial`"
        value = config.shared_vocabulary
        require(value == shared, "shared_vocabulary", expected, value)


def fingerprint(stored: StoredModel) -> dict[str, str]:
    """What tells the model from others: SHA-256 of its weights."""
    return {"weights": file_sum(stored.weights)}


def begin_with(stored: StoredModel, tokenizers: Tokenizers, model: Seq2Seq) -> None:
    """Gives a new model the weights of a trained one; see `change_vocabulary` for its pieces.

    Args:
        stored: the trained model.
        tokenizers: those of the new one.
        model: the new one.

    Raises:
        FileNotFoundError: a file of the trained model is missing.
        ValueError: a file of it is damaged.
    """
    trained = stored.load_model()
    its = stored.load_tokenizers()
    pairs = zip(its, tokenizers, strict=True)
    if any(old.content != new.content for old, new in pairs):
        trained = change_vocabulary(trained, its, tokenizers)
    model.set_weights(trained.get_weights())
