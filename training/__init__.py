"""Command lines that train, evaluate and measure models of `attention_nmt`."""
