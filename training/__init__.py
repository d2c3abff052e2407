"""Command lines that train, evaluate and measure models of `attention_nmt`."""

from training.memory import keep_freed_memory

keep_freed_memory()  # Here, because any module of this package may be a program, and TensorFlow is not loaded yet.
