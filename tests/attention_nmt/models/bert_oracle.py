"""BERT's encoder in NumPy and float64, written from Devlin et al. (2019), arXiv 1810.04805.

As in `oracle`, every sentence is by itself. The layers are those of `transformer_oracle` with
normalization behind sums; departures of BERT from them: learned positions and segments, which are
normalized, GELU in place of the rectifier, and an epsilon of 1e-12.
"""

from collections.abc import Mapping

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def normalize(weights: Weights, path: str, x: Array) -> Array:
    """Ba et al. (2016), Eq. 3 and 4, each position by itself."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    gamma, beta = weights[f"{path}/gamma"], weights[f"{path}/beta"]
    return (x - mean) / np.sqrt(variance + 1e-12) * gamma + beta


def gelu(x: Array) -> Array:
    """Hendrycks and Gimpel (2016), arXiv 1606.08415, section 2, the approximation by a tanh."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attend(weights: Weights, path: str, x: Array) -> Array:
    """Vaswani et al. (2017), section 3.2.2, head by head."""
    read = 0
    for head in range(weights[f"{path}/query/kernel"].shape[1]):
        q, k, v = (
            x @ weights[f"{path}/{name}/kernel"][:, head] + weights[f"{path}/{name}/bias"][head]
            for name in ("query", "key", "value")
        )
        e = q @ k.T / np.sqrt(q.shape[-1])
        alpha = np.exp(e - e.max(axis=-1, keepdims=True))
        alpha /= alpha.sum(axis=-1, keepdims=True)
        read = read + alpha @ v @ weights[f"{path}/attention_output/kernel"][head]
    return read + weights[f"{path}/attention_output/bias"]


def encode(weights: Weights, ids: Array, layers: int) -> Array:
    """The annotations [S, D] of KerasHub's ids [S]."""
    x = (
        weights["encoder/token_embedding/embeddings"][ids]
        + weights["encoder/position_embedding/embeddings"][: len(ids)]
        + weights["encoder/segment_embedding/embeddings"][0]
    )
    x = normalize(weights, "encoder/embeddings_layer_norm", x)
    for k in range(layers):
        path = f"encoder/transformer_layer_{k}"
        x = x + attend(weights, f"{path}/self_attention_layer", x)
        x = normalize(weights, f"{path}/self_attention_layer_norm", x)
        dense = f"{path}/feedforward_intermediate_dense"
        hidden = gelu(x @ weights[f"{dense}/kernel"] + weights[f"{dense}/bias"])
        dense = f"{path}/feedforward_output_dense"
        x = x + hidden @ weights[f"{dense}/kernel"] + weights[f"{dense}/bias"]
        x = normalize(weights, f"{path}/feedforward_layer_norm", x)
    return x
