"""The Transformer in NumPy and float64, written from Vaswani et al. (2017), arXiv 1706.03762.

As in `oracle`, every sentence is by itself. Where normalization stands: Wang et al. (2019),
arXiv 1906.01787, Eq. 1 and 2.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


def placed(embedded: Array) -> Array:
    """Section 3.4 and 3.5: embeddings times the root of d, and the positions' sines and cosines;
    sines first."""
    length, size = embedded.shape
    result = embedded * np.sqrt(size)
    for position in range(length):
        for i in range(size // 2):
            angle = position / 10000 ** (2 * i / size)
            result[position, i] += np.sin(angle)
            result[position, size // 2 + i] += np.cos(angle)
    return result


def normalize(weights: Weights, path: str, x: Array) -> Array:
    """Ba et al. (2016), Eq. 3 and 4, each position by itself."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    gamma, beta = weights[f"{path}/gamma"], weights[f"{path}/beta"]
    return (x - mean) / np.sqrt(variance + 1e-6) * gamma + beta


def attend(
    weights: Weights, path: str, heads: int, x: Array, y: Array, *, causal: bool = False
) -> tuple[Array, Array]:
    """Section 3.2.2: what positions `x` [T, E] read of `y` [S, D], and each head's softmax
    [h, T, S]; causal ones read what is not behind them."""
    q = x @ weights[f"{path}/query_kernel"] + weights[f"{path}/query_bias"]
    k, v = np.split(
        y @ weights[f"{path}/memory_kernel"] + weights[f"{path}/memory_bias"], 2, axis=-1
    )
    d = q.shape[-1] // heads
    read, alphas = [], []
    for head in range(heads):
        columns = slice(head * d, (head + 1) * d)
        alpha = np.zeros((len(x), len(y)))
        for i in range(len(x)):
            seen = i + 1 if causal else len(y)
            e = k[:seen, columns] @ q[i, columns] / np.sqrt(d)
            alpha[i, :seen] = np.exp(e - e.max()) / np.exp(e - e.max()).sum()
        read.append(alpha @ v[:, columns])
        alphas.append(alpha)
    z = np.concatenate(read, axis=-1)
    return z @ weights[f"{path}/output_kernel"] + weights[f"{path}/output_bias"], np.array(alphas)


def residual(
    config: Any, weights: Weights, path: str, x: Array, f: Callable[[Array], Array]
) -> Array:
    """Section 3.1: LayerNorm(x + f(x)); with normalization before it, x + f(LayerNorm(x))."""
    path = f"{path}/normalization"
    if config.pre_norm:
        return x + f(normalize(weights, path, x))
    return normalize(weights, path, x + f(x))


def feed_forward(config: Any, weights: Weights, path: str, x: Array) -> Array:
    """Section 3.3: max(0, x W_1 + b_1) W_2 + b_2."""

    def f(x: Array) -> Array:
        hidden = x @ weights[f"{path}/hidden/kernel"] + weights[f"{path}/hidden/bias"]
        return (
            np.maximum(hidden, 0) @ weights[f"{path}/output/kernel"]
            + weights[f"{path}/output/bias"]
        )

    return residual(config, weights, f"{path}/residual", x, f)


def encode(config: Any, weights: Weights, embedded: Array) -> Array:
    """The annotations [S, E]."""
    transformer, x = config.transformer, placed(embedded)
    for k in range(config.encoder_layers):
        path = f"encoder/layer_{k}"

        def f(x: Array, path: str = path) -> Array:
            return attend(weights, f"{path}/attention", transformer.heads, x, x)[0]

        x = residual(transformer, weights, f"{path}/residual", x, f)
        x = feed_forward(transformer, weights, f"{path}/feed_forward", x)
    return normalize(weights, "encoder/normalization", x) if transformer.pre_norm else x


def decode(config: Any, weights: Weights, embedded: Array, h: Array) -> tuple[Array, Array]:
    """What the output product reads [T, E], and the alignment [T, S]."""
    transformer, x = config.transformer, placed(embedded)
    heads, found = transformer.heads, []
    for k in range(config.decoder_layers):
        path = f"decoder/layer_{k}"

        def words(x: Array, path: str = path) -> Array:
            return attend(weights, f"{path}/own_attention", heads, x, x, causal=True)[0]

        def source(x: Array, path: str = path) -> Array:
            read, alphas = attend(weights, f"{path}/source_attention", heads, x, h)
            found.append(alphas)
            return read

        x = residual(transformer, weights, f"{path}/own_residual", x, words)
        x = residual(transformer, weights, f"{path}/source_residual", x, source)
        x = feed_forward(transformer, weights, f"{path}/feed_forward", x)

    chosen = list(transformer.alignment_heads) or list(range(heads))
    layer = transformer.alignment_layer
    if layer is None:
        layer = -2 if len(found) > 1 else 0
    alignment = found[layer][chosen].mean(axis=0)
    return normalize(weights, "decoder/normalization", x) if transformer.pre_norm else x, alignment
