"""The bundled dataset: after `import training.grammar_en_fr`, `tfds.load("grammar_en_fr")` works
without a network."""

from .builder import GrammarEnFr

__all__ = ["GrammarEnFr"]
