"""Measurements: speed of training, searches, growth with length, BLEU by length."""
