"""The weights of a LiteRT model in float16."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema_fb

from attention_nmt.checks import require

FEWEST = 1024
"""The fewest numbers of a constant that is stored in float16."""

_IDENTIFIER = b"TFL3"
"""The mark of a file of LiteRT."""


def halved(model: bytes) -> bytes:
    """A LiteRT model whose large constants are stored in float16, half as large.

    They are made float32 where they are used, within a loop, too: a runtime does that once for a
    constant, which then takes as much memory as before, and lays its products out as those of a
    constant. The converter's own float16 makes them float32 outside of loops and hands them in as
    numbers that may change, for which LiteRT has only a slow product.

    Args:
        model: with weights in float32.

    Raises:
        ValueError: a number is too large for float16.
    """
    parsed = schema_fb.ModelT.InitFromObj(schema_fb.Model.GetRootAs(model))
    parsed.operatorCodes.append(_dequantize_code())
    code = len(parsed.operatorCodes) - 1

    large = _large_buffers(parsed)
    for buffer in large:
        numbers = np.asarray(parsed.buffers[buffer].data, np.uint8).view(np.float32)
        largest = np.abs(numbers).max()
        limit = np.finfo(np.float16).max
        require(largest <= limit, "quantize", f"'none': a weight is above {limit}", largest)
        parsed.buffers[buffer].data = numbers.astype(np.float16).view(np.uint8)
    for graph in parsed.subgraphs:
        graph.operators = [*_stored_in_half(graph, large, code), *graph.operators]

    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _dequantize_code() -> Any:
    """The operation that makes float16 float32."""
    code = schema_fb.OperatorCodeT()
    code.builtinCode = schema_fb.BuiltinOperator.DEQUANTIZE
    code.deprecatedBuiltinCode = code.builtinCode
    code.version = 3  # the first that takes float16
    return code


def _large_buffers(model: Any) -> set[int]:
    """The numbers of the buffers with large constants of float32; subgraphs share them."""
    found = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            is_float = tensor.type == schema_fb.TensorType.FLOAT32
            if is_float and data is not None and len(data) >= 4 * FEWEST:
                found.add(tensor.buffer)
    return found


def _stored_in_half(graph: Any, large: Iterable[int], code: int) -> list[Any]:
    """Makes each large constant of a graph the result of an operation, and gives these."""
    operators = []
    for index, tensor in enumerate(list(graph.tensors)):
        if tensor.buffer not in large or tensor.type != schema_fb.TensorType.FLOAT32:
            continue
        stored = copy.copy(tensor)
        stored.type = schema_fb.TensorType.FLOAT16
        stored.name = tensor.name + b"_float16"
        graph.tensors.append(stored)
        tensor.buffer = 0  # the one of tensors that are computed

        operator = schema_fb.OperatorT()
        operator.opcodeIndex = code
        operator.inputs = [len(graph.tensors) - 1]
        operator.outputs = [index]
        operator.builtinOptionsType = schema_fb.BuiltinOptions.DequantizeOptions
        operator.builtinOptions = schema_fb.DequantizeOptionsT()
        operators.append(operator)
    return operators
