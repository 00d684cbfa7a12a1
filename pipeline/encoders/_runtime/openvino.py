"""OpenVINO, an engine that runs some networks faster on processors than torch does. Optional: ``clipdex[openvino]``."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


def is_installed() -> bool:
    """Whether it can be used here."""
    return importlib.util.find_spec("openvino") is not None


def compiled(module: Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    """The module's forward pass, run by OpenVINO in single precision.

    Args:
        example: an input of the right shape but for its first dimension, which may differ later.

    Raises:
        EncoderError: OpenVINO cannot.
    """
    try:
        return _compiled(module, example)
    except Exception as error:  # a foreign engine may refuse a network, or this machine, in any way
        raise EncoderError(f"OpenVINO cannot run this network here: {type(error).__name__}: {error}") from error


def _compiled(module: Module, example: Tensor) -> Callable[[Tensor], Tensor]:
    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings():
        # A traced module is what OpenVINO reads; torch would rather have it exported.
        warnings.simplefilter("ignore", DeprecationWarning)
        trace: Any = torch.jit.trace
        traced = trace(module, example)
    # Not by ``openvino.convert_model``: that tells Intel each time that it was used.
    reader = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # has to outlive the conversion
    model = reader.convert(reader.load(decoder))
    model.reshape(openvino.PartialShape([-1, *example.shape[1:]]))
    hints = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    run = openvino.Core().compile_model(model, "CPU", hints)
    return lambda values: torch.from_numpy(run(values.contiguous().numpy())[0].copy())
