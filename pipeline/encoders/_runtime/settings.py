"""How an encoder runs its network: one immutable value, chosen when the encoder is loaded or by measuring."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ...core.types import HalfOrSingle


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a forward pass is computed. Only ``precision`` is part of the recipe.

    Attributes:
        precision: of the network's products, as the recipe states it.
        computes_in: the same, except on a device that lacks this precision (see ``lower_precision``).
        precision_drift: how far half precision moved the canary's vector, as a share of its length.
        fast_products: whether torch may use a faster kernel for float32 products.
        plain_attention: whether attention in bfloat16 is computed by plain matrix products instead of torch's kernel.
        engine: what runs the network (see ``Encoder.other_engine``).
    """

    precision: HalfOrSingle = "float32"
    computes_in: HalfOrSingle = "float32"
    precision_drift: float = 0.0
    fast_products: bool = False
    plain_attention: bool = False
    engine: Literal["torch", "openvino"] = "torch"
