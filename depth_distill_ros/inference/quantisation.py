"""A graph in int8 for CPUs: weights a channel, activations a tensor, with ranges that images were seen to have.

Of Conv, MatMul and Gemm, between QuantizeLinear and DequantizeLinear, which ONNX Runtime replaces by its
integer kernels. In float32 stay depthwise convolutions, whose channels differ too much to share a range,
and narrow ones: they stand next to the image and the map, where rounding shows and little is saved.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

OPERATORS = ("Conv", "MatMul", "Gemm")

NARROW = 32
"""Channels, going in or out, below which a convolution is left alone."""


def quantise(graph: Path, pixels: Iterable[np.ndarray], output: Path) -> None:
    """Write a graph of one input, ``pixels``, in int8.

    Args:
        graph: in float32.
        pixels: uint8 (1, h, w, 3), of sizes that the graph takes: between the least and the largest
            value that an activation has on them lie its 256 steps.
        output: the file.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self._inputs = ({"pixels": one} for one in pixels)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._inputs, None)

    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            output,
            Reader(),
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=left_alone(onnx.load(prepared).graph),
            per_channel=True,
            # What x86's VNNI multiplies: with signed activations nearly nothing is gained there.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # Of 7 bits: x86 without VNNI adds pairs of products in 16 bits, which 8 would overflow.
            reduce_range=True,
        )


def left_alone(graph: Any) -> list[str]:
    """Names of an ONNX graph's convolutions that stay in float32: in groups, or narrow."""
    weights = {weight.name: weight.dims for weight in graph.initializer}
    names = []
    for node in graph.node:
        if node.op_type == "Conv":
            groups = next((one.i for one in node.attribute if one.name == "group"), 1)
            if groups > 1 or min(weights[node.input[1]][:2]) < NARROW:
                names.append(node.name)
    return names


def variations(rgb: np.ndarray) -> Iterator[np.ndarray]:
    """An image uint8 (H, W, 3) as it is, mirrored, darker and brighter, and its four quarters."""
    yield rgb
    yield np.ascontiguousarray(rgb[:, ::-1])
    yield rgb // 2
    yield 255 - (255 - rgb) // 2
    height, width = (side // 2 for side in rgb.shape[:2])
    for top in (0, height):
        for left in (0, width):
            yield np.ascontiguousarray(rgb[top : top + height, left : left + width])
