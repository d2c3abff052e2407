"""Neural machine translation with the attention of Bahdanau, Cho and Bengio (2015), for Keras 3
and TensorFlow.

Names of axes, the same in code, comments and docstrings: `B` batch, `S` source positions, `T`
target positions, `K` beam, `N` best hypotheses, `Q` queries of a sentence, `V` vocabulary, `E`
embedding, `H` decoder units, `A` attention units, `D` annotation size, `l` readout units, `G`
blocks of a cell's kernel: 3 of a GRU, 4 of an LSTM.

Names are imported when they are first used: layers, losses and search need Keras only, and
`Tokenizer`, `TrainingBatches` and `Translator` need TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_nmt.config import BatchConfig as BatchConfig
    from attention_nmt.config import CellConfig as CellConfig
    from attention_nmt.config import ModelConfig as ModelConfig
    from attention_nmt.config import SearchConfig as SearchConfig
    from attention_nmt.data.batches import TrainingBatches as TrainingBatches
    from attention_nmt.data.tokenizer import Tokenizer as Tokenizer
    from attention_nmt.layers.attention import BahdanauAttention as BahdanauAttention
    from attention_nmt.layers.attention import FixedContext as FixedContext
    from attention_nmt.layers.attention import LuongAttention as LuongAttention
    from attention_nmt.layers.attention import Memory as Memory
    from attention_nmt.layers.decoder import Decoder as Decoder
    from attention_nmt.layers.encoder import Encoder as Encoder
    from attention_nmt.losses import CrossEntropy as CrossEntropy
    from attention_nmt.losses import Perplexity as Perplexity
    from attention_nmt.losses import TargetTokens as TargetTokens
    from attention_nmt.losses import TokenAccuracy as TokenAccuracy
    from attention_nmt.models.seq2seq import Seq2Seq as Seq2Seq
    from attention_nmt.search.beam import beam_search as beam_search
    from attention_nmt.search.greedy import greedy_search as greedy_search
    from attention_nmt.search.search import search as search
    from attention_nmt.translation.results import Translation as Translation
    from attention_nmt.translation.translator import Translator as Translator

_MODULES = {
    "layers.attention": ("BahdanauAttention", "FixedContext", "LuongAttention", "Memory"),
    "search.beam": ("beam_search",),
    "data.batches": ("TrainingBatches",),
    "config": ("BatchConfig", "CellConfig", "ModelConfig", "SearchConfig"),
    "layers.decoder": ("Decoder",),
    "search.search": ("search",),
    "layers.encoder": ("Encoder",),
    "losses": ("CrossEntropy", "Perplexity", "TargetTokens", "TokenAccuracy"),
    "models.seq2seq": ("Seq2Seq",),
    "data.tokenizer": ("Tokenizer",),
    "search.greedy": ("greedy_search",),
    "translation.results": ("Translation",),
    "translation.translator": ("Translator",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'attention_nmt' has no attribute {name!r}")
    return getattr(importlib.import_module(f"attention_nmt.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
