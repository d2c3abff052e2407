"""Command lines that train, evaluate and measure models of `attention_nmt`."""

import os

from .studies.memory import keep_freed_memory

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # see serving/__init__.py; here for evaluations
keep_freed_memory()  # Here, because any module of this package may be a program, and TensorFlow is not loaded yet.
