"""The model in NumPy and float64, written from the papers' equations and not from the package.

Bahdanau, Cho and Bengio (2015), arXiv 1409.0473: section 3 and appendix A; Luong et al. (2015),
arXiv 1508.04025, section 3; for Transformers see `transformer_oracle`. Every sentence is computed
by itself at its true length, so nothing here knows of padding, masks or batches.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.attention_nmt.models import bert_oracle, transformer_oracle

Array = np.ndarray
Weights = Mapping[str, Array]


class Unit(NamedTuple):
    """A recurrent unit; each list holds one entry a gate, in the package's order."""

    config: Any
    W: list[Array]  # [m, n]
    U: list[Array]  # [n, n]
    b: list[Array]  # [n]; the paper leaves biases out
    c: list[Array]  # [n], beside U
    scales: list[Array]  # [2, n] of the normalized terms; empty without layer normalization

    def x_term(self, gate: int, x: Array) -> Array:
        """What a gate reads of the input."""
        term = x @ self.W[gate] + self.b[gate]
        return self.scales[gate][0] * normal(term) if self.scales else term

    def s_term(self, gate: int, s: Array) -> Array:
        """What a gate reads of the state."""
        term = s @ self.U[gate]
        return (self.scales[gate][1] * normal(term) if self.scales else term) + self.c[gate]


class Sentence(NamedTuple):
    """What the model computes for one pair."""

    annotations: Array  # [T_x, D]
    summary: Array  # [n]: what the first state is made from
    states: Array | None  # [T_y, N]: all layers' side by side; None of a Transformer
    contexts: Array | None  # [T_y, 2n]; likewise
    alignments: Array  # [T_y, T_x]
    logits: Array  # [T_y, K_y]


def read_weights(model: Any) -> dict[str, Array]:
    """The weights of a `Seq2Seq` in float64, by their paths within the model."""
    return {w.path.split("/", 1)[1]: np.asarray(w, np.float64) for w in model.weights}


def unit(model: Any, weights: Weights, path: str, extra: tuple[str, ...] = ()) -> Unit:
    """The unit at `path`, its input weights stacked with those named in `extra`."""
    gates = 4 if model.config.cell.kind == "lstm" else 3
    kernel = np.concatenate([weights[f"{path}/{name}"] for name in ("kernel", *extra)])
    names = ("recurrent_kernel", "input_bias", "recurrent_bias")
    U, b, c = (np.split(weights[f"{path}/{name}"], gates, axis=-1) for name in names)
    scales = (
        np.split(weights[f"{path}/scales"], gates, axis=1)
        if model.config.cell.layer_normalization
        else []
    )
    return Unit(model.config.cell, np.split(kernel, gates, axis=1), U, b, c, scales)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def normal(x: Array) -> Array:
    """Layer normalization without scale and bias: Ba et al. (2016), Eq. 3."""
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def first_state(size: int, config: Any) -> Array:
    """Zeros; of an LSTM, those of its memory stand behind."""
    return np.zeros(2 * size if config.kind == "lstm" else size)


def step(u: Unit, x: Array, s: Array) -> Array:
    """The state after one step."""
    n = len(u.U[0])
    if u.config.kind == "lstm":
        i, f, o = (sigmoid(u.x_term(k, x) + u.s_term(k, s[:n])) for k in (0, 1, 3))
        m = f * s[n:] + i * np.tanh(u.x_term(2, x) + u.s_term(2, s[:n]))
        return np.concatenate([o * np.tanh(m), m])
    # Appendix A.1.1: s_i = (1 - z_i) * s_{i-1} + z_i * s~_i; the package's update gate is 1 - z_i.
    z = 1 - sigmoid(u.x_term(0, x) + u.s_term(0, s))
    r = sigmoid(u.x_term(1, x) + u.s_term(1, s))
    recurrent = r * u.s_term(2, s) if u.config.reset_after else u.s_term(2, r * s)
    return (1 - z) * s + z * np.tanh(u.x_term(2, x) + recurrent)


def read_sentence(u: Unit, xs: Array) -> Array:
    """Section 3.2: the hidden states [T_x, n] after each word, from a state of zeros."""
    n = len(u.U[0])
    states, s = [], first_state(n, u.config)
    for x in xs:
        s = step(u, x, s)
        states.append(s[:n])
    return np.array(states)


def softmax(e: Array) -> Array:
    exponentials = np.exp(e - e.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def attend(model: Any, weights: Weights, s: Array, y: Array, h: Array) -> Array:
    """The weights [T_x] of the annotations for a state and, where it is read, the previous word."""
    path = "decoder/recurrence/attention"
    if model.config.attention == "luong_dot":
        return softmax(h @ s)
    if model.config.attention == "luong_general":  # Luong et al. (2015), section 3.1
        return softmax(
            np.array([s @ (h_j @ weights[f"{path}/key_projection/kernel"]) for h_j in h])
        )
    # Appendix A.1.2: alpha_ij = softmax_j(v_a . tanh(W_a s_{i-1} + U_a h_j)).
    W_a, v_a = weights[f"{path}/query_kernel"], weights[f"{path}/scale"]
    U_a = weights[f"{path}/key_projection/kernel"]
    read = y @ weights["decoder/recurrence/query_kernel"] if model.config.word_query else 0
    return softmax(np.array([v_a @ np.tanh(s @ W_a + read + h_j @ U_a) for h_j in h]))


def maxout(x: Array) -> Array:
    """Appendix A.2.2: t_ij = max(t~_{i,2j-1}, t~_{i,2j}); the package's column k pairs with l +
    k."""
    half = x.shape[-1] // 2
    paired = np.stack([x[..., :half], x[..., half:]], axis=-1)
    return paired.max(axis=-1)


def encode(model: Any, weights: Weights, source: Array) -> tuple[Array, Array]:
    """The annotations [T_x, D], a layer's added to those of the layer below, and the summary."""
    config = model.config
    if not config.embeds_source:
        layers = json.loads(config.backbone)["config"]["num_layers"]
        h = bert_oracle.encode(weights, source - 1, layers)
        return h, h.mean(axis=0)

    side = "target" if config.tie_source else "source"
    h = embedded = weights[f"{side}_embedding/embeddings"][source]
    if config.encoder == "transformer":
        h = transformer_oracle.encode(config, weights, embedded)
        return h, h.mean(axis=0)
    for k in range(config.encoder_layers):
        below, h = h, read_sentence(unit(model, weights, f"encoder/forward_{k}"), h)
        summary = h[-1]
        if config.attention != "none":
            backward = read_sentence(unit(model, weights, f"encoder/backward_{k}"), below[::-1])[
                ::-1
            ]
            h, summary = np.concatenate([h, backward], axis=1), backward[0]
        h = h + below if k else h
    return h, summary


def run(model: Any, source: Array, target: Array, weights: Weights | None = None) -> Sentence:
    """One pair, unpadded: `source` [T_x] and the previous words `target` [T_y], the first the
    start symbol."""
    weights = read_weights(model) if weights is None else weights
    config = model.config
    E_y = weights["target_embedding/embeddings"]
    W_o = E_y.T if config.tie_output else weights["output_projection/kernel"]
    h, summary = encode(model, weights, source)
    if config.decoder == "transformer":
        tops, alignment = transformer_oracle.decode(config, weights, E_y[target], h)
        return Sentence(h, summary, None, None, alignment, tops @ W_o)

    tops, states, contexts, alignments = decode(model, weights, E_y[target], h, summary)
    return Sentence(h, summary, states, contexts, alignments, tops @ W_o)


def decode(
    model: Any, weights: Weights, embedded: Array, h: Array, summary: Array
) -> tuple[Array, Array, Array, Array]:
    """The readouts [T_y, l], states, contexts and alignments of the recurrent decoder."""
    config, n = model.config, model.config.decoder_units
    # Appendix A.2.2: s_0 = tanh(W_s backward h_1), here of every layer.
    first = np.tanh(summary @ weights["decoder/initial/kernel"] + weights["decoder/initial/bias"])
    layers = np.split(first, config.decoder_layers)

    def read_source(s: Array, y: Array) -> tuple[Array, Array]:
        """RNNencdec: Cho et al. (2014), the summary at every step."""
        alpha = attend(model, weights, s, y, h) if config.attention != "none" else np.zeros(len(h))
        return (alpha @ h if config.attention != "none" else h[-1]), alpha

    path = "decoder/recurrence"
    current = config.query == "current"
    extra = ("context_kernel",) if not current else ("feed_kernel",) if config.input_feeding else ()
    units = [unit(model, weights, path, extra)]
    units += [unit(model, weights, f"{path}/upper_{k}") for k in range(1, config.decoder_layers)]
    U_o, V_o, C_o = np.split(weights["decoder/readout/kernel"], [n, n + embedded.shape[1]])
    states, contexts, alignments, readouts = [], [], [], [np.zeros(config.readout_units)]
    for y in embedded:
        read = [y]
        if config.input_feeding:
            read.append(readouts[-1])
        if not current:
            c, alpha = read_source(layers[0][:n], y)
            read.append(c)
        layers[0] = step(units[0], np.concatenate(read), layers[0])
        top = layers[0][:n]
        for k in range(1, config.decoder_layers):
            layers[k] = step(units[k], top, layers[k])
            top = top + layers[k][:n]
        if current:
            c, alpha = read_source(top, y)
        readouts.append(maxout(top @ U_o + y @ V_o + c @ C_o + weights["decoder/readout/bias"]))
        states.append(np.concatenate(layers))
        contexts.append(c)
        alignments.append(alpha)
    return np.array(readouts[1:]), np.array(states), np.array(contexts), np.array(alignments)


def cross_entropy(logits: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """- sum_v q_v log p_v with q = (1 - eps) [v = label] + eps / V, for each position."""
    log_p = np.log(softmax(logits))
    q = np.full_like(log_p, smoothing / log_p.shape[-1])
    q[np.arange(len(labels)), labels] += 1 - smoothing
    return -(q * log_p).sum(axis=-1)


def divergence(logits: Array) -> Array:
    """R-Drop: 1/2 (KL(p || q) + KL(q || p)) at each position, p and q being rows i and i + B / 2
    of [B, T, V]."""
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
