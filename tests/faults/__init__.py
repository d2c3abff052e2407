"""Faults that befall runs: what is tried, and what holds. `make faults` tries all of it."""
