"""Text to pieces, and pairs of texts to padded batches."""
