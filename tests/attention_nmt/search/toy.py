"""A language in which every prefix has its own next-piece distribution, and searches in it by
plain Python."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from attention_nmt.config import SearchConfig
from attention_nmt.search.hypotheses import Problem
from attention_nmt.types import SPECIAL

START = SPECIAL.start
END = SPECIAL.end
PRIME, VOCABULARY, SOURCE = 1009, 6, 3


class Found(NamedTuple):
    """A hypothesis as plain values."""

    score: float
    ids: tuple[int, ...]


class Toy:
    """Logits and alignments that depend on the sentence and on the whole prefix, through the state
    alone."""

    def __init__(self, seed: int = 0, end_bias: float = 0.0) -> None:
        generator = np.random.default_rng(seed)
        self.logits = generator.normal(0, 1.5, (PRIME, VOCABULARY)).astype(np.float32)
        self.logits[:, END] += end_bias
        self.logits[:, 0] -= 30  # no piece is padding
        weights = generator.random((PRIME, SOURCE)).astype(np.float32)
        self.alignments = weights / weights.sum(axis=1, keepdims=True)
        self.steps = 0

    def state(self, sentences: Any) -> dict[str, Any]:
        """The state of one hypothesis for each of the sentences, which are numbers `[B]`."""
        codes = ops.cast(ops.convert_to_tensor(sentences), "int32")[:, None]
        return {
            "codes": codes,
            "sentence": codes,
            "more": (ops.zeros_like(codes, "float32")[:, :, None],),
        }

    def memory(self, sentences: Any) -> Any:
        """What the hypotheses of each sentence share: its number `[B]`."""
        return ops.cast(ops.convert_to_tensor(sentences), "int32")

    def step(self, ids: Any, state: dict[str, Any], memory: Any) -> tuple[Any, Any, Any]:
        """The memory is the number of each sentence, which must be that of the state: a code that
        grew from it."""
        self.steps += 1
        codes = (state["codes"] * VOCABULARY + ids) % PRIME
        codes = ops.where(ops.equal(memory[:, None], state["sentence"]), codes, 0)
        logits = ops.take(ops.convert_to_tensor(self.logits), codes, axis=0)
        alignment = ops.take(ops.convert_to_tensor(self.alignments), codes, axis=0)
        return logits, {**state, "codes": codes, "more": (state["more"][0] + 1,)}, alignment

    def problem(
        self, sentences: Any, limits: Any, keys: Any = None, aligned: bool = True
    ) -> Problem:
        """The search for translations of sentences, which are numbers `[B]`."""
        return Problem(
            step=self.step if aligned else self.without_alignment,
            state=self.state(sentences),
            memory=self.memory(sentences),
            maximum_lengths=limits,
            sentence_keys=keys,
        )

    def without_alignment(
        self, ids: Any, state: dict[str, Any], memory: Any
    ) -> tuple[Any, Any, None]:
        return *self.step(ids, state, memory)[:2], None

    def codes(self, sentence: int, ids: tuple[int, ...]) -> list[int]:
        """The state before each piece."""
        codes = [sentence]
        for previous in (START, *ids[:-1]):
            codes.append((codes[-1] * VOCABULARY + previous) % PRIME)
        return codes[1:]

    def log_probability(self, sentence: int, ids: tuple[int, ...]) -> float:
        logits = self.logits[self.codes(sentence, ids)].astype(np.float64)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(log_p[np.arange(len(ids)), list(ids)].sum())

    def score(self, sentence: int, ids: tuple[int, ...], alpha: float) -> float:
        return self.log_probability(sentence, ids) / ((5 + len(ids)) / 6) ** alpha

    def everything(self, limit: int, prefix: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
        """All sequences that end with the end symbol or at the limit."""
        if len(prefix) == limit or END in prefix:
            yield prefix
            return
        for piece in range(1, VOCABULARY):
            yield from self.everything(limit, (*prefix, piece))

    def exhaustive(self, sentence: int, limit: int, alpha: float) -> list[Found]:
        """Every sequence, the best first."""
        return sorted(
            (Found(self.score(sentence, s, alpha), s) for s in self.everything(limit)), reverse=True
        )

    def beam(self, sentence: int, limit: int, config: SearchConfig) -> list[Found]:
        """Beam search: live and ended hypotheses compete by their scores. Looking ahead to the
        limit, it goes there."""
        alpha, live, ended = config.length_penalty, [tuple[int, ...]()], list[Found]()
        for length in range(1, limit + 1):
            extended = [(*prefix, piece) for prefix in live for piece in range(1, VOCABULARY)]
            found = [Found(self.score(sentence, ids, alpha), ids) for ids in extended]
            best = sorted([*found, *ended], reverse=True)[: config.beam_size]
            done = [len(f.ids) < length or f.ids[-1] == END or length == limit for f in best]
            ended = [f for f, d in zip(best, done, strict=True) if d]
            live = [f.ids for f, d in zip(best, done, strict=True) if not d]
            if config.lookahead < limit and len(ended) >= config.n_best:
                penalty = ((5 + min(length + config.lookahead, limit)) / 6) ** alpha
                hope = max(
                    (self.log_probability(sentence, ids) / penalty for ids in live), default=-np.inf
                )
                if hope <= sorted(ended, reverse=True)[config.n_best - 1].score:
                    break
        return sorted(ended, reverse=True)[: config.n_best]

    def covered(self, sentence: int, limit: int, config: SearchConfig) -> list[Found]:
        """The `beam_size` best of a beam search, ranked with the coverage penalty."""
        every = self.beam(sentence, limit, dataclasses.replace(config, n_best=config.beam_size))
        read = [self.alignments[self.codes(sentence, f.ids)].sum(axis=0) for f in every]
        penalties = [config.coverage_penalty * np.log(np.minimum(x, 1)).sum() for x in read]
        ranked = [Found(f.score + p, f.ids) for f, p in zip(every, penalties, strict=True)]
        return sorted(ranked, reverse=True)[: config.n_best]


def trimmed(row: Any) -> tuple[int, ...]:
    """Ids `[T]` without the padding behind them."""
    return tuple(int(i) for i in np.trim_zeros(np.asarray(row), "b"))
