"""Ways to run a network faster, each taken only where its vectors stay what they were.

Two are known to pay. On some CPUs torch multiplies float32 matrices twice as fast when it may use oneDNN
(``torch.set_float32_matmul_precision("medium")``); on others that setting costs digits, so it is tried on real clips
and measured. And networks run in half precision under autocast, which moves vectors by some thousandths of their
length; the recipe says so, and the canary says how much.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from .._errors import EncoderError
from .._types import Pixels, Precision
from ._canary import drift, sing

if TYPE_CHECKING:
    from ._base import Encoder

# Single precision has 7 digits; sums of a thousand products in another order keep 5 of them.
_SAME = 1e-5

# A route has to be this much faster to be worth another way of rounding.
_WORTH = 0.95

# How far half precision may move the canary, as a share of its length. VideoMAE moves by 3e-3, X-CLIP by 5e-3.
_PRECISION_LIMIT = 1e-2


@contextlib.contextmanager
def running(device: str, precision: Literal["float32", "bfloat16", "float16"], *, fast: bool) -> Iterator[None]:
    """The state in which a network runs; torch's own is put back afterwards."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if fast else "highest")
    try:
        with torch.inference_mode():
            if precision == "float32":
                yield
            else:
                with torch.autocast(device, getattr(torch, precision)):
                    yield
    finally:
        torch.set_float32_matmul_precision(before)


def choose_route(encoder: Encoder, pixels: Pixels) -> None:
    """Take oneDNN's float32 products if they are faster here and the vectors of these clips stay the same.

    Args:
        pixels: prepared clips, (n, t, 3, h, w); one of them is encoded twice.
    """
    if encoder.device != "cpu" or encoder.precision != "float32":
        return
    vectors, seconds = [], []
    for fast in (False, True):
        encoder.fast_products = fast
        started = time.perf_counter()
        vectors.append(encoder.encode(pixels[:1])[0])
        seconds.append(time.perf_counter() - started)
    apart = float(np.linalg.norm(vectors[1] - vectors[0]) / np.linalg.norm(vectors[0]))
    encoder.fast_products = apart <= _SAME and seconds[1] < _WORTH * seconds[0]


def lower_precision(encoder: Encoder, precision: Precision) -> None:
    """Let an encoder that has sung in float32 run in half precision from now on, and sing again.

    Args:
        precision: "auto" takes bfloat16 on a GPU that has it, where the canary allows it, else float32.

    Raises:
        EncoderError: this device has no such precision, or it moves the canary too far.
    """
    import torch

    wanted: Precision = precision
    if precision == "auto":
        wanted = "bfloat16" if encoder.device == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    if wanted == "float32" or encoder.canary is None or wanted == "auto":
        return
    if wanted == "float16" and encoder.device == "cpu":
        raise EncoderError("float16 is slower than float32 on a CPU and loses digits; choose bfloat16 or float32")
    in_single = encoder.canary
    encoder.precision = wanted
    encoder.canary = sing(encoder)
    encoder.precision_drift = drift(encoder.canary, in_single)
    if encoder.precision_drift > _PRECISION_LIMIT:
        if precision != "auto":
            raise EncoderError(
                f"{wanted} moves the vectors of {encoder.name} by {encoder.precision_drift:.2g} of their length on "
                f"this device, and {_PRECISION_LIMIT:g} is the limit; use --precision float32"
            )
        encoder.precision, encoder.canary, encoder.precision_drift = "float32", in_single, 0.0
