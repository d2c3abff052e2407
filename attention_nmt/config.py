"""What a model and a search are made of, as frozen values."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from attention_nmt.checks import require

PAD, UNKNOWN, START, END = 0, 1, 2, 3
"""The ids of the four special pieces, the same in every vocabulary."""

T = TypeVar("T")


@dataclass(frozen=True)
class CellConfig:
    """A gated recurrent cell; see `cells`.

    Attributes:
        kind: `gru` or `lstm`.
        reset_after: of a GRU; False is the paper's, which resets the state before the recurrent
        product. layer_normalization: normalize what gates are made of.

    Raises:
        ValueError: another kind, or an LSTM with `reset_after=False`.
    """

    kind: Literal["gru", "lstm"] = "gru"
    reset_after: bool = True
    layer_normalization: bool = False

    def __post_init__(self) -> None:
        require(self.kind in ("gru", "lstm"), "kind", "'gru' or 'lstm'", self.kind)
        require(
            self.reset_after or self.kind == "gru",
            "reset_after",
            "True with an LSTM",
            self.reset_after,
        )

    @property
    def gates(self) -> int:
        """`G`: blocks of `H` columns in a kernel."""
        return 4 if self.kind == "lstm" else 3

    @property
    def states(self) -> int:
        """Blocks of `H` columns in a state."""
        return 2 if self.kind == "lstm" else 1


ATTENTIONS = ("bahdanau", "luong_dot", "luong_general", "none")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and options of a `Seq2Seq`; the defaults are the model of the benchmark.

    Units: sizes are numbers of units, rates are probabilities.

    Raises:
        ValueError: a size below 1, a rate outside [0, 1), sharing between unequal vocabularies, or
        options that do not
            go together.
    """

    source_vocabulary_size: int = 4000
    target_vocabulary_size: int = 4000
    embedding_size: int = 256
    encoder_units: int = 256
    decoder_units: int = 512
    encoder_layers: int = 1
    decoder_layers: int = 1
    """From the second on, a layer adds what it makes to what it reads."""
    attention: Literal["bahdanau", "luong_dot", "luong_general", "none"] = "bahdanau"
    attention_units: int = 512
    """Of Bahdanau's attention; Luong's has none."""
    query: Literal["previous", "current"] = "previous"
    """Which state attends: the previous one of the first decoder layer, whose context that layer
    then reads (Bahdanau), or the current one of the last layer (Luong). With Bahdanau's attention
    and the current state, training holds the hidden layer of all positions, `[B, T, S, A]`, unless
    input feeding makes it go step by step."""
    word_query: bool = False
    """With the previous state as the query: Bahdanau's attention reads the previous word beside
    it."""
    input_feeding: bool = False
    """With the current state as the query: the first decoder layer reads the previous readout."""
    cell: Literal["gru", "lstm"] = "gru"
    reset_after: bool = True
    layer_normalization: bool = False
    """These three: see `CellConfig`."""
    readout_units: int = 256
    """Units after the maxout, `l` in the paper's appendix."""
    tie_output: bool = False
    """The output product uses the target embedding; `readout_units` must equal `embedding_size`."""
    tie_source: bool = False
    """One embedding for both languages, which then share one vocabulary."""
    embedding_dropout: float = 0.0
    layer_dropout: float = 0.0
    """On what one layer of the encoder or the decoder hands to the next one."""
    annotation_dropout: float = 0.0
    readout_dropout: float = 0.0
    source_word_dropout: float = 0.0
    """How often a source piece is read as unknown in training."""
    target_word_dropout: float = 0.0
    """How often a previous target piece is read as unknown in training."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_size", "_units", "_layers")):
                require(
                    isinstance(value, int) and value >= 1,
                    field.name,
                    "an integer of at least 1",
                    value,
                )
            if field.name.endswith("dropout"):
                require(0 <= value < 1, field.name, "in [0, 1)", value)
        require(self.attention in ATTENTIONS, "attention", f"one of {ATTENTIONS}", self.attention)
        require(self.cell in ("gru", "lstm"), "cell", "'gru' or 'lstm'", self.cell)
        require(
            self.reset_after or self.cell == "gru",
            "reset_after",
            "True with an LSTM",
            self.reset_after,
        )
        require(
            self.query in ("previous", "current"), "query", "'previous' or 'current'", self.query
        )
        self._check_attention()
        if self.tie_output:
            expected = f"embedding_size={self.embedding_size} when `tie_output` is set"
            require(
                self.readout_units == self.embedding_size,
                "readout_units",
                expected,
                self.readout_units,
            )
        if self.tie_source:
            expected = (
                f"source_vocabulary_size={self.source_vocabulary_size} when `tie_source` is set"
            )
            equal = self.source_vocabulary_size == self.target_vocabulary_size
            require(equal, "target_vocabulary_size", expected, self.target_vocabulary_size)

    def _check_attention(self) -> None:
        if self.attention == "none":
            require(self.query == "previous", "query", "'previous' without attention", self.query)
        if self.word_query:
            reads = self.attention == "bahdanau" and self.query == "previous"
            expected = "False without Bahdanau's attention by the previous state"
            require(reads, "word_query", expected, self.word_query)
        if self.input_feeding:
            require(self.query == "current", "query", "'current' with `input_feeding`", self.query)
        if self.attention == "luong_dot":
            depth = 2 * self.encoder_units
            expected = f"{depth}, twice the encoder_units={self.encoder_units}, with `luong_dot`"
            require(self.decoder_units == depth, "decoder_units", expected, self.decoder_units)

    @property
    def cell_config(self) -> CellConfig:
        """The cell of encoder and decoder."""
        return CellConfig(self.cell, self.reset_after, self.layer_normalization)


@dataclass(frozen=True)
class BatchConfig:
    """How pairs become batches.

    Attributes:
        batch_size: sentences a batch, or target pieces a batch with `batch_unit="tokens"` (padding
        included). maximum_length: longer sentences are dropped, in pieces with the end symbol, on
        either side. maximum_words: pairs are dropped with more words on either side, words being
        what spaces separate; 0: no limit. maximum_ratio: pairs are dropped whose longer side has
        over `ratio` times the pieces of the other, both with
            the end symbol.
        buckets: shapes of batches; XLA compiles once for each.
        shuffle_pairs: pairs that are read into memory together and put in random order.
        sampling_alpha: draw segmentations (see `Tokenizer.sample`); 0 always takes the best one.
        sampled_sides: whose; with `source` targets always have the best one, which is what a
        search has to find. joined_pairs: 1 to so many pairs that follow one another in an epoch's
        random order become one, each number
            equally often, unless it would be too long. For sources longer than the corpus has.

    Raises:
        ValueError: a value outside its range.
    """

    batch_size: int = 64
    batch_unit: Literal["sentences", "tokens"] = "sentences"
    maximum_length: int = 80
    maximum_words: int = 0
    maximum_ratio: float = 6.0
    buckets: int = 8
    shuffle_pairs: int = 200_000
    sampling_alpha: float = 0.0
    sampled_sides: Literal["source", "both"] = "both"
    joined_pairs: int = 1

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        require(
            self.batch_unit in ("sentences", "tokens"),
            "batch_unit",
            "'sentences' or 'tokens'",
            self.batch_unit,
        )
        require(self.maximum_length >= 2, "maximum_length", "at least 2", self.maximum_length)
        require(self.maximum_words >= 0, "maximum_words", "at least 0", self.maximum_words)
        require(self.maximum_ratio >= 1, "maximum_ratio", "at least 1", self.maximum_ratio)
        require(self.buckets >= 1, "buckets", "at least 1", self.buckets)
        require(self.shuffle_pairs >= 1, "shuffle_pairs", "at least 1", self.shuffle_pairs)
        require(self.sampling_alpha >= 0, "sampling_alpha", "at least 0", self.sampling_alpha)
        require(
            self.sampled_sides in ("source", "both"),
            "sampled_sides",
            "'source' or 'both'",
            self.sampled_sides,
        )
        require(self.joined_pairs >= 1, "joined_pairs", "at least 1", self.joined_pairs)


@dataclass(frozen=True)
class SearchConfig:
    """How translations are searched for.

    Attributes:
        beam_size: hypotheses kept for each sentence; 1 is greedy search.
        length_penalty: alpha of Wu et al. (2016), Eq. 14; 0 ranks by log-probability.
        coverage_penalty: its beta, of beam search; see `beam.coverage`. The `beam_size` best are
        ranked with it. temperature: from 0.001 on, translations are drawn at random, `beam_size`
        of each sentence, of which the
            `n_best` likeliest are given; the lower, the likelier. `beam_size=1` gives a plain
            sample.
        sampling_seed: of what is drawn; the same texts have the same samples in any batch.
        n_best: hypotheses returned for each sentence, at most `beam_size`.
        maximum_length_ratio: a translation has at most so many pieces for each of the source, and
        maximum_length_extra: so many more, the end symbol included.
        lookahead: a sentence is done when none of its live hypotheses, were it to lose nothing
        more and to end within
            so many more pieces, could be among the `n_best`. With as many as a translation may
            have, it finds what a search to the limit finds; so does a search with a coverage
            penalty, whatever is given here.
        maximum_source_length: a longer source is cut to so many pieces, the end symbol included:
        the time and memory
            that one request can take are bounded.

    Raises:
        ValueError: a value outside its range, or a coverage penalty in sampling.
    """

    beam_size: int = 5
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    temperature: float = 0.0
    sampling_seed: int = 0
    n_best: int = 1
    maximum_length_ratio: float = 2.0
    maximum_length_extra: int = 10
    lookahead: int = 4
    maximum_source_length: int = 400

    def __post_init__(self) -> None:
        require(self.beam_size >= 1, "beam_size", "at least 1", self.beam_size)
        for name in (
            "length_penalty",
            "coverage_penalty",
            "temperature",
            "maximum_length_ratio",
            "lookahead",
        ):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        require(
            not 0 < self.temperature < 1e-3, "temperature", "0 or at least 0.001", self.temperature
        )
        if self.temperature:
            require(
                not self.coverage_penalty,
                "coverage_penalty",
                "0 with a temperature",
                self.coverage_penalty,
            )
        require(
            0 <= self.sampling_seed < 2**15, "sampling_seed", "from 0 to 32767", self.sampling_seed
        )
        within = 1 <= self.n_best <= self.beam_size
        require(within, "n_best", f"from 1 to beam_size={self.beam_size}", self.n_best)
        require(
            self.maximum_length_extra >= 1,
            "maximum_length_extra",
            "at least 1",
            self.maximum_length_extra,
        )
        require(
            self.maximum_source_length >= 2,
            "maximum_source_length",
            "at least 2",
            self.maximum_source_length,
        )


@dataclass(frozen=True, kw_only=True)
class SearchChanges:
    """What commands that take a run can change of its search; None is what the run has. See
    `SearchConfig`.

    Attributes:
        beam_size: hypotheses that are kept; without it as many as in the run, and so for the next
        five. length_penalty: alpha of Wu et al. (2016), Eq. 14.
        coverage_penalty: beta of the same.
        lookahead: a search goes on while a hypothesis that ends within so many more pieces could
        be among the best. maximum_length_ratio: pieces that a translation may have for each of the
        source. maximum_source_length: pieces to which a longer source is cut.
    """

    beam_size: int | None = None
    length_penalty: float | None = None
    coverage_penalty: float | None = None
    lookahead: int | None = None
    maximum_length_ratio: float | None = None
    maximum_source_length: int | None = None

    def search_changes(self) -> dict[str, Any]:
        """Those that are given, by their names."""
        values = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(SearchChanges)
        }
        return {name: value for name, value in values.items() if value is not None}


def to_json(config: Any) -> str:
    """A config dataclass (nested ones included) as indented JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_dict(cls: type[T], values: dict[str, Any], name: str = "config") -> T:
    """Builds the config dataclass `cls` from the fields that `to_json` wrote.

    Raises:
        ValueError: a field that `cls` does not have; the message names it.
    """
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    require(not unknown, name, f"of the fields {sorted(known)}", unknown)
    return cls(**values)
