"""The settings of a training, and named sets of them.

Each preset states its command and what to expect of it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX
from attention_nmt.config import BatchConfig, ModelConfig, SearchConfig, TransformerConfig
from attention_nmt.data.normalization import NORMALIZATIONS, Normalization

from .devices import DeviceConfig


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All settings of a training; every field is a flag of `attention-nmt train`.

    Attributes:
        dataset: a TFDS name, a folder of `LANG.SPLIT.txt` files, or the bundled grammar_en_fr; or
            several with commas between, `=N` behind one that an epoch reads N times. The first has
            the dev split.
        source: the language to translate from, as the dataset calls it.
        target: the language to translate to.
        data_dir: where TFDS keeps prepared datasets.
        train_split: the name of the split to train on.
        dev_split: the name of the split to evaluate on; without one, the split with the name of
            one.
        dev_sentences: evaluate on this number of sentences, the first of the dev split.
        vocabulary_size: pieces of each vocabulary, or of both languages' together.
        character_coverage: see `Tokenizer.train`; 0.9995 suits languages with thousands of
            characters.
        normalization: of every text, kept in the tokenizer's file: `nfc` makes one spelling of
            those that look the same, `nfkc` full-width and other variants plain ones, too, `none`
            changes no character.
        shared_vocabulary: one vocabulary for both languages.
        initial: a trained model to begin with: a bundled one by its name, a folder that
            `Translator.save` wrote, a run folder, or one on a hub. It decides the sizes and options
            of the model; its search and its languages are what flags change.
        vocabulary: of a training with `initial`: the `same` as the model has; `extended` by the
            pieces of the training texts that it lacks; or a `new` one of the training texts. Pieces
            that it knows keep their rows, others begin with the means of their parts' rows.
            `vocabulary_size` is that of the pieces of the training texts.
        freeze: parts of the model whose weights stay as they are, such as `encoder`, `decoder`,
            `source_embedding`.
        encoder_rate: the share of the learning rate that the encoder has.
        thaw_steps: the layers of a pretrained encoder are kept as they are at first, and are
            trained one after another from the last to the first, each from this number of steps
            after the one above it on, the last from that step on; 0: all from the beginning.
        model: sizes and options of the model.
        batches: the way from pairs to batches.
        search: the search for translations, by which dev BLEU is computed.
        steps: updates of the weights.
        learning_rate: its highest value; it rises for `warmup_steps` and falls along a cosine.
        final_learning_rate: the share of the highest value that is left at the end. Averaged
            weights need no fall to 0.
        warmup_steps: steps in which the learning rate rises.
        gradient_norm: the global norm to which gradients are clipped.
        label_smoothing: the share of the labels that is spread over all pieces.
        consistency: weight of R-Drop, the divergence of two dropout passes; above 0 a batch holds
            half as many pairs, each twice.
        average_decay: the share of themselves that averaged weights keep at each step; 0: no
            averages.
        evaluate_steps: steps between evaluations on the dev split.
        checkpoint_steps: steps between checkpoints, of which the last is kept.
        patience: stop after this number of evaluations without a better BLEU; 0 never stops early.
        maximum_skipped_steps: stop after this number of steps in a row whose loss or gradients are
            not finite. Such a step changes no weight. With mixed_float16, whose scale of the loss
            is found in this way, some are usual.
        seed: of initial weights, order of data, dropout and sampled segmentations.
        jit_compile: compile steps with XLA, once per bucket; on JAX they always are.
        dtype_policy: Keras' name of one with weights in float32: `float32`, `mixed_bfloat16`, ...
        devices: the devices that share a batch.

    Raises:
        ValueError: a value outside its range.
    """

    dataset: str = "grammar_en_fr"
    source: str = "en"
    target: str = "fr"
    data_dir: str | None = None
    train_split: str = "train"
    dev_split: str | None = None
    dev_sentences: int = 1000
    vocabulary_size: int = 4000
    character_coverage: float = 0.9999
    normalization: Normalization = "nfc"
    shared_vocabulary: bool = True
    initial: str | None = None
    vocabulary: Literal["same", "extended", "new"] = "same"
    freeze: tuple[str, ...] = ()
    encoder_rate: float = 1.0
    thaw_steps: int = 0
    model: Annotated[ModelConfig, NO_PREFIX] = field(default_factory=ModelConfig)
    batches: Annotated[BatchConfig, NO_PREFIX] = field(default_factory=BatchConfig)
    search: Annotated[SearchConfig, NO_PREFIX] = field(default_factory=SearchConfig)
    steps: int = 2000
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0
    warmup_steps: int = 200
    gradient_norm: float = 1.0
    label_smoothing: float = 0.1
    consistency: float = 0.0
    average_decay: float = 0.0
    evaluate_steps: int = 500
    checkpoint_steps: int = 250
    patience: int = 0
    maximum_skipped_steps: int = 20
    seed: int = 1
    jit_compile: bool = True
    dtype_policy: str = "float32"
    devices: Annotated[DeviceConfig, NO_PREFIX] = field(default_factory=DeviceConfig)

    def __post_init__(self) -> None:
        counts = ("dev_sentences", "vocabulary_size", "steps", "evaluate_steps", "checkpoint_steps")
        for name in (*counts, "maximum_skipped_steps"):
            value = getattr(self, name)
            require(value >= 1, name, "at least 1", value)

        for name in ("gradient_norm", "learning_rate"):
            value = getattr(self, name)
            require(0 < value < math.inf, name, "a finite number above 0", value)

        require(0 < self.encoder_rate <= 1, "encoder_rate", "in (0, 1]", self.encoder_rate)

        paced = self.encoder_rate != 1 or self.thaw_steps > 0
        expected = "without the encoder where that has a pace of its own"
        require(not (paced and "encoder" in self.freeze), "freeze", expected, self.freeze)

        for name in ("consistency", "patience", "thaw_steps"):
            value = getattr(self, name)
            require(value >= 0, name, "at least 0", value)

        for name in ("label_smoothing", "average_decay"):
            value = getattr(self, name)
            require(0 <= value < 1, name, "in [0, 1)", value)

        known = self.normalization in NORMALIZATIONS
        require(known, "normalization", f"one of {NORMALIZATIONS}", self.normalization)

        final = self.final_learning_rate
        require(0 <= final <= 1, "final_learning_rate", "a share in [0, 1]", final)

        within = 0 <= self.warmup_steps < self.steps
        require(within, "warmup_steps", f"in [0, steps={self.steps})", self.warmup_steps)

        known = self.vocabulary in ("same", "extended", "new")
        require(known, "vocabulary", "'same', 'extended' or 'new'", self.vocabulary)
        usable = self.initial is not None or self.vocabulary == "same"
        require(usable, "vocabulary", "left out without `initial`", self.vocabulary)

        possible = self.shared_vocabulary or not self.model.tie_source
        require(possible, "tie_source", "False without shared_vocabulary", True)

        other = f"another language than source={self.source!r}"
        require(self.source != self.target, "target", other, self.target)

    @staticmethod
    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        """Gives the fields of an older file, which had one normalization and did not name it."""
        return {"normalization": "nfkc", **values}


def base() -> TrainConfig:
    """Small corpora of short sentences, on two CPU cores; the default.

        python -m training.train --dataset multi30k_en_de --source en --target de --run-dir RUN

    took 22 minutes on two Zen 4 cores, tests beside it, and gave BLEU 39.11 on test_2016_flickr
    (cased, 13a, beam 5, seed 1; dev 39.49).
    """
    return TrainConfig(
        vocabulary_size=8000,
        model=ModelConfig(
            attention_units=256,
            word_query=True,
            tie_output=True,
            embedding_dropout=0.1,
            annotation_dropout=0.1,
            readout_dropout=0.1,
            source_word_dropout=0.1,
            target_word_dropout=0.1,
        ),
        batches=BatchConfig(
            maximum_length=60,
            buckets=8,
            sampling_alpha=0.5,
            sampled_sides="source",
        ),
        dev_sentences=2000,
        steps=3000,
        learning_rate=2e-3,
        final_learning_rate=0.3,
        average_decay=0.998,
        evaluate_steps=1000,
        checkpoint_steps=500,
    )


def multi30k() -> TrainConfig:
    """Some ten thousand pairs of short sentences that were diversified, as well as one model can.

        make multi30k DATA=multi30k_en_de SOURCE=en TARGET=de SPLIT=test_2016_flickr SEED=1

    trains a model of each direction by `base`, lets both translate the corpus, and trains on all of
    it together: run one by one on two Zen 4 cores, 22, 20, 6 and 57 minutes. BLEU on
    test_2016_flickr, mean and range of seeds 1 to 3: from English to German 40.73, 40.69 to 40.81
    (cased, 13a, beam 5), and 41.15, 41.10 to 41.20 (lowercased Moses tokens); to French 61.43,
    61.33 to 61.49, and 62.44, 62.34 to 62.51. Seeds 2 and 3 were trained on a GPU, by
    `training.record` and `training.replay`, those to German on a corpus of other first models than
    seed 1's.
    """
    return replace(base(), steps=10_000, final_learning_rate=0.25)


def student() -> TrainConfig:
    """A small model that translates fast, for pairs of short sentences that were diversified.

        make student DATA=multi30k_en_de SOURCE=en TARGET=de SPLIT=test_2016_flickr SEED=1

    trains it on what two models of `base` make of the corpus, as `multi30k` is trained. It has
    4.1 million weights, five eighths of the sizes of `base`. It took 30 to 40 minutes on one Zen 5
    core behind the 25 of the corpus. BLEU on test_2016_flickr, mean and range of seeds 1 to 3:
    41.09, 40.86 to 41.44 (cased, 13a, beam 5), and 41.55, 41.27 to 41.94 (lowercased Moses tokens);
    a greedy search has 1.5 less. Two seeds as one, `make pair`, have 41.78 and 42.27. Students of
    what such a pair writes, `make learner`, have 41.39 and 41.80, and greedy 41.06 and 41.50.
    """
    larger = multi30k()
    model = replace(
        larger.model,
        embedding_size=160,
        encoder_units=160,
        decoder_units=320,
        attention_units=160,
        readout_units=160,
    )
    return replace(larger, model=model, steps=12_000, evaluate_steps=1500)


def transformer_tiny() -> TrainConfig:
    """A small Transformer for small corpora of short sentences (4+4 layers of 128 units).

        python -m training.train --preset transformer_tiny --dataset multi30k_en_de --source en \\
            --target de --run-dir RUN

    took 27 minutes on one Zen 5 core, tests beside it, and gave BLEU 37.88 on test_2016_flickr
    (cased, 13a, beam 5, seed 1; dev 38.34). With the word dropout, the embedding dropout and the
    sampled segmentations of `base` it had dev 37.05, and 36.44 at half the rate.

    Source of its sizes: Wu et al. (2021), arXiv 2105.14462.
    """
    short = base()
    model = replace(
        short.model,
        encoder="transformer",
        decoder="transformer",
        transformer=TransformerConfig(heads=4, feed_forward_units=256),
        embedding_size=128,
        encoder_layers=4,
        decoder_layers=4,
        word_query=False,
        tie_source=True,
        embedding_dropout=0.0,
        layer_dropout=0.1,
        source_word_dropout=0.0,
        target_word_dropout=0.0,
    )
    return replace(
        short,
        model=model,
        batches=replace(short.batches, sampling_alpha=0.0),
        steps=5200,
        learning_rate=3e-3,
        warmup_steps=500,
        evaluate_steps=1300,
    )


def transformer_small() -> TrainConfig:
    """A Transformer of as many weights as `base` (3+3 layers of 256 units).

        python -m training.train --preset transformer_small --dataset multi30k_en_de --source en \\
            --target de --run-dir RUN

    took 73 minutes on one Zen 3 core, other work beside much of it, and gave BLEU 37.11 on
    test_2016_flickr (cased, 13a, beam 5, seed 1; dev 36.73). A rate of 2e-3 had dev 33.68.
    """
    decoding = hybrid()
    model = replace(
        decoding.model,
        encoder="transformer",
        encoder_layers=3,
        tie_source=True,
        embedding_dropout=0.0,
    )
    return replace(
        decoding,
        model=model,
        batches=replace(decoding.batches, sampling_alpha=0.0),
        steps=3000,
        learning_rate=1e-3,
        warmup_steps=400,
        evaluate_steps=750,
    )


def hybrid() -> TrainConfig:
    """The encoder of `base` under a Transformer that decodes (3 layers of 256 units).

        python -m training.train --preset hybrid --dataset multi30k_en_de --source en --target de \\
            --run-dir RUN

    took 56 minutes on one Zen 3 core, other work beside it for a third of them, and gave BLEU 39.09
    on test_2016_flickr (cased, 13a, beam 5, seed 1; dev 38.96). With the word dropout of `base` it
    had dev 38.72 after 2,900 steps.
    """
    short = base()
    model = replace(
        short.model,
        decoder="transformer",
        transformer=TransformerConfig(heads=4, feed_forward_units=1024),
        decoder_layers=3,
        word_query=False,
        layer_dropout=0.1,
        source_word_dropout=0.0,
        target_word_dropout=0.0,
    )
    return replace(short, model=model, steps=3100, warmup_steps=300, evaluate_steps=775)


def transformer_base() -> TrainConfig:
    """The base model of Vaswani et al. (2017), for a large corpus and a GPU.

        python -m training.train --preset transformer_base --dataset DATASET --source en \\
            --target de --run-dir RUN

    was never run here. The model has 60.5 million weights, 16.4 of them for its 32,000
    pieces. The rate rises to where the paper's does. Departures from it: normalization before
    sublayers, a cosine behind the rise, a smaller batch, averaged weights.

    Source: Vaswani et al. (2017), arXiv 1706.03762.
    """
    tiny = transformer_tiny()
    model = replace(
        tiny.model,
        transformer=TransformerConfig(heads=8, feed_forward_units=2048),
        embedding_size=512,
        encoder_layers=6,
        decoder_layers=6,
        embedding_dropout=0.1,
    )
    batches = BatchConfig(batch_size=4096, batch_unit="tokens", maximum_length=100)
    return replace(
        tiny,
        vocabulary_size=32_000,
        model=model,
        batches=batches,
        steps=100_000,
        learning_rate=7e-4,
        final_learning_rate=0.2,
        warmup_steps=4000,
        average_decay=0.999,
        evaluate_steps=5000,
        checkpoint_steps=1000,
    )


def canlaw() -> TrainConfig:
    """Some ten thousand pairs of long sentences, and translations of longer ones than those.

        python -m training.train --preset canlaw --dataset canlaw_en_fr --source en --target fr \\
            --run-dir RUN

    took 104 minutes on two Zen 4 cores and gave BLEU 37.66 on test and 31.92 on test_long (cased,
    13a, beam 5, seed 1; dev 35.37). More seeds were not trained.
    """
    short = base()
    model = replace(
        _with_dropout(short.model, 0.2),
        source_word_dropout=0.0,
        target_word_dropout=0.0,
    )
    batches = BatchConfig(
        batch_size=2400,
        batch_unit="tokens",
        maximum_length=160,
        joined_pairs=2,
    )
    return replace(
        short,
        model=model,
        batches=batches,
        dev_sentences=500,
        steps=8000,
        final_learning_rate=0.05,
        evaluate_steps=2000,
        checkpoint_steps=250,
    )


def article(attention: Literal["bahdanau", "none"], words: int) -> TrainConfig:
    """One of the article's four models (figure 2, table 1) on Canadian statutes.

        python -m training.train --preset RNNsearch-50 --dataset canlaw_en_fr --source en \\
            --target fr --run-dir RUN

    took some 30 minutes on one Zen 5 core, 20 without attention, when it was a list of flags. The
    four are of equal sizes and budgets. BLEU on test and on test_long, cased, 13a, beam 5, of
    seed 1:

        RNNsearch-50  25.60  17.34      RNNencdec-50  8.63  5.23
        RNNsearch-30  22.27   9.86      RNNencdec-30  8.66  3.84

    Args:
        attention: `none` is RNNencdec.
        words: the most words of a sentence that it is trained on.
    """
    short = base()
    model = replace(
        _with_dropout(short.model, 0.2),
        attention=attention,
        word_query=False,
    )
    batches = replace(
        short.batches,
        batch_size=1600,
        batch_unit="tokens",
        maximum_length=120,
        maximum_words=words,
        sampled_sides="both",
    )
    return replace(
        short,
        vocabulary_size=4000,
        model=model,
        batches=batches,
        dev_sentences=500,
        steps=4000,
        final_learning_rate=0.1,
        average_decay=0.995,
        checkpoint_steps=250,
    )


def rnnsearch_30() -> TrainConfig:
    """The article's RNNsearch-30: with attention, of sentences up to 30 words."""
    return article("bahdanau", 30)


def rnnsearch_50() -> TrainConfig:
    """The article's RNNsearch-50: with attention, of sentences up to 50 words."""
    return article("bahdanau", 50)


def rnnencdec_30() -> TrainConfig:
    """The article's RNNencdec-30: without attention, of sentences up to 30 words."""
    return article("none", 30)


def rnnencdec_50() -> TrainConfig:
    """The article's RNNencdec-50: without attention, of sentences up to 50 words."""
    return article("none", 50)


def hansards() -> TrainConfig:
    """Sentences of the Canadian parliament, one segmentation a word; for alignment error rates.

        python -m training.train --preset hansards --dataset JOINED --source en --target fr \\
            --run-dir RUN

    JOINED is `hansards_short_en_fr` with its pairs joined in twos and threes behind it, as
    docs/results/alignments.md makes it. It took 19 minutes on two Zen 5 cores, when it was a list
    of flags; dev BLEU 31.80 (29.51 from French to English), seed 1.
    """
    short = base()
    return replace(
        short,
        model=replace(short.model, source_word_dropout=0.0, target_word_dropout=0.0),
        batches=replace(short.batches, maximum_length=80, sampling_alpha=0.0),
        steps=4000,
        final_learning_rate=0.1,
        average_decay=0.995,
        evaluate_steps=2000,
    )


def tatoeba() -> TrainConfig:
    """More than a hundred thousand pairs of everyday sentences; the bundled models.

        make pretrained DATA=tatoeba_en_fr SOURCE=en TARGET=fr

    trains on the corpus and variations of it, 41 minutes on one Zen 5 core, other work beside it,
    and writes the folder. With weights in int8 it gave BLEU 41.29 on test (cased, 13a, beam 5, seed
    1), with SOURCE=fr TARGET=en 48.00, and tatoeba_es_en 50.25.
    """
    short = base()
    return replace(
        short,
        vocabulary_size=6000,
        batches=replace(short.batches, batch_size=160, maximum_length=50, capitals=0.15),
        dev_sentences=3000,
        steps=4000,
        learning_rate=3e-3,
        final_learning_rate=0.1,
        warmup_steps=400,
        average_decay=0.999,
        evaluate_steps=1000,
    )


def finetune() -> TrainConfig:
    """A trained model on other texts; the default with `--initial`.

        attention-nmt train --initial MODEL --dataset DATASET --run-dir RUN

    Rate and steps were chosen on the dev split of Multi30k en-de, from `tatoeba_en_de` on 5,000 of
    its pairs: a rate of 5e-4 had 24.35 at step 500, this one 26.00.
    """
    return replace(
        base(),
        steps=1000,
        learning_rate=1.5e-3,
        warmup_steps=100,
        average_decay=0.99,
        evaluate_steps=250,
        checkpoint_steps=250,
    )


def demo() -> TrainConfig:
    """The bundled dataset in a few minutes.

    `make demo` gives BLEU 98.0 on test (cased, 13a, beam 5, seed 1).
    """
    return TrainConfig(
        vocabulary_size=1500,
        model=ModelConfig(
            embedding_size=128,
            encoder_units=128,
            decoder_units=256,
            attention_units=128,
            word_query=True,
            readout_units=128,
            tie_output=True,
            embedding_dropout=0.1,
            readout_dropout=0.1,
        ),
        batches=BatchConfig(maximum_length=40, buckets=3),
        steps=1500,
        learning_rate=4e-3,
        warmup_steps=100,
        average_decay=0.99,
        evaluate_steps=500,
    )


def _with_dropout(model: ModelConfig, rate: float) -> ModelConfig:
    return replace(
        model,
        embedding_dropout=rate,
        annotation_dropout=rate,
        readout_dropout=rate,
    )


PRESETS: dict[str, Callable[[], TrainConfig]] = {
    "base": base,
    "multi30k": multi30k,
    "student": student,
    "transformer_tiny": transformer_tiny,
    "transformer_base": transformer_base,
    "transformer_small": transformer_small,
    "hybrid": hybrid,
    "canlaw": canlaw,
    "RNNsearch-30": rnnsearch_30,
    "RNNsearch-50": rnnsearch_50,
    "RNNencdec-30": rnnencdec_30,
    "RNNencdec-50": rnnencdec_50,
    "hansards": hansards,
    "tatoeba": tatoeba,
    "finetune": finetune,
    "demo": demo,
}
"""Every preset by its name; `attention-nmt train --preset NAME`."""


def summary(preset: str) -> str:
    """One line on a preset: the first of its docstring."""
    return (inspect.getdoc(PRESETS[preset]) or "").partition("\n")[0]
