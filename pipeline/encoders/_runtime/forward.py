"""How a network is run: in what state of torch, on which cores, and without waiting for a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.recipe import PreprocessSettings
from ...core.types import HalfOrSingle, Pixels
from .._card import Output
from .per_core import on_each_core, together
from .settings import RunSettings

if TYPE_CHECKING:
    import torch

# Exact scores need single precision: half costs 1e-2 of a logit, 1e-4 of a cosine.
_IN_SINGLE = ("vectors", "patches")


@contextlib.contextmanager
def float32_products(*, fast: bool) -> Iterator[None]:
    """By which route the whole process multiplies; torch's own is put back afterwards."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if fast else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def inferring(device: str, precision: HalfOrSingle, *, plain_attention: bool = False) -> Iterator[None]:
    """The state in which one thread runs a network."""
    import torch

    with contextlib.ExitStack() as state:
        state.enter_context(torch.inference_mode())
        if precision != "float32":
            state.enter_context(torch.autocast(device, getattr(torch, precision)))
        if plain_attention:
            from .attention import PlainAttention

            state.enter_context(PlainAttention())
        yield


def start_forward(
    forward: Callable[[torch.Tensor], Output],
    pixels: Pixels | Sequence[Pixels],
    names: Sequence[str],
    *,
    settings: RunSettings,
    device: str,
    pixel_settings: PreprocessSettings,
) -> Callable[[], dict[str, Any]]:
    """Start one forward pass; the returned function waits for it and gives its outputs as arrays.

    With CUDA this only queues the work: pixels are copied from page-locked memory, outputs into page-locked memory,
    and an event tells when they have arrived.

    Args:
        forward: the network, (n, t, 3, h, w) normalised -> outputs.
        pixels: prepared clips, (n, t, 3, h, w) uint8, or a list of clips of unequal length, which run one by one.
        names: fields of ``Output``, or with "-half" behind it a field in half precision.
    """
    import torch

    from .._preprocess import normalise

    def run(clips: torch.Tensor) -> Output:
        with inferring(device, settings.computes_in, plain_attention=settings.plain_attention):
            return forward(normalise(clips.to(device, non_blocking=True), pixel_settings))

    def fetched(output: Output, *, wait: bool) -> dict[str, torch.Tensor]:
        found = {}
        for name in names:
            values: torch.Tensor = getattr(output, name.removesuffix("-half"))
            precision = torch.float32 if name in _IN_SINGLE else torch.float16
            found[name] = values.to(precision).to("cpu", non_blocking=not wait)
        return found

    with float32_products(fast=settings.fast_products):
        if device == "cuda":
            output = together([run(torch.from_numpy(batch).pin_memory()) for batch in _batches(pixels)])
            tensors = fetched(output, wait=False)
            event: Any = torch.cuda.Event
            done = event()
            done.record()
            ready: Callable[[], object] = done.synchronize
        else:
            # Other engines and devices share out their work themselves.
            per_core = device == "cpu" and settings.engine == "torch"
            clips = [torch.from_numpy(batch) for batch in _batches(pixels)]
            singles = [one for batch in clips for one in torch.split(batch, 1)]
            output = on_each_core(run, singles) if per_core and singles else together([run(batch) for batch in clips])
            tensors, ready = fetched(output, wait=True), lambda: None

    def arrays() -> dict[str, Any]:
        ready()
        # Copies, so that page-locked memory is given back soon.
        return {name: tensor.numpy().copy() for name, tensor in tensors.items()}

    return arrays


def _batches(pixels: Pixels | Sequence[Pixels]) -> Sequence[Pixels]:
    """What goes through the network together, each (n, t, 3, h, w)."""
    return [pixels] if isinstance(pixels, np.ndarray) else [clip[None] for clip in pixels]
