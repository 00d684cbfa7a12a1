"""Heads as ONNX graphs: vectors (n, dim) in, calibrated probabilities (n, classes) out."""

from __future__ import annotations

import json
from pathlib import Path

from ...core.errors import HeadError, MissingExtra
from ...core.files import replacing
from .._graph import Graph
from .trained_head import TrainedHead

_OPSET = 17
_LEAST_SHARE = 1e-6  # as in ``calibration``


def export_onnx(trained: TrainedHead, path: Path) -> None:
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

    card = trained.card
    if trained.prior is not None or card.calibration.method == "isotonic":
        raise HeadError(
            f"the head {card.name!r} cannot become ONNX: texts and isotonic calibration cannot. Train it without "
            "texts and with calibrate='temperature'"
        )
    graph = Graph()
    scores = trained.head.graph(graph, "vectors")
    if scores is None:
        raise HeadError(f"the head {card.name!r} cannot become ONNX: no graph is written for its kind, {card.kind}")
    shares = graph.node("Max", scores, graph.constant(_LEAST_SHARE))
    tempered = graph.node("Div", graph.node("Log", shares), graph.constant(card.calibration.temperature))
    doubt = card.calibration.doubt
    sure = graph.node("Mul", graph.node("Softmax", tempered, axis=1), graph.constant(1 - doubt))
    graph.nodes.append(helper.make_node("Add", [sure, graph.constant(doubt / len(card.classes))], ["probabilities"]))
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
