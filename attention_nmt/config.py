"""The parts of a model, of batches and of a search, as frozen values."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal, TypeVar

from attention_nmt.backbones import Backbone
from attention_nmt.checks import require

T = TypeVar("T")

WORD_PRODUCTS_BYTES = 2**28
"""The most memory for weights that only make steps of a search faster.

256 MiB are products of 32,768 pieces with 512 decoder and 256 readout units.
"""


@dataclass(frozen=True, kw_only=True)
class CellConfig:
    """A gated recurrent cell; see `layers.cells`.

    Attributes:
        kind: `gru`, `lstm`, or the name of a cell that `register_cell` was given.
        reset_after: of a GRU; False is the paper's, which resets the state before the recurrent
            product.
        layer_normalization: normalize what gates are made of.

    Raises:
        ValueError: no name, or an LSTM with `reset_after=False`.
    """

    kind: str = "gru"
    reset_after: bool = True
    layer_normalization: bool = False

    def __post_init__(self) -> None:
        require(bool(self.kind), "kind", "the name of a cell", self.kind)
        possible = self.reset_after or self.kind != "lstm"
        require(possible, "reset_after", "True with an LSTM", self.reset_after)


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The layers of a Transformer; see `layers.transformer_encoder` and `transformer_decoder`.

    Attributes:
        heads: of each attention; they share the units of an embedded word.
        feed_forward_units: of the hidden layer of each feed-forward network.
        pre_norm: normalize what sublayers read; False normalizes sums, as Vaswani et al. (2017) do.
        attention_dropout: on alignments, each number by itself.
        feed_forward_dropout: on hidden units of feed-forward networks, likewise.
        alignment_layer: the decoder layer whose attention to the source is the model's alignment,
            as Python counts; the last but one without it, or the only one. A recurrent decoder has
            its own.
        alignment_heads: the heads of that layer whose mean it is; all, if none are given.

    Raises:
        ValueError: a value outside its range.
    """

    heads: int = 4
    feed_forward_units: int = 1024
    pre_norm: bool = True
    attention_dropout: float = 0.0
    feed_forward_dropout: float = 0.0
    alignment_layer: int | None = None
    alignment_heads: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("heads", "feed_forward_units"):
            value = getattr(self, name)
            positive = isinstance(value, int) and value >= 1
            require(positive, name, "an integer of at least 1", value)
        for name in ("attention_dropout", "feed_forward_dropout"):
            require(0 <= getattr(self, name) < 1, name, "in [0, 1)", getattr(self, name))
        among = all(0 <= head < self.heads for head in self.alignment_heads)
        require(among, "alignment_heads", f"below heads={self.heads}", self.alignment_heads)

    def layer_that_aligns(self, layers: int) -> int:
        """The `alignment_layer` of a decoder with so many layers.

        Without one, the last layer but one: it agrees best with gold links, as Garg et al. (2019),
        arXiv 1909.02074, found; docs/results/alignments.md has our figures.
        """
        return max(layers - 2, 0) if self.alignment_layer is None else self.alignment_layer


PARTS = ("rnn", "transformer")

PRETRAINED = "keras_hub"
"""What stands before a colon and the preset of an encoder that KerasHub loads."""

ATTENTIONS = ("bahdanau", "luong_dot", "luong_general", "none")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and options of a `Seq2Seq`; the defaults are the model of the benchmark.

    Sizes are numbers of units, rates are probabilities. An encoder or decoder reads those that are
    said to be of it, and leaves the others.

    Attributes:
        source_vocabulary_size: pieces of the source language.
        target_vocabulary_size: pieces of the target language.
        encoder: the part that reads the source: `rnn`, `transformer`, or a pretrained encoder,
            `keras_hub:PRESET`, PRESET being what KerasHub loads: a name, a folder, one on a hub.
        decoder: the part that writes the target; any goes with any encoder.
        backbone: KerasHub's description of a pretrained encoder, which a training finds out by
            itself, and a script by `describe_backbone`.
        transformer: the layers of an encoder or decoder that is a Transformer, whose units are
            those of an embedded word.
        embedding_size: `E`, of both languages.
        encoder_units: units of each direction of a recurrent encoder.
        decoder_units: `H`, units of a recurrent decoder.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of the decoder. From the second on, a recurrent layer adds what it
            makes to what it reads.
        attention: whose attention, or none, of a recurrent decoder; so are the next four.
        attention_units: `A` of Bahdanau's attention; Luong's has none.
        query: which state attends: the previous one of the first decoder layer, whose context that
            layer then reads (Bahdanau), or the current one of the last layer (Luong). With
            Bahdanau's attention and the current state, training holds the hidden layer of all
            positions, `[B, T, S, A]`, unless input feeding makes it go step by step.
        word_query: with the previous state as the query, Bahdanau's attention reads the previous
            word beside it.
        input_feeding: with the current state as the query, the first decoder layer reads the
            previous readout.
        cell: the cell of a recurrent encoder and decoder.
        readout_units: units after the maxout of a recurrent decoder, `l` in the paper's appendix.
        tie_output: the output product uses the target embedding; `readout_units` must equal
            `embedding_size`, which a Transformer's output is as wide as.
        tie_source: one embedding for both languages, which then share one vocabulary.
        embedding_dropout: on embedded words.
        layer_dropout: on what one recurrent layer hands to the next one; on what each sublayer of a
            Transformer adds, there each number by itself.
        annotation_dropout: on annotations.
        readout_dropout: on what the decoder gives to the output product.
        source_word_dropout: how often a source piece is read as unknown in training.
        target_word_dropout: how often a previous target piece is read as unknown in training.

    Raises:
        ValueError: a size below 1, a rate outside [0, 1), sharing between unequal vocabularies, or
            options that do not go together.
    """

    source_vocabulary_size: int = 4000
    target_vocabulary_size: int = 4000
    encoder: str = "rnn"
    decoder: Literal["rnn", "transformer"] = "rnn"
    backbone: str = ""
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    embedding_size: int = 256
    encoder_units: int = 256
    decoder_units: int = 512
    encoder_layers: int = 1
    decoder_layers: int = 1
    attention: Literal["bahdanau", "luong_dot", "luong_general", "none"] = "bahdanau"
    attention_units: int = 512
    query: Literal["previous", "current"] = "previous"
    word_query: bool = False
    input_feeding: bool = False
    cell: CellConfig = field(default_factory=CellConfig)
    readout_units: int = 256
    tie_output: bool = False
    tie_source: bool = False
    embedding_dropout: float = 0.0
    layer_dropout: float = 0.0
    annotation_dropout: float = 0.0
    readout_dropout: float = 0.0
    source_word_dropout: float = 0.0
    target_word_dropout: float = 0.0

    def __post_init__(self) -> None:
        for attribute in dataclasses.fields(self):
            name = attribute.name
            value = getattr(self, name)
            if name.endswith(("_size", "_units", "_layers")):
                positive = isinstance(value, int) and value >= 1
                require(positive, name, "an integer of at least 1", value)
            if name.endswith("dropout"):
                require(0 <= value < 1, name, "in [0, 1)", value)

        known = self.encoder in PARTS or (self.encoder_kind == PRETRAINED and bool(self.preset))
        expected = f"one of {PARTS}, or '{PRETRAINED}:' with a preset"
        require(known, "encoder", expected, self.encoder)
        require(self.decoder in PARTS, "decoder", f"one of {PARTS}", self.decoder)
        known = self.attention in ATTENTIONS
        require(known, "attention", f"one of {ATTENTIONS}", self.attention)
        known = self.query in ("previous", "current")
        require(known, "query", "'previous' or 'current'", self.query)
        require(isinstance(self.cell, CellConfig), "cell", "a CellConfig", self.cell)
        self._check_transformer()
        self._check_pretrained()
        if self.decoder == "rnn":
            self._check_attention()
        self._check_ties()

    def _check_transformer(self) -> None:
        known = isinstance(self.transformer, TransformerConfig)
        require(known, "transformer", "a TransformerConfig", self.transformer)
        if "transformer" not in (self.encoder, self.decoder):
            return

        heads = self.transformer.heads
        shares = self.embedding_size % heads == 0 and self.embedding_size % 2 == 0
        expected = f"an even multiple of the heads={heads} of a Transformer"
        require(shares, "embedding_size", expected, self.embedding_size)
        attends = self.attention != "none"
        require(attends, "attention", "one that aligns, with a Transformer", self.attention)
        if self.decoder == "transformer":
            require(not self.input_feeding, "input_feeding", "False with a Transformer", True)
            layer = self.transformer.layer_that_aligns(self.decoder_layers)
            within = -self.decoder_layers <= layer < self.decoder_layers
            expected = f"one of decoder_layers={self.decoder_layers}"
            require(within, "alignment_layer", expected, layer)

    def _check_pretrained(self) -> None:
        if self.embeds_source:
            require(not self.backbone, "backbone", "empty without a pretrained encoder", "one")
            return

        attends = self.attention != "none"
        expected = "one that aligns, with a pretrained encoder"
        require(attends, "attention", expected, self.attention)
        expected = "False with a pretrained encoder, which has an embedding of its own"
        require(not self.tie_source, "tie_source", expected, self.tie_source)

        if self.backbone and self.attention == "luong_dot" and self.decoder == "rnn":
            depth = Backbone.from_json(self.backbone).depth or self.decoder_units
            expected = f"{depth}, the depth of the encoder, with `luong_dot`"
            require(self.decoder_units == depth, "decoder_units", expected, self.decoder_units)

    @property
    def encoder_kind(self) -> str:
        """The kind of the encoder, without the preset of a pretrained one."""
        return self.encoder.partition(":")[0]

    @property
    def preset(self) -> str:
        """What KerasHub loads as a pretrained encoder; empty of the other kinds."""
        return self.encoder.partition(":")[2]

    @property
    def embeds_source(self) -> bool:
        """Whether the model embeds source words; a pretrained encoder does it by itself."""
        return self.encoder_kind != PRETRAINED

    def least_weights(self) -> int:
        """A number of weights that a model of these sizes has at least.

        Raises:
            ValueError: a pretrained encoder is not described.
        """
        embedding = self.embedding_size
        least = self.target_vocabulary_size * embedding
        if self.embeds_source and not self.tie_source:
            least += self.source_vocabulary_size * embedding

        hidden = 2 * embedding * self.transformer.feed_forward_units
        if self.encoder == "transformer":
            least += self.encoder_layers * (4 * embedding**2 + hidden)
        elif self.encoder_kind == PRETRAINED:
            backbone = Backbone.from_json(self.backbone)
            least += backbone.vocabulary_size * backbone.depth
        else:
            least += self.encoder_layers * self.encoder_units**2
        if self.decoder == "transformer":
            return least + self.decoder_layers * (6 * embedding**2 + hidden)

        additive = self.attention == "bahdanau"
        return (
            least
            + self.decoder_layers * self.decoder_units**2
            + self.readout_units * self.decoder_units
            + self.attention_units * self.decoder_units * additive
        )

    def _check_attention(self) -> None:
        if self.attention == "none":
            previous = self.query == "previous"
            require(previous, "query", "'previous' without attention", self.query)

        if self.word_query:
            reads = self.attention == "bahdanau" and self.query == "previous"
            expected = "False without Bahdanau's attention by the previous state"
            require(reads, "word_query", expected, self.word_query)

        if self.input_feeding:
            current = self.query == "current"
            require(current, "query", "'current' with `input_feeding`", self.query)

        if self.attention == "luong_dot" and self.embeds_source:
            depth = 2 * self.encoder_units
            of_what = f"twice the encoder_units={self.encoder_units}"
            if self.encoder == "transformer":
                depth = self.embedding_size
                of_what = "the embedding_size"
            expected = f"{depth}, {of_what}, with `luong_dot`"
            require(self.decoder_units == depth, "decoder_units", expected, self.decoder_units)

    def _check_ties(self) -> None:
        if self.tie_output and self.decoder == "rnn":
            equal = self.readout_units == self.embedding_size
            expected = f"embedding_size={self.embedding_size} when `tie_output` is set"
            require(equal, "readout_units", expected, self.readout_units)

        if self.tie_source:
            size = self.source_vocabulary_size
            equal = self.target_vocabulary_size == size
            expected = f"source_vocabulary_size={size} when `tie_source` is set"
            require(equal, "target_vocabulary_size", expected, self.target_vocabulary_size)

    @staticmethod
    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        """Gives the fields that an older file wrote, whose cell was three of them, as today's."""
        if not isinstance(values.get("cell"), str):
            return values

        cell = {"kind": values["cell"]}
        for name in ("reset_after", "layer_normalization"):
            if name in values:
                cell[name] = values[name]
        others = {name: value for name, value in values.items() if name not in cell}
        return {**others, "cell": cell}


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """The way from pairs to batches.

    Attributes:
        batch_size: sentences in a batch, or target pieces with `batch_unit="tokens"`, padding
            included.
        batch_unit: the unit of `batch_size`.
        maximum_length: longer sentences are dropped, in pieces with the end symbol, on either side.
        maximum_words: pairs are dropped with more words on either side, words being what spaces
            separate; 0: no limit.
        maximum_ratio: pairs are dropped whose longer side has more than this number of times the
            pieces of the other, both with the end symbol.
        buckets: shapes of batches; XLA compiles once for each.
        shuffle_pairs: pairs that are read into memory together and put in random order.
        sampling_alpha: draw segmentations (see `Tokenizer.sample`); 0 always takes the best one.
        sampled_sides: the sides whose segmentations are drawn; with `source` targets always have
            the best one, which is what a search has to find.
        joined_pairs: from 1 to this number of pairs that follow one another in an epoch's random
            order become one, each number equally often, unless it would be too long. For sources
            longer than the corpus has.
        capitals: the share of the pairs that are read in capitals or in title case, either equally
            often, drawn anew in each epoch; for texts that come so. Pairs of a language without
            capitals stay as they are.

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
    capitals: float = 0.0

    def __post_init__(self) -> None:
        least = {
            "batch_size": 1,
            "maximum_length": 2,
            "maximum_words": 0,
            "maximum_ratio": 1,
            "buckets": 1,
            "shuffle_pairs": 1,
            "sampling_alpha": 0,
            "joined_pairs": 1,
        }
        for name, lowest in least.items():
            value = getattr(self, name)
            require(value >= lowest, name, f"at least {lowest}", value)

        require(0 <= self.capitals <= 1, "capitals", "a share from 0 to 1", self.capitals)

        known = self.batch_unit in ("sentences", "tokens")
        require(known, "batch_unit", "'sentences' or 'tokens'", self.batch_unit)
        known = self.sampled_sides in ("source", "both")
        require(known, "sampled_sides", "'source' or 'both'", self.sampled_sides)


_WHOLE_NUMBERS = (
    "beam_size",
    "sampling_seed",
    "n_best",
    "maximum_length_extra",
    "lookahead",
    "maximum_source_length",
)
"""The fields of a `SearchConfig` that count something."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """The search for translations.

    Attributes:
        beam_size: hypotheses kept for each sentence; 1 is greedy search.
        length_penalty: alpha of Wu et al. (2016), Eq. 14; 0 ranks by log-probability.
        coverage_penalty: its beta, of beam search; see `search.beam.coverage`. The `beam_size` best
            are ranked with it.
        temperature: from 0.001 on, translations are drawn at random, `beam_size` of each sentence,
            of which the `n_best` likeliest are given; the lower, the likelier. `beam_size=1` gives
            a plain sample.
        sampling_seed: of what is drawn; the same texts have the same samples in any batch.
        n_best: hypotheses returned for each sentence, at most `beam_size`.
        maximum_length_ratio: the most pieces of a translation for each piece of its source.
        maximum_length_extra: how many more pieces a translation may have, the end symbol included.
        lookahead: a sentence is done when none of its live hypotheses, were it to lose nothing more
            and to end within this number of pieces, could be among the `n_best`. With as many as a
            translation may have, it finds what a search to the limit finds; so does a search with a
            coverage penalty, whatever is given here.
        maximum_source_length: a longer source is cut to this number of pieces, the end symbol
            included: the time and memory that one request can take are bounded.

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
        least = {
            "beam_size": 1,
            "length_penalty": 0,
            "coverage_penalty": 0,
            "temperature": 0,
            "maximum_length_ratio": 0,
            "maximum_length_extra": 1,
            "lookahead": 0,
            "maximum_source_length": 2,
        }
        for name, lowest in least.items():
            value = getattr(self, name)
            require(value >= lowest, name, f"at least {lowest}", value)
            require(value < math.inf, name, "a finite number", value)
        for name in _WHOLE_NUMBERS:
            value = getattr(self, name)
            require(isinstance(value, Integral), name, "an integer", value)

        usable = not 0 < self.temperature < 1e-3
        require(usable, "temperature", "0 or at least 0.001", self.temperature)
        possible = not (self.temperature and self.coverage_penalty)
        require(possible, "coverage_penalty", "0 with a temperature", self.coverage_penalty)
        within = 0 <= self.sampling_seed < 2**15
        require(within, "sampling_seed", "from 0 to 32767", self.sampling_seed)
        within = 1 <= self.n_best <= self.beam_size
        require(within, "n_best", f"from 1 to beam_size={self.beam_size}", self.n_best)


@dataclass(frozen=True, kw_only=True)
class SearchChanges:
    """Changes of a run's search; what is None stays as the run has it.

    Attributes:
        beam_size: hypotheses kept for each sentence.
        length_penalty: alpha, by which scores are divided.
        coverage_penalty: beta, what is ranked by how much of the source was read.
        lookahead: pieces within which a live hypothesis is to win.
        maximum_length_ratio: the most pieces of a translation for each piece of its source.
        maximum_source_length: the most pieces of a source, the end symbol included.
    """

    beam_size: int | None = None
    length_penalty: float | None = None
    coverage_penalty: float | None = None
    lookahead: int | None = None
    maximum_length_ratio: float | None = None
    maximum_source_length: int | None = None

    def given(self) -> dict[str, Any]:
        """Those that are given, by their names."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}

    def apply(self, search: SearchConfig, **fixed: Any) -> SearchConfig:
        """The search with those that are given, and with what is fixed, put over it.

        Raises:
            ValueError: a value outside its range.
        """
        return dataclasses.replace(search, **{**fixed, **self.given()})


@dataclass(frozen=True, kw_only=True)
class SamplingChanges(SearchChanges):
    """Changes of a run's search that may draw translations at random.

    Attributes:
        temperature: from 0.001 on, translations are drawn, of each text one if no beam size is
            given, and otherwise the likeliest of as many; the lower, the likelier.
        sampling_seed: of what is drawn with a temperature, from 0 to 32767; equal texts have equal
            samples.
    """

    temperature: float | None = None
    sampling_seed: int | None = None

    def given(self) -> dict[str, Any]:
        """Those that are given, by their names, and for samples what the run has of a beam."""
        of_samples = {"beam_size": 1, "coverage_penalty": 0.0} if self.temperature else {}
        return {**of_samples, **super().given()}

    def apply(self, search: SearchConfig, **fixed: Any) -> SearchConfig:
        """The search with those that are given, and with what is fixed, put over it.

        Raises:
            ValueError: a value outside its range, or a seed of samples where nothing is drawn.
        """
        changed = super().apply(search, **fixed)
        used = self.sampling_seed is None or changed.temperature > 0
        require(used, "sampling_seed", "given with a temperature", self.sampling_seed)
        return changed


def to_json(config: Any) -> str:
    """A config dataclass, nested ones included, as indented JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_dict(cls: type[T], values: dict[str, Any], name: str = "config") -> T:
    """Builds a config dataclass from the fields that `to_json` wrote, nested ones included.

    A field that is not there has its default: the file is older than it. A class with a function
    `upgrade` is given older files' fields as today's.

    Args:
        cls: the dataclass.
        values: its fields.
        name: of the config, for the message.

    Raises:
        ValueError: a field that `cls` does not have, a value of another type than the field's, or
            one that `cls` refuses.
    """
    require(isinstance(values, dict), name, "a record with fields", values)
    upgrade = getattr(cls, "upgrade", None)
    if upgrade is not None:
        values = upgrade(values)

    hints = typing.get_type_hints(cls)
    known = [attribute.name for attribute in dataclasses.fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    require(not unknown, name, f"of the fields {sorted(known)}", unknown)

    arguments: dict[str, Any] = {}
    for key, value in values.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            arguments[key] = from_dict(typing.cast(type, hint), value, key)
        else:
            expected = _type_name(hint)
            require(_is_of(hint, value), key, expected, value)
            arguments[key] = tuple(value) if isinstance(value, list) else value
    return cls(**arguments)


def _is_of(hint: Any, value: Any) -> bool:
    """Whether a value that JSON gave is of a field's type; an integer is a float, too."""
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        kind = typing.get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_is_of(kind, one) for one in value)
    if typing.get_args(hint):
        return any(_is_of(kind, value) for kind in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _type_name(hint: Any) -> str:
    """A field's type, for a message."""
    if typing.get_origin(hint) is Literal:
        return f"one of {typing.get_args(hint)}"
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_type_name(typing.get_args(hint)[0])}"
    if typing.get_args(hint):
        return " or ".join(_type_name(kind) for kind in typing.get_args(hint))
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}
    return names.get(hint, "null")
