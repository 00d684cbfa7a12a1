"""Ways to run a network faster, each taken only where its vectors stay what they were.

Three are known to pay. On some CPUs torch multiplies float32 matrices twice as fast when it may use oneDNN
(``torch.set_float32_matmul_precision("medium")``); on others that setting costs digits, so it is timed, and
tried on a real clip. OpenVINO, where it is installed, runs convolutions several times as fast. And networks run in half
precision under autocast, which moves vectors by some thousandths of their length; the recipe says so, and the canary
says how much, attention by plain products where these are the faster ones included.
"""

from __future__ import annotations

import dataclasses
import math
import timeit
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import ClipdexError, EncoderError, UsageError
from ...core.recipe import Canary
from ...core.types import FloatArray, HalfOrSingle, Pixels, Precision
from .canary import drift, encode_canary
from .forward import float32_products, inferring
from .settings import RunSettings
from .slowdown import precision_slowdown

if TYPE_CHECKING:
    from .._base import Encoder

# Single precision has 7 digits; sums of a thousand products in another order keep 5 of them.
_SAME = 1e-5

# A route has to be this much faster to be worth another way of rounding. Those that pay take half of the time; on a
# busy machine, two that take the same time differ by a tenth.
_WORTH = 0.8

_PRODUCT = (1024, 768)
_ATTENTION = (1, 4, 784, 64)
_TRIALS = 5

_FEWEST_ON_CPU, _MOST_ON_CPU = 8, 32
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_WORTHWHILE_RATE = 1.05  # a batch twice as large has to bring this much

# How far half precision may move the canary, as a share of its length. VideoMAE moves by 3e-3, X-CLIP by 5e-3.
_PRECISION_LIMIT = 1e-2


def choose_route(encoder: Encoder, pixels: Pixels | Sequence[Pixels]) -> Encoder:
    """The encoder with oneDNN's float32 products if they are faster here and the vectors of these clips stay the same.

    Args:
        pixels: prepared clips, (n, t, 3, h, w); one of them is encoded by both routes.
    """
    if not _has_choice(encoder):
        return encoder
    usual, fast = (
        encoder.replaced(run=dataclasses.replace(encoder.run, fast_products=is_fast)) for is_fast in (False, True)
    )
    if _product_seconds(fast=True) >= _WORTH * _product_seconds(fast=False):
        return usual
    return fast if _is_same(fast, pixels[:1], usual.encode(pixels[:1])[0]) else usual


def choose_engine(encoder: Encoder, pixels: Pixels | Sequence[Pixels]) -> Encoder:
    """The encoder run by another engine than torch, if there is one, on the same terms. Preparing it takes seconds.

    Args:
        pixels: as for ``choose_route``.
    """
    import torch

    if not _has_choice(encoder):
        return encoder
    usual = encoder.replaced(run=dataclasses.replace(encoder.run, engine="torch"))
    try:
        engine = encoder.other_engine()
    except EncoderError:
        return usual
    if engine is None:
        return usual
    other = encoder.replaced(run=dataclasses.replace(encoder.run, engine=engine))
    some = pixels[: torch.get_num_threads()]  # as many as keep every core busy (see ``per_core``)
    vector, seconds = usual.encode(some)[0], _encoding_seconds(usual, some)
    is_better = _is_same(other, some, vector) and _encoding_seconds(other, some) < _WORTH * seconds
    return other if is_better else usual


def _has_choice(encoder: Encoder) -> bool:
    return encoder.device == "cpu" and encoder.run.precision == "float32"


def _is_same(encoder: Encoder, pixels: Pixels | Sequence[Pixels], usual: FloatArray) -> bool:
    try:
        vector = encoder.encode(pixels)[0]
    except EncoderError:
        return False
    return bool(np.linalg.norm(vector - usual) <= _SAME * np.linalg.norm(usual))


def _best_seconds(run: Callable[[], object], *, trials: int = _TRIALS) -> float:
    """The best of several, so that a busy machine does not decide."""
    return min(timeit.repeat(run, number=1, repeat=trials))


def _encoding_seconds(encoder: Encoder, pixels: Pixels | Sequence[Pixels]) -> float:
    return _best_seconds(lambda: encoder.encode(pixels), trials=max(2, _TRIALS // len(pixels)))


def _product_seconds(*, fast: bool) -> float:
    """What a product of the size that transformers make takes by one of the routes."""
    import torch

    one, other = torch.ones(_PRODUCT), torch.ones(_PRODUCT[::-1])
    with inferring("cpu", "float32"), float32_products(fast=fast):
        return _best_seconds(lambda: one @ other)


def _attention_seconds(*, plain: bool) -> float:
    """What attention in bfloat16 takes on this processor by plain products, or by torch's kernel."""
    import torch

    tokens = torch.ones(_ATTENTION, dtype=torch.bfloat16)
    with inferring("cpu", "bfloat16", plain_attention=plain):
        return _best_seconds(lambda: torch.nn.functional.scaled_dot_product_attention(tokens, tokens, tokens))


def suitable_batch_size(encoder: Encoder) -> int:
    """Clips a batch: on a processor as many as its cores deal with in parallel in the same time (``per_core``); with
    CUDA the fewest that come near the best rate, measured.
    """
    if encoder.device != "cuda":
        import torch

        cores = torch.get_num_threads()
        return min(cores * math.ceil(_FEWEST_ON_CPU / cores), _MOST_ON_CPU)
    facts = encoder.facts
    best_rate, best = 0.0, 1
    for size in _BATCHES:
        pixels = np.zeros((size, facts.num_frames, 3, facts.image_size, facts.image_size), np.uint8)
        pixels[..., ::2] = 255  # a constant clip may have a constant vector, which is refused
        try:
            encoder.encode(pixels)
            rate = size / _encoding_seconds(encoder, pixels)
        except RuntimeError:  # no memory, which CUDA's libraries say in more than one way
            break
        if rate < _WORTHWHILE_RATE * best_rate:
            break
        best_rate, best = rate, size
    return best


def lower_precision(encoder: Encoder, precision: Precision, *, strict: bool = True) -> Encoder:
    """An encoder with a float32 canary, run in half precision, with the canary encoded again.

    Args:
        precision: "auto" takes bfloat16 on a GPU that has it, if it is faster there and the canary allows it, else
            float32.
        strict: False for what is compared with stored vectors: if this device lacks their precision, or is not
            accurate enough in it, float32 stands in, which is nearer to them than they are to it.

    Raises:
        UsageError: this device has no such precision.
        EncoderError: it moves the canary too far.
    """
    import torch

    chosen: HalfOrSingle
    stand_in: HalfOrSingle
    if precision == "auto":
        has_bfloat16 = encoder.device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        chosen, stand_in, strict = "bfloat16" if has_bfloat16 else "float32", "float32", False
    else:
        chosen = stand_in = precision
    if chosen == "float32" or encoder.canary is None:
        return encoder
    kind: type[ClipdexError] = EncoderError
    if chosen == "float16" and encoder.device == "cpu":
        kind, problem = (
            UsageError,
            "float16 is slower than float32 on a CPU and loses digits; choose bfloat16 or float32",
        )
    else:
        half = _in_half_precision(encoder, chosen, before=encoder.canary)
        if precision == "auto" and precision_slowdown(half) > 1:
            return encoder
        if half.run.precision_drift <= _PRECISION_LIMIT:
            return half
        problem = (
            f"{chosen} moves the vectors of {encoder.name} by {half.run.precision_drift:.2g} of their length on "
            f"this device, and {_PRECISION_LIMIT:g} is the limit; use precision='float32'"
        )
    if strict:
        raise kind(problem)
    return encoder.replaced(run=dataclasses.replace(encoder.run, precision=stand_in, computes_in="float32"))


def _in_half_precision(encoder: Encoder, precision: HalfOrSingle, *, before: Canary) -> Encoder:
    """The encoder in half precision, with its canary and how far that moved from ``before``."""
    plain = encoder.device == "cpu" and _attention_seconds(plain=True) < _WORTH * _attention_seconds(plain=False)
    half = encoder.replaced(run=RunSettings(precision, computes_in=precision, plain_attention=plain))
    canary = encode_canary(half)
    return half.replaced(run=dataclasses.replace(half.run, precision_drift=drift(canary, before)), canary=canary)
