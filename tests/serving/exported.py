"""Texts, runs and requests that the tests of exports share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2

from attention_nmt.config import ModelConfig, from_dict
from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.models.seq2seq import Seq2Seq
from attention_nmt.run_folder import RunFolder
from serving.servable import Servable
from tests.training.corpora import PAIRS

TEXTS = [source for source, _ in PAIRS[::40]] + [
    "",
    "zebra ½ 日本語",
    "A b c d e f g h i j k l m n o p.",
]

SIGNATURES = {"serving_default", "translate_nbest", "translate_with_alignment", "score_pairs"}


def string_proto(texts: list[str]) -> tensor_pb2.TensorProto:
    return tf.make_tensor_proto([text.encode() for text in texts], tf.string, [len(texts)])


def random_run(
    path: Path,
    search: dict[str, Any] | None = None,
    target_vocabulary_size: int = 310,
    **options: Any,
) -> Path:
    """A run folder of a model with random weights, far enough from 0 that translations differ.

    With another size than 310 the target has a vocabulary of its own.
    """
    run = RunFolder(path)
    tokenizer = Tokenizer.train([text for pair in PAIRS for text in pair], 310)
    tokenizer.save(run.source_tokenizer)
    if target_vocabulary_size != 310:
        Tokenizer.train([text for _, text in PAIRS], target_vocabulary_size).save(
            run.target_tokenizer
        )
    keras.utils.set_random_seed(3)
    sizes: dict[str, Any] = {
        "embedding_size": 12,
        "encoder_units": 10,
        "decoder_units": 16,
        "attention_units": 8,
        "readout_units": 12,
    }
    sizes |= {"source_vocabulary_size": 310, "target_vocabulary_size": target_vocabulary_size}
    model = Seq2Seq(from_dict(ModelConfig, {**sizes, "tie_output": True, **options}))
    for variable in model.trainable_variables:
        if variable.name != "scales":  # with larger ones roundings grow from step to step
            variable.assign(3 * variable)
    model.save(run.best)
    run.config.write_text(
        json.dumps({"search": {"beam_size": 3, "maximum_length_ratio": 1.5, **(search or {})}})
    )
    run.best_score.write_text(json.dumps({"step": 7, "dev_bleu": 12.5}))
    run.samples_file.write_text("".join(text + "\n" for text in TEXTS if text))
    return path


def predict(servable: Servable, texts: list[str]) -> tuple[list[str], list[float]]:
    """The translations and scores of the default signature, by the loader that serves."""
    outputs = servable.predict({"text": string_proto(texts)})
    translations = [text.decode() for text in outputs["translation"].string_val]
    return translations, list(outputs["score"].float_val)


def graph_of(version: Path) -> tuple[set[str], set[str]]:
    """The operations and the signatures of an export."""
    saved = saved_model_pb2.SavedModel.FromString(
        (version / "saved_model.pb").read_bytes()
    ).meta_graphs[0]
    functions = saved.graph_def.library.function
    operations = {node.op for node in saved.graph_def.node} | {
        n.op for f in functions for n in f.node_def
    }
    return operations, set(saved.signature_def)
