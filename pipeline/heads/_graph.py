"""An ONNX graph in the making: the operators that heads are written as."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_LEAST_LENGTH = 1e-12


class Graph:
    """A graph in the making; every method gives the name of what comes out."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: npt.ArrayLike, dtype: type = np.float32) -> str:
        """An array."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: int | list[int]) -> str:
        """An operator with one output."""
        from onnx import helper

        name = f"value_{len(self.nodes)}"
        values: dict[str, Any] = dict(attributes)
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **values))
        return name

    def top(self, rows: str, k: int) -> tuple[str, str]:
        """The ``k`` largest of each row, and their places, (n, k) each."""
        from onnx import helper

        names = [f"value_{len(self.nodes)}_{part}" for part in ("values", "places")]
        self.nodes.append(helper.make_node("TopK", [rows, self.constant([k], np.int64)], names, axis=1))
        return names[0], names[1]

    def unit(self, rows: str) -> str:
        """Rows scaled to length 1."""
        length = self.node("ReduceL2", rows, axes=[1], keepdims=1)
        return self.node("Div", rows, self.node("Max", length, self.constant(_LEAST_LENGTH)))

    def product(self, rows: str, weights: npt.NDArray[Any]) -> str:
        """``rows @ weights.T``."""
        return self.node("MatMul", rows, self.constant(weights.T))
