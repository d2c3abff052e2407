"""No request brings the server to an answer that TensorFlow Serving would not give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving import wire
from serving.servable import Servable
from serving.tensors import RequestError
from tests.serving.exported import SIGNATURES

REFUSALS = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.FAILED_PRECONDITION,  # there is no such signature
}
"""What a client may be at fault with; anything else would be a fault of the server."""

OUTPUTS = [
    *("translation", "translations", "score", "scores", "truncated", "alignment"),
    *("source_tokens", "target_tokens", "token_log_probabilities", "log_probability", "nothing"),
]
"""The outputs of all signatures, and one that is of none."""

small = st.integers(-3, 5)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

tensors = st.builds(
    lambda dtype, sizes, strings, floats, content: _tensor(dtype, sizes, strings, floats, content),
    dtype=st.sampled_from(
        [types_pb2.DT_STRING, types_pb2.DT_FLOAT, types_pb2.DT_INT32, types_pb2.DT_INVALID, 77]
    ),
    sizes=st.lists(st.one_of(small, st.just(2**40)), max_size=3),
    strings=st.lists(st.binary(max_size=12), max_size=4),
    floats=st.lists(st.floats(width=32), max_size=3),
    content=st.binary(max_size=9),
)


def _tensor(
    dtype: int, sizes: list[int], strings: list[bytes], floats: list[float], content: bytes
) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(string_val=strings, float_val=floats, tensor_content=content)
    proto.dtype = dtype
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@given(
    inputs=st.dictionaries(st.sampled_from(["text", "source", "target", "x"]), tensors, max_size=3),
    signature=st.sampled_from([*sorted(SIGNATURES), "nothing", ""]),
    wanted=st.lists(st.sampled_from(OUTPUTS), max_size=2),
)
def test_a_request_of_anything_is_answered_or_refused(
    servable: Servable,
    inputs: dict[str, tensor_pb2.TensorProto],
    signature: str,
    wanted: list[str],
) -> None:
    """`RequestError` has the status; anything else would be a traceback in the server."""
    try:
        outputs = servable.predict(inputs, signature, wanted)
    except RequestError as error:
        if error.code not in REFUSALS:
            raise
        return
    assert outputs


@given(
    found=st.lists(st.binary(max_size=12), max_size=4),
    signature=st.sampled_from(sorted(SIGNATURES)),
)
def test_every_signature_answers_any_bytes(
    servable: Servable, found: list[bytes], signature: str
) -> None:
    """A row for each text, whatever the bytes: those of a request are strings, not UTF-8."""
    tensor = tf.make_tensor_proto(found, tf.string, [len(found)])
    aliases = ("source", "target") if signature == "score_pairs" else ("text",)
    outputs = servable.predict(dict.fromkeys(aliases, tensor), signature)
    assert outputs.keys() == set(servable.signatures[signature].outputs) <= set(OUTPUTS)
    for proto in outputs.values():
        assert proto.tensor_shape.dim[0].size == len(found)


@given(found=st.lists(texts, max_size=5))
def test_texts_come_back_one_for_each(servable: Servable, found: list[str]) -> None:
    tensor = tf.make_tensor_proto([text.encode() for text in found], tf.string, [len(found)])
    outputs = servable.predict({"text": tensor})
    assert len(outputs["translation"].string_val) == len(found)
    scores = np.array(outputs["score"].float_val)
    assert np.isfinite(scores).all()
    for text in outputs["translation"].string_val:
        text.decode()  # valid UTF-8


@given(found=st.lists(st.text(max_size=20), max_size=4))
def test_a_request_holds_its_texts(found: list[str]) -> None:
    try:
        message = wire.predict_request("nmt", found).SerializeToString()
    except ValueError:
        assert any("\ud800" <= character <= "\udfff" for text in found for character in text)
        return
    read: Any = wire.PredictRequest.FromString(message)
    assert [text.decode() for text in read.inputs[0].value.string_val] == found


@given(content=st.binary(max_size=200), count=st.integers(0, 3))
def test_an_answer_of_anything_is_read_or_refused(content: bytes, count: int) -> None:
    """A client gets translations or a `ValueError`, whatever a server sends."""
    try:
        response = wire.PredictResponse.FromString(content)
    except DecodeError:
        return
    try:
        translations = wire.read_translations(response, count)
    except ValueError:
        return
    assert len(translations) == count


@given(
    values=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3),
    marks=st.booleans(),
    cut=st.integers(0, 3),
)
def test_an_answer_with_parts_missing_is_refused(
    values: list[float], marks: bool, cut: int
) -> None:
    response = wire.PredictResponse()
    translation = response.outputs.add(key="translation").value
    translation.dtype = wire.DT_STRING
    translation.string_val.extend([b"un"] * (len(values) - min(cut, len(values))))
    score = response.outputs.add(key="score").value
    score.dtype = wire.DT_FLOAT
    score.float_val.extend(values)
    if marks:
        truncated = response.outputs.add(key="truncated").value
        truncated.dtype = wire.DT_BOOL
        truncated.bool_val.extend([True] * len(values))
    if cut:
        with pytest.raises(ValueError, match="Received"):
            wire.read_translations(response, len(values))
        return
    found = wire.read_translations(response, len(values))
    assert [translation.truncated for translation in found] == [marks] * len(values)
