"""Writes an ONNX graph node by node, with weights that stay outside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import nn

OPSET = 20
"""The first opset with Gelu; ONNX Runtime knows it since 1.18."""

IR_VERSION = 9
WEIGHTS_LOCATION = "weights.npz"
"""What graphs name as the file of their weights. Nothing reads it: whoever loads the graph hands the weights over."""

MAX_CONSTANT = 64


class GraphWriter:
    """Collects nodes; every method returns the name of a value that others can use.

    What is computed from weights and constants alone is written as nodes too: ONNX Runtime folds such nodes when it
    loads the graph, so that weights derived from others need no place on disk.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(self, values: float | Sequence[float] | np.ndarray, kind: type = np.float32) -> str:
        """A few numbers; 64 at most, so that no weight gets into the graph by mistake."""
        array = np.asarray(values, kind)
        if array.size > MAX_CONSTANT:
            raise ValueError(f"a constant of {array.size} numbers is a weight, which does not belong into the graph")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            tensor = numpy_helper.from_array(array, name)
            self._nodes.append(helper.make_node("Constant", [], [name], name, value=tensor))
            self._constants[key] = name
        return self._constants[key]

    def weight(self, name: str, shape: Sequence[int]) -> str:
        """A float32 weight that is handed over when the graph is loaded."""
        if name not in self._weights:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=WEIGHTS_LOCATION)
            self._weights[name] = tensor
        return name

    def reshape(self, value: str, *shape: int) -> str:
        """Give `value` another shape."""
        return self.node("Reshape", value, self.constant(shape, np.int64))

    def transpose(self, value: str, *order: int) -> str:
        """Bring the axes of `value` into another order."""
        return self.node("Transpose", value, perm=order)

    def finish(
        self,
        name: str,
        inputs: Sequence[tuple[str, int, Sequence[int | str]]],
        outputs: Sequence[tuple[str, str, int, Sequence[int]]],
    ) -> onnx.ModelProto:
        """The whole model.

        Args:
            name: of the graph.
            inputs: (name, element type, shape) each; a text in a shape is a size that may vary.
            outputs: (name, the value it is, element type, shape) each.
        """
        for public, value, _, _ in outputs:
            self._nodes.append(helper.make_node("Identity", [value], [public], public))
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(*entry) for entry in inputs],
            [helper.make_tensor_value_info(public, kind, shape) for public, _, kind, shape in outputs],
            list(self._weights.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "SparseCardiacSeg"
        return model


class SamWriter(GraphWriter):
    """A `GraphWriter` that knows the weights of a `Sam`."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.shapes = {name: tuple(value.shape) for name, value in sam.state_dict().items()}

    def of(self, name: str) -> str:
        """The weight of that name in the state dict."""
        return self.weight(name, self.shapes[name])

    def column(self, name: str) -> str:
        """A vector of weights as [n, 1], to be added to [n, pixel]."""
        return self.reshape(self.of(name), -1, 1)

    def linear(self, value: str, name: str) -> str:
        """A linear layer on tokens: [token, in] to [token, out]."""
        return self.node("Gemm", value, self.of(f"{name}.weight"), self.of(f"{name}.bias"), transB=1)

    def norm(self, value: str, name: str, epsilon: float) -> str:
        """Layer normalisation of tokens."""
        scale, shift = self.of(f"{name}.weight"), self.of(f"{name}.bias")
        return self.node("LayerNormalization", value, scale, shift, axis=-1, epsilon=epsilon)

    def whitened(self, value: str, layer: nn.Module, name: str) -> str:
        """Layer normalisation of [channel, pixel] over the channels."""
        over = self.constant([0], np.int64)
        centred = self.node("Sub", value, self.node("ReduceMean", value, over, keepdims=1))
        variance = self.node("ReduceMean", self.node("Mul", centred, centred), over, keepdims=1)
        spread = self.node("Sqrt", self.node("Add", variance, self.constant(layer.eps)))
        result = self.node("Mul", centred, self.node("Reciprocal", spread))
        result = self.node("Mul", result, self.column(f"{name}.weight"))
        return self.node("Add", result, self.column(f"{name}.bias"))

    def sequence(self, x: str, modules: nn.Sequential, name: str, first: int = 0) -> str:
        """Layers one after the other, from the one with index `first`."""
        for i, module in enumerate(modules):
            if i >= first:
                x = self.layer(x, module, f"{name}.{i}")
        return x

    def layer(self, x: str, layer: nn.Module, name: str) -> str:
        """One layer on [1, channel, row, col]."""
        kind = type(layer).__name__
        if kind == "LeakyReLU":
            return self.node("LeakyRelu", x, alpha=layer.negative_slope)
        if kind == "GELU":
            return self.node("Gelu", x)
        if kind == "LayerNorm2d":
            # Means over the first axis of two take a tenth of the time of those over the second axis of four.
            flat = self.reshape(x, self.shapes[f"{name}.weight"][0], -1)
            return self.node("Reshape", self.whitened(flat, layer, name), self.node("Shape", x))
        if kind == "InstanceNorm2d":
            scale, shift = self.of(f"{name}.weight"), self.of(f"{name}.bias")
            return self.node("InstanceNormalization", x, scale, shift, epsilon=layer.eps)
        if kind not in ("Conv2d", "ConvTranspose2d"):
            raise TypeError(f"{name} is a {kind}, which graphs have no node for")
        bias = [self.of(f"{name}.bias")] if layer.bias is not None else []
        return self.node(
            "Conv" if kind == "Conv2d" else "ConvTranspose",
            x,
            self.of(f"{name}.weight"),
            *bias,
            kernel_shape=layer.kernel_size,
            strides=layer.stride,
            dilations=layer.dilation,
            pads=[*layer.padding, *layer.padding],
        )
