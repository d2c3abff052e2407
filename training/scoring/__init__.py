"""BLEU, chrF and TER of translations."""
