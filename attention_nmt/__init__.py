"""Neural machine translation with the attention of Bahdanau, Cho and Bengio (2015), for Keras 3 and TensorFlow.

Names of axes, the same in code, comments and docstrings: `B` batch, `S` source positions, `T` target positions, `K`
beam, `N` best hypotheses, `Q` queries of a sentence, `V` vocabulary, `E` embedding, `H` decoder units, `A` attention
units, `D` annotation size, `l` readout units, `G` blocks of a cell's kernel: 3 of a GRU, 4 of an LSTM.

Names are imported when they are first used: layers, losses and search need Keras only, and `Tokenizer`,
`TrainingBatches` and `Translator` need TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_nmt.attention import BahdanauAttention as BahdanauAttention
    from attention_nmt.attention import FixedContext as FixedContext
    from attention_nmt.attention import LuongAttention as LuongAttention
    from attention_nmt.attention import Memory as Memory
    from attention_nmt.batching import TrainingBatches as TrainingBatches
    from attention_nmt.beam import beam_search as beam_search
    from attention_nmt.config import BatchConfig as BatchConfig
    from attention_nmt.config import CellConfig as CellConfig
    from attention_nmt.config import ModelConfig as ModelConfig
    from attention_nmt.config import SearchConfig as SearchConfig
    from attention_nmt.decoder import Decoder as Decoder
    from attention_nmt.decoding import search as search
    from attention_nmt.encoder import Encoder as Encoder
    from attention_nmt.losses import CrossEntropy as CrossEntropy
    from attention_nmt.losses import Perplexity as Perplexity
    from attention_nmt.losses import TargetTokens as TargetTokens
    from attention_nmt.losses import TokenAccuracy as TokenAccuracy
    from attention_nmt.model import Seq2Seq as Seq2Seq
    from attention_nmt.tokenizer import Tokenizer as Tokenizer
    from attention_nmt.translations import Translation as Translation
    from attention_nmt.translator import Translator as Translator
    from attention_nmt.walk import greedy_search as greedy_search

_MODULES = {
    "attention": ("BahdanauAttention", "FixedContext", "LuongAttention", "Memory"),
    "beam": ("beam_search",),
    "batching": ("TrainingBatches",),
    "config": ("BatchConfig", "CellConfig", "ModelConfig", "SearchConfig"),
    "decoder": ("Decoder",),
    "decoding": ("search",),
    "encoder": ("Encoder",),
    "losses": ("CrossEntropy", "Perplexity", "TargetTokens", "TokenAccuracy"),
    "model": ("Seq2Seq",),
    "tokenizer": ("Tokenizer",),
    "walk": ("greedy_search",),
    "translations": ("Translation",),
    "translator": ("Translator",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'attention_nmt' has no attribute {name!r}")
    return getattr(importlib.import_module(f"attention_nmt.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
