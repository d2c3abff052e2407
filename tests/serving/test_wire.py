"""Our messages beside TensorFlow Serving's."""

from typing import Any

import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from serving import wire


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (wire.PredictRequest, predict_pb2.PredictRequest),
        (wire.PredictResponse, predict_pb2.PredictResponse),
        (wire.Tensor, tensor_pb2.TensorProto),
        (wire.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
        (wire.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
    ],
)
def test_our_messages_are_a_part_of_the_originals(ours: Any, theirs: Any) -> None:
    compare(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def test_a_model_is_available_when_some_version_is() -> None:
    """Only in that one state, of those that TensorFlow Serving has."""
    states = get_model_status_pb2.ModelVersionStatus
    assert states.AVAILABLE == wire.AVAILABLE
    for number in states.State.values():
        response = wire.GetModelStatusResponse()
        response.model_version_status.add(version=1, state=states.END)
        response.model_version_status.add(version=2, state=number)
        assert wire.is_available(response) == (number == states.AVAILABLE)
    assert not wire.is_available(wire.GetModelStatusResponse())


def compare(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        kind = other.TYPE_INT32 if other.type == other.TYPE_ENUM else other.type
        assert (field.number, field.type) == (other.number, kind)
        assert field.is_repeated == other.is_repeated
        if field.message_type:
            compare(field.message_type, other.message_type)
