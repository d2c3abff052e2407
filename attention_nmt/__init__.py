"""Neural machine translation with the attention of Bahdanau, Cho and Bengio (2015), for Keras 3.

Names of axes, the same in code, comments and docstrings: `B` batch, `S` source positions, `T`
target positions, `K` beam, `N` best hypotheses, `Q` queries of a sentence, `V` vocabulary, `E`
embedding, `H` decoder units, `A` attention units, `D` annotation size, `l` readout units, `G`
blocks of a cell's kernel: 3 of a GRU, 4 of an LSTM.

A name is imported when it is first used. Layers, losses, models and searches need Keras alone, a
`Tokenizer` needs SentencePiece; `TrainingBatches` and `Translator` need TensorFlow. Importing the
package imports neither, and is enough for `keras.saving.load_model` to find the package's classes.
"""

import importlib
from typing import TYPE_CHECKING, Any

from attention_nmt.checks import missing_package
from attention_nmt.registration import register

if TYPE_CHECKING:
    from attention_nmt.config import BatchConfig as BatchConfig
    from attention_nmt.config import CellConfig as CellConfig
    from attention_nmt.config import ModelConfig as ModelConfig
    from attention_nmt.config import SearchConfig as SearchConfig
    from attention_nmt.config import TransformerConfig as TransformerConfig
    from attention_nmt.data.batches import TrainingBatches as TrainingBatches
    from attention_nmt.data.hub_tokenizer import HubTokenizer as HubTokenizer
    from attention_nmt.data.tokenizer import Tokenizer as Tokenizer
    from attention_nmt.drawing.plots import plot_alignment as plot_alignment
    from attention_nmt.hub import upload_preset as upload_preset
    from attention_nmt.layers.attention import BahdanauAttention as BahdanauAttention
    from attention_nmt.layers.attention import FixedContext as FixedContext
    from attention_nmt.layers.attention import LuongAttention as LuongAttention
    from attention_nmt.layers.attention import Memory as Memory
    from attention_nmt.layers.attention import StepMemory as StepMemory
    from attention_nmt.layers.cells import Cell as Cell
    from attention_nmt.layers.cells import register_cell as register_cell
    from attention_nmt.layers.decoder import Decoder as Decoder
    from attention_nmt.layers.encoder import Encoder as Encoder
    from attention_nmt.layers.heads import MultiHeadAttention as MultiHeadAttention
    from attention_nmt.layers.pretrained_encoder import PretrainedEncoder as PretrainedEncoder
    from attention_nmt.layers.pretrained_encoder import describe_backbone as describe_backbone
    from attention_nmt.layers.transformer_decoder import TransformerDecoder as TransformerDecoder
    from attention_nmt.layers.transformer_encoder import TransformerEncoder as TransformerEncoder
    from attention_nmt.losses import CrossEntropy as CrossEntropy
    from attention_nmt.losses import Perplexity as Perplexity
    from attention_nmt.losses import TargetTokens as TargetTokens
    from attention_nmt.losses import TokenAccuracy as TokenAccuracy
    from attention_nmt.model_folder import ModelCard as ModelCard
    from attention_nmt.models.ensemble import Ensemble as Ensemble
    from attention_nmt.models.interface import Step as Step
    from attention_nmt.models.interface import TranslationModel as TranslationModel
    from attention_nmt.models.seq2seq import Seq2Seq as Seq2Seq
    from attention_nmt.models.vocabulary import change_vocabulary as change_vocabulary
    from attention_nmt.search.hypotheses import Hypotheses as Hypotheses
    from attention_nmt.search.hypotheses import Problem as Problem
    from attention_nmt.search.loop import LoopOptions as LoopOptions
    from attention_nmt.search.search import search_model as search_model
    from attention_nmt.search.search import search_steps as search_steps
    from attention_nmt.search.shortlist import Shortlist as Shortlist
    from attention_nmt.translation.results import Translation as Translation
    from attention_nmt.translation.translator import Translator as Translator
    from attention_nmt.types import SpecialIds as SpecialIds

__version__ = "0.2.0"

_MODULES = {
    "config": ("BatchConfig", "CellConfig", "ModelConfig", "SearchConfig", "TransformerConfig"),
    "data.batches": ("TrainingBatches",),
    "data.hub_tokenizer": ("HubTokenizer",),
    "data.tokenizer": ("Tokenizer",),
    "drawing.plots": ("plot_alignment",),
    "hub": ("upload_preset",),
    "layers.attention": (
        "BahdanauAttention",
        "FixedContext",
        "LuongAttention",
        "Memory",
        "StepMemory",
    ),
    "layers.cells": ("Cell", "register_cell"),
    "layers.decoder": ("Decoder",),
    "layers.encoder": ("Encoder",),
    "layers.heads": ("MultiHeadAttention",),
    "layers.pretrained_encoder": ("PretrainedEncoder", "describe_backbone"),
    "layers.transformer_decoder": ("TransformerDecoder",),
    "layers.transformer_encoder": ("TransformerEncoder",),
    "losses": ("CrossEntropy", "Perplexity", "TargetTokens", "TokenAccuracy"),
    "model_folder": ("ModelCard",),
    "models.ensemble": ("Ensemble",),
    "models.interface": ("Step", "TranslationModel"),
    "models.seq2seq": ("Seq2Seq",),
    "models.vocabulary": ("change_vocabulary",),
    "search.hypotheses": ("Hypotheses", "Problem"),
    "search.loop": ("LoopOptions",),
    "search.search": ("search_model", "search_steps"),
    "search.shortlist": ("Shortlist",),
    "translation.results": ("Translation",),
    "translation.translator": ("Translator",),
    "types": ("SpecialIds",),
}
"""The public names by the modules that define them."""

_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Imports a public name.

    Raises:
        AttributeError: there is none of this name.
        ImportError: it needs a package that is not installed; the message has the pip command.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'attention_nmt' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"attention_nmt.{_HOME[name]}")
    except ModuleNotFoundError as error:
        raise ImportError(missing_package(error), name=error.name) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


register()
