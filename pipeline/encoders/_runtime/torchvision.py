"""Torchvision beside a torch without CUDA.

The wheels of torchvision on PyPI are built against CUDA and cannot load their compiled operators beside a CPU
build of torch. Torchvision is made to live without them, except that its import registers shapes for two
operators (``nms``, ``qnms``) that nobody declared, and so fails; and with it every import of timm, of
pytorchvideo, and most of transformers, which looks for torchvision. The networks used here need neither.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

_UNDECLARED = ("nms", "qnms")


@functools.cache
def make_importable() -> None:
    """Declare the two operators where torchvision cannot; without torchvision, or with a fitting one, do nothing."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    import torch

    for library in sorted(Path(spec.origin).parent.glob("_C*")):
        try:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
            return
        except (OSError, RuntimeError):
            continue  # built for another torch
    for name in _UNDECLARED:
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
