"""Alignments by attention: links between words, their error rate, pictures and pages."""
