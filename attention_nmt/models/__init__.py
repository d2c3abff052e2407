"""Translation models, and the contract between a model and everything that uses it. Keras only."""
