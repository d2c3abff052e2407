"""Command lines that train, evaluate and measure models of `attention_nmt`."""

import os

from .studies.memory import keep_freed_memory

# For evaluations; see serving/__init__.py.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Any module of this package may be a program, and TensorFlow is not loaded yet.
keep_freed_memory()
