"""Our messages beside TensorFlow Serving's."""

from typing import Any

import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving import wire


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (wire.PredictRequest, predict_pb2.PredictRequest),
        (wire.PredictResponse, predict_pb2.PredictResponse),
        (wire.Tensor, tensor_pb2.TensorProto),
    ],
)
def test_our_messages_are_a_part_of_the_originals(ours: Any, theirs: Any) -> None:
    compare(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def compare(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        kind = other.TYPE_INT32 if other.type == other.TYPE_ENUM else other.type
        assert (field.number, field.type) == (other.number, kind)
        assert field.is_repeated == other.is_repeated
        if field.message_type:
            compare(field.message_type, other.message_type)
