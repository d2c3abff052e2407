"""A translator as a SavedModel, with a model card and requests that warm a server up."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from attention_nmt.archives import check_finite
from attention_nmt.config import WORD_PRODUCTS_BYTES
from attention_nmt.models.interface import TranslationModel
from attention_nmt.translation.translator import Translator

from .signatures import MAXIMUM_BATCH, SCORE_PAIRS, maximum_aligned, signatures

WARM_UP_TEXTS = 16
"""The most texts in the larger of two requests for each signature; the other one has a single text.

A server runs them before it serves a version.
"""

BATCHING_FILE = "batching_params.pbtxt"
"""The file of a version's own batching, by TensorFlow Serving's convention."""

BATCHED_TEXTS = 32
"""The most texts that TensorFlow Serving puts together, unless a signature takes fewer."""

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece")
"""Packages whose versions stand in a model card."""


def write_saved_model(
    translator: Translator,
    folder: str | Path,
    about: dict[str, Any],
    samples: Sequence[str],
    limit_bytes: int = WORD_PRODUCTS_BYTES,
) -> None:
    """Writes a translator with the weights as they are now.

    A server with `--enable_per_model_batching_parameters` puts texts together as the model lets
    it.

    Args:
        translator: what to write.
        folder: the SavedModel's folder, which is made.
        about: what the model card is to say beside what can be seen in the model.
        samples: source texts for requests that warm a server up.
        limit_bytes: the most memory for weights that only make steps faster; see
            `Translator.frozen`.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a weight is not finite, or a text may have an alignment that is too large.
    """
    if isinstance(translator.model, keras.Model):
        check_finite(translator.model, "the translator's model")

    folder = Path(folder)
    translator = translator.frozen(limit_bytes)
    functions = signatures(translator)

    archive = keras.export.ExportArchive()
    for resource in _resources(translator, functions):
        archive.track(resource)
    for name, function in functions.items():
        archive.add_endpoint(name, function)
    # The gradients of the recurrences have no place in an endpoint, and could not be traced without
    # their inputs.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    archive.write_out(str(folder), options=options, verbose=False)

    batching = _batching(translator)
    (folder / BATCHING_FILE).write_text(batching, encoding="utf-8")
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    card = {**model_card(translator), "signatures": list(functions), **about}
    (extra / "model_card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    if samples:
        sizes = {1, min(WARM_UP_TEXTS, *_limits(translator).values())}
        path = extra / "tf_serving_warmup_requests"
        _write_warm_up(path, list(functions), sorted(sizes), samples)


def _resources(translator: Translator, functions: dict[str, Any]) -> list[Any]:
    """Gives all that a translator's graphs read and an archive has to be told of.

    The model is not: an archive finds the variables of its functions, and writes those of a model
    that it tracks again. Weights that no function reads are left out.
    """
    weights = keras.tree.flatten(translator.search_weights)
    if translator.shortlist is not None:
        weights.append(translator.shortlist.table)
    graphs = [function.get_concrete_function().graph for function in functions.values()]
    read = {id(variable) for graph in graphs for variable in graph.variables}
    return [
        translator.source_tokenizer.module,
        translator.target_tokenizer.module,
        *(weight for weight in weights if id(weight) in read),
    ]


def _batching(translator: Translator) -> str:
    """The parameters of a version's batching, as text of `tensorflow.serving.BatchingParameters`.

    The limits of requests are checked on what was put together, so that no more texts are than the
    signature of alignments takes.
    """
    most = min(BATCHED_TEXTS, *_limits(translator).values())
    return f"""\
max_batch_size {{ value: {most} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 64 }}
"""


def _limits(translator: Translator) -> dict[str, int]:
    """The most texts in a request, by the names that a model card has for them."""
    limits = {"maximum_batch": MAXIMUM_BATCH}
    if translator.model.aligns:
        limits["maximum_batch_with_alignment"] = maximum_aligned(translator.search)
    return limits


def model_card(translator: Translator) -> dict[str, Any]:
    """Says what can be seen of a translator alone.

    Returns:
        Its model, search, limits, tokenizers, the usual pieces of its shortlist, and the versions
        of the packages that made it.

    Raises:
        ValueError: a text may have an alignment that is too large.
    """
    tokenizers = {"source": translator.source_tokenizer, "target": translator.target_tokenizer}
    sums = {}
    for side, tokenizer in tokenizers.items():
        if tokenizer.model_proto is not None:  # as some of a pretrained encoder
            sums[side] = hashlib.sha256(tokenizer.model_proto).hexdigest()

    shortlist = translator.shortlist
    return {
        "model": _describe(translator.model),
        "search": asdict(translator.search),
        **_limits(translator),
        "tokenizers_sha256": sums,
        "shortlist": None if shortlist is None else len(shortlist.usual),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def _describe(model: TranslationModel) -> dict[str, Any]:
    """The config of a model of Keras, and of any other one the sizes that the contract tells."""
    sizes = {
        "source_vocabulary_size": model.source_vocabulary_size,
        "target_vocabulary_size": model.target_vocabulary_size,
    }
    get_config = getattr(model, "get_config", None)
    if get_config is None:
        return sizes
    values = get_config()
    return {**sizes, **values.get("config", values)}


def _write_warm_up(
    path: Path, names: Sequence[str], sizes: Sequence[int], samples: Sequence[str]
) -> None:
    """Writes TFRecords of requests, of each signature one of each size.

    A server that cannot answer one of them does not load the version.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, size in itertools.product(names, sizes):
            texts = itertools.islice(itertools.cycle(samples), size)
            tensor = tf.make_tensor_proto([text.encode() for text in texts])
            aliases = ("source", "target") if name == SCORE_PAIRS else ("text",)

            request = predict_pb2.PredictRequest(inputs=dict.fromkeys(aliases, tensor))
            request.model_spec.signature_name = name
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
