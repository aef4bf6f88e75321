"""Builds an ONNX graph: its nodes and constants, each with a readable name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earmark.errors import BadValue
from earmark.onnx_file import load_onnx

if TYPE_CHECKING:
    import onnx

# Split with num_outputs came with opset 18; ONNX Runtime >= 1.20 and OpenVINO >= 2025 read it.
OPSET, IR_VERSION = 18, 8


class Nodes:
    """Collects nodes and constants; a node's output has the node's name unless told otherwise."""

    def __init__(self) -> None:
        load_onnx()  # all of a graph needs it: say now if it is not there
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        name: str,
        *,
        output: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Append a node of one output; returns the output's name."""
        return self._append(operator, inputs, name, [output or name], attributes or {})[0]

    def split(self, x: str, name: str, *, n_parts: int, axis: int = 1) -> list[str]:
        """Cut a matrix into equal parts along an axis; returns their names."""
        names = [f"{name}{number:02}" for number in range(1, n_parts + 1)]
        return self._append("Split", [x], name, names, {"axis": axis, "num_outputs": n_parts})

    def split_columns(self, x: str, name: str, *, sizes: Sequence[int]) -> list[str]:
        """Cut a matrix into groups of columns of these sizes; returns their names."""
        names = [f"{name}{number:02}" for number in range(1, len(sizes) + 1)]
        inputs = [x, self.integers(f"{name}.sizes", sizes)]
        return self._append("Split", inputs, name, names, {"axis": 1})

    def floats(self, name: str, values: npt.ArrayLike) -> str:
        """A float32 constant. Raises BadValue, with its name, for values that are not finite."""
        array = np.array(values, dtype=np.float32)
        if not np.isfinite(array).all():
            raise BadValue(f"{name} holds values that are not finite (NaN or infinity)")
        # Weight decay leaves dead filters at 1e-40. Arithmetic on such subnormal numbers is many
        # times slower than on zeros, and no result can show the difference.
        array[np.abs(array) < np.finfo(np.float32).tiny] = 0
        return self._constant(name, array)

    def integers(self, name: str, values: Sequence[int]) -> str:
        """An int64 constant."""
        return self._constant(name, np.array(values, dtype=np.int64))

    def model(
        self, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
    ) -> onnx.ModelProto:
        """The whole graph; inputs and outputs are float32 (batch, *sizes), the batch free."""
        from onnx import TensorProto, helper

        def describe(tensors: Mapping[str, Sequence[int]]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sizes])
                for name, sizes in tensors.items()
            ]

        graph = helper.make_graph(
            self._nodes, "tagger", describe(inputs), describe(outputs), [*self._constants.values()]
        )
        return helper.make_model(
            graph,
            producer_name="earmark",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )

    def _append(
        self,
        operator: str,
        inputs: Sequence[str],
        name: str,
        outputs: list[str],
        attributes: Mapping[str, Any],
    ) -> list[str]:
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, outputs, name, **attributes))
        return outputs

    def _constant(self, name: str, array: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        assert name not in self._constants, name
        self._constants[name] = numpy_helper.from_array(array, name)
        return name
