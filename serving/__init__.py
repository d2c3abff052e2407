"""Command lines that export, serve and convert models of `attention_nmt`."""
