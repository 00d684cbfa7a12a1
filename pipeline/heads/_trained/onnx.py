"""Heads as ONNX graphs: vectors (n, dim) in, calibrated probabilities (n, classes) out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import HeadError, MissingExtra
from ...core.files import replacing
from .store import JudgedHead

_OPSET = 17
_LEAST_LENGTH = 1e-12
_LEAST_SHARE = 1e-6  # as in ``calibration``


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

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """An operator with one output."""
        from onnx import helper

        name = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
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


def export_onnx(judged: JudgedHead, path: Path) -> None:
    """Write a head with its calibration. The classes, the recipe and the encoder are in the file's metadata; what
    abstaining needs is not.

    Raises:
        MissingExtra: without the package onnx.
        HeadError: a kind, a calibration or texts that no graph is written for.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise MissingExtra("onnx", extra="onnx", purpose="head export") from error

    card = judged.card
    if judged.prior is not None or card.calibration.method == "isotonic":
        raise HeadError(
            f"the head {card.name!r} cannot become ONNX: texts and isotonic calibration cannot. Train it without "
            "--texts and with --calibrate temperature"
        )
    graph = Graph()
    scores = judged.head.graph(graph, "vectors")
    if scores is None:
        raise HeadError(f"the head {card.name!r} cannot become ONNX: no graph is written for its kind, {card.kind}")
    shares = graph.node("Max", scores, graph.constant(_LEAST_SHARE))
    tempered = graph.node("Div", graph.node("Log", shares), graph.constant(card.calibration.temperature))
    graph.nodes.append(helper.make_node("Softmax", [tempered], ["probabilities"], axis=1))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "head",
            [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", card.recipe.dim])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(card.classes)])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=8,
        producer_name="clipdex",
    )
    helper.set_model_props(
        model,
        {
            "classes": json.dumps(list(card.classes), ensure_ascii=False),
            "recipe_id": card.recipe.id,
            "encoder": card.recipe.encoder,
            "checkpoint": card.recipe.checkpoint,
        },
    )
    onnx.checker.check_model(model)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
