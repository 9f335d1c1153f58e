"""A trained network in 8-bit integers: static quantisation by ONNX Runtime.

Weights are per channel, the range of each activation is what real films of the training part reached. Left
in floating point: the first layer, which sees the film itself, the head, whose weights the attention is made
of, and what pools features for the image gate. Serving folds what is marked into integer kernels.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

# Neither Gemm nor GlobalAveragePool are among them: the head and the features it sees stay as they are.
QUANTISED = ("Conv", "Relu", "Clip", "Add", "Pad", "Concat", "MaxPool", "AveragePool")
Floats = npt.NDArray[np.floating]


class _Reader:
    """What ONNX Runtime asks for films one batch at a time."""

    def __init__(self, batches: Iterable[Floats]) -> None:
        self._batches: Iterator[Floats] = iter(batches)

    def get_next(self) -> dict[str, Floats] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"films": batch}


def int8_bytes(model: bytes, batches: Iterable[Floats]) -> bytes:
    """The ONNX model of `ml.radiology.model.onnx_bytes` with integers in it, from the same input to the same
    outputs; `batches` float32 (n, 1, side, side) as the network sees them."""
    graph = onnx.load_from_string(model)
    _unshare(graph.graph)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.int8.onnx"
        # It advises a preprocessing that torch's export has done: batch norms are in the convolutions.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                graph, target, _Reader(batches), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax, op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=_left_out(graph.graph),
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
        return target.read_bytes()


def _unshare(graph: onnx.GraphProto) -> None:
    """A constant of its own for each layer: torch's export lets layers share equal ones, and a bias that is
    no constant is not folded into an integer kernel."""
    constants = {one.name: one for one in graph.initializer}
    shared = [node for node in graph.node if node.op_type == "Identity" and node.input[0] in constants]
    for node in shared:
        own = graph.initializer.add()
        own.CopyFrom(constants[node.input[0]])
        own.name = node.output[0]
        graph.node.remove(node)


def _left_out(graph: onnx.GraphProto) -> list[str]:
    """The first layer, and what puts the gate's features together."""
    outputs = {one.name for one in graph.output}
    first = next(node for node in graph.node if node.op_type == "Conv")
    joins = [node for node in graph.node if node.op_type == "Concat" and node.output[0] in outputs]
    return [str(node.name) for node in (first, *joins)]
