"""What the tests of exports share: texts, and requests."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from tests.training.corpora import PAIRS

TEXTS = [source for source, _ in PAIRS[::40]] + ["", "zebra ½ 日本語", "A b c d e f g h i j k l m n o p."]

SIGNATURES = {"serving_default", "translate_nbest", "translate_with_alignment", "score_pairs"}


def string_proto(texts: list[str]) -> tensor_pb2.TensorProto:
    return tf.make_tensor_proto([text.encode() for text in texts], tf.string, [len(texts)])
