"""The bundled dataset: `tfds.load("grammar_en_fr")` works without a network after its import."""

from .builder import GrammarEnFr

__all__ = ["GrammarEnFr"]
