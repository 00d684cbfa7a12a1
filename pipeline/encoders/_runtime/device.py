"""What torch can compute on here."""

from __future__ import annotations

import os

from ...core.arguments import check_choice
from ...core.errors import UsageError
from ...core.types import Device


def device_of(device: Device) -> str:
    """The device that a user's choice means here.

    Raises:
        UsageError: there is no device of that name, or this machine does not have it.
    """
    import torch

    check_choice("device", device, Device)

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device]:
        raise UsageError(f"this machine's torch {torch.__version__} has no {device} device; use device='auto'")
    return device


def cuda_devices() -> list[str]:
    """The GPUs that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]


def confine(*, gpu: str | None, num_threads: int | None) -> None:
    """Let this process, which has computed nothing yet, use one GPU alone, or so many threads."""
    import torch

    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if num_threads is not None:
        torch.set_num_threads(num_threads)
