"""Strings to translations: tokenizer, model and search as one. TensorFlow."""
