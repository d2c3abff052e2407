"""The files for TensorFlow Serving, as its reader parses them."""

import re
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

DEPLOY = Path(__file__).parents[2] / "serving" / "deploy"

# Of tensorflow_serving/servables/tensorflow/session_bundle_config.proto and
# config/monitoring_config.proto, which tensorflow-serving-api does not contain: field: (number,
# type); a type with a capital is a message with a `value`.
BATCHING = {
    "max_batch_size": (1, "Int64"),
    "batch_timeout_micros": (2, "Int64"),
    "max_enqueued_batches": (3, "Int64"),
    "num_batch_threads": (4, "Int64"),
    "thread_pool_name": (5, "String"),
    "allowed_batch_sizes": (6, "[int64]"),
    "pad_variable_length_inputs": (7, "bool"),
    "enable_large_batch_splitting": (8, "Bool"),
}
MESSAGES = {
    "Int64": {"value": (1, "int64")},
    "String": {"value": (1, "string")},
    "Bool": {"value": (1, "bool")},
    "BatchingParameters": BATCHING,
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
}


def message(name: str) -> Any:
    """An empty message of one of the types above."""
    file = descriptor_pb2.FileDescriptorProto(
        name="deploy.proto", package="deploy", syntax="proto3"
    )
    for declared, fields in MESSAGES.items():
        made = file.message_type.add(name=declared)
        for field, (number, kind) in fields.items():
            added = made.field.add(name=field, number=number)
            added.label = added.LABEL_REPEATED if kind.startswith("[") else added.LABEL_OPTIONAL
            kind = kind.strip("[]")
            if kind in MESSAGES:
                added.type, added.type_name = added.TYPE_MESSAGE, f".deploy.{kind}"
            else:
                added.type = added.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"deploy.{name}"))()


def read(name: str, into: Any) -> Any:
    return text_format.Parse((DEPLOY / name).read_text(encoding="utf-8"), into)


def flags(arguments: list[str]) -> dict[str, str]:
    """The values of a server's flags by their names."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def proxied(name: str) -> dict[str, str]:
    """The addresses that nginx passes requests to, `grpc` and `rest`, by one of its files."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return dict(re.findall(r'^map "" \$(\w+)_server \{ default (\S+); \}$', text, re.MULTILINE))
