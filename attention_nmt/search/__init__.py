"""Greedy search, beam search and sampling with any model that keeps the contract. Keras only."""
