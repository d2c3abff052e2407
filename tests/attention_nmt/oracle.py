"""The model in NumPy and float64, written from the papers' equations and not from the package.

Bahdanau, Cho and Bengio (2015), arXiv 1409.0473: section 3 and appendix A. Every sentence is computed by itself at its
true length, so nothing here knows of padding, masks or batches.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Weights = Mapping[str, Array]


class GatedUnit(NamedTuple):
    """Appendix A.1.1. The package's update gate is 1 - z_i, so its weights are read with the sign turned."""

    W: Array  # [m, n]
    W_z: Array
    W_r: Array
    U: Array  # [n, n]
    U_z: Array
    U_r: Array
    b: Array  # [n]; the paper leaves biases out
    b_z: Array
    b_r: Array
    b_u: Array  # [n], beside U where the reset comes after it


class Sentence(NamedTuple):
    """What the model computes for one pair."""

    annotations: Array  # [T_x, 2n]
    states: Array  # [T_y, n]
    contexts: Array  # [T_y, 2n]
    alignments: Array  # [T_y, T_x]
    logits: Array  # [T_y, K_y]


def read_weights(model: Any) -> dict[str, Array]:
    """The weights of a `Seq2Seq` in float64, by their paths within the model."""
    return {w.path.split("/", 1)[1]: np.asarray(w, np.float64) for w in model.weights}


def gated_unit(weights: Weights, path: str, extra: tuple[str, ...] = ()) -> GatedUnit:
    """The unit at `path`, its input weights stacked with those named in `extra`."""
    kernel = np.concatenate([weights[f"{path}/{name}"] for name in ("kernel", *extra)])
    W_z, W_r, W = np.split(kernel, 3, axis=1)
    U_z, U_r, U = np.split(weights[f"{path}/recurrent_kernel"], 3, axis=1)
    b_z, b_r, b = np.split(weights[f"{path}/input_bias"], 3)
    c_z, c_r, c = np.split(weights[f"{path}/recurrent_bias"], 3)
    return GatedUnit(W, -W_z, W_r, U, -U_z, U_r, b, -b_z - c_z, b_r + c_r, c)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def step(unit: GatedUnit, x: Array, s: Array, reset_after: bool) -> Array:
    """s_i = (1 - z_i) * s_{i-1} + z_i * s~_i."""
    z = sigmoid(x @ unit.W_z + s @ unit.U_z + unit.b_z)
    r = sigmoid(x @ unit.W_r + s @ unit.U_r + unit.b_r)
    recurrent = r * (s @ unit.U + unit.b_u) if reset_after else (r * s) @ unit.U + unit.b_u
    proposal = np.tanh(x @ unit.W + unit.b + recurrent)
    return (1 - z) * s + z * proposal


def read_sentence(unit: GatedUnit, xs: Array, reset_after: bool) -> Array:
    """Section 3.2: the states [T_x, n] after each word, from a state of zeros."""
    states, s = [], np.zeros(len(unit.U))
    for x in xs:
        s = step(unit, x, s, reset_after)
        states.append(s)
    return np.array(states)


def softmax(e: Array) -> Array:
    exponentials = np.exp(e - e.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def attend(weights: Weights, s: Array, h: Array) -> Array:
    """Appendix A.1.2: alpha_ij = softmax_j(v_a . tanh(W_a s_{i-1} + U_a h_j)), [T_x]."""
    path = "decoder/recurrence/attention"
    W_a, v_a = weights[f"{path}/query_kernel"], weights[f"{path}/scale"]
    U_a = weights[f"{path}/key_projection/kernel"]
    return softmax(np.array([v_a @ np.tanh(s @ W_a + h_j @ U_a) for h_j in h]))


def maxout(x: Array) -> Array:
    """Appendix A.2.2: t_ij = max(t~_{i,2j-1}, t~_{i,2j}); the package's column k pairs with l + k."""
    half = x.shape[-1] // 2
    paired = np.stack([x[..., :half], x[..., half:]], axis=-1)
    return paired.max(axis=-1)


def run(model: Any, source: Array, target: Array, weights: Weights | None = None) -> Sentence:
    """One pair, unpadded: `source` [T_x] and the previous words `target` [T_y], the first the start symbol."""
    weights = read_weights(model) if weights is None else weights
    config = model.config
    attends, reset_after = config.attention == "bahdanau", config.reset_after
    E_y = weights["target_embedding/embeddings"]
    E_x = E_y if config.tie_source else weights["source_embedding/embeddings"]

    h = read_sentence(gated_unit(weights, "encoder/forward"), E_x[source], reset_after)
    summary = h[-1]
    if attends:
        backward = read_sentence(gated_unit(weights, "encoder/backward"), E_x[source[::-1]], reset_after)[::-1]
        h, summary = np.concatenate([h, backward], axis=1), backward[0]
    # Appendix A.2.2: s_0 = tanh(W_s backward h_1).
    s = np.tanh(summary @ weights["decoder/initial/kernel"] + weights["decoder/initial/bias"])

    unit = gated_unit(weights, "decoder/recurrence", ("context_kernel",))
    states, contexts, alignments = [], [], []
    for y in E_y[target]:
        alpha = attend(weights, s, h) if attends else np.zeros(len(h))
        c = alpha @ h if attends else h[-1]  # RNNencdec: Cho et al. (2014), the summary at every step
        s = step(unit, np.concatenate([y, c]), s, reset_after)
        states.append(s)
        contexts.append(c)
        alignments.append(alpha)

    n = len(s)
    U_o, V_o, C_o = np.split(weights["decoder/readout/kernel"], [n, n + E_y.shape[1]])
    t = np.array(states) @ U_o + E_y[target] @ V_o + np.array(contexts) @ C_o + weights["decoder/readout/bias"]
    W_o = E_y.T if config.tie_output else weights["output_projection/kernel"]
    return Sentence(h, np.array(states), np.array(contexts), np.array(alignments), maxout(t) @ W_o)


def cross_entropy(logits: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """- sum_v q_v log p_v with q = (1 - eps) [v = label] + eps / V, for each position."""
    log_p = np.log(softmax(logits))
    q = np.full_like(log_p, smoothing / log_p.shape[-1])
    q[np.arange(len(labels)), labels] += 1 - smoothing
    return -(q * log_p).sum(axis=-1)


def divergence(logits: Array) -> Array:
    """R-Drop: 1/2 (KL(p || q) + KL(q || p)) at each position, p and q being rows i and i + B / 2 of [B, T, V]."""
    p, q = np.split(softmax(logits), 2)
    one = ((p * np.log(p / q)).sum(axis=-1) + (q * np.log(q / p)).sum(axis=-1)) / 2
    return np.concatenate([one, one])


def loss(model: Any, batch: Any, weights: Weights, smoothing: float) -> float:
    """The mean over all words of a padded batch, each sentence cut to its length first."""
    inputs, labels, _ = batch
    losses = []
    for source, target, label in zip(inputs["source"], inputs["target"], labels, strict=True):
        words, length = source[source != 0], int((label != 0).sum())
        if length:
            sentence = run(model, words, target[:length], weights)
            losses.append(cross_entropy(sentence.logits, label[:length], smoothing))
    return float(np.concatenate(losses).mean())
