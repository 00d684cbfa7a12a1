"""Attention in bfloat16 on a processor, by plain products of a few heads at a time.

torch's own kernel multiplies bfloat16 no faster than float32 on processors that have products of bfloat16 but no tiles
for them, while its plain products take half of the time there. Scores that fit a core's cache make up for what the
kernel saves by never writing them down: VideoMAE's 1,568 tokens take 0.6 of its time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from torch import Tensor

_KERNEL: Callable[..., Any] = torch.nn.functional.scaled_dot_product_attention

# Scores at a time: of two bytes each, so that a core's second cache holds most of them.
_SCORES = 1_000_000

# Below that the kernel's one call beats many.
_FEWEST_TOKENS = 128


class PlainAttention(TorchFunctionMode):
    """In this context and thread, ``attend`` computes bfloat16 attention of tokens to each other, none masked."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _KERNEL and len(args) >= 3 and _is_plain(*args, **kwargs):
            return attend(*args[:3], scale=kwargs.get("scale"))
        return func(*args, **kwargs)


def _is_plain(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **others: Any,
) -> bool:
    others.pop("scale", None)
    return (
        query.dtype == key.dtype == value.dtype == torch.bfloat16
        and query.shape == key.shape == value.shape
        and query.ndim == 4
        and query.shape[-2] >= _FEWEST_TOKENS
        and attn_mask is None
        and not dropout_p
        and not is_causal
        and not any(others.values())
    )


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float | None = None) -> Tensor:
    """Softmax of the scaled scores, times the values: (n, heads, tokens, dim) each, and so is the result."""
    tokens, dim = query.shape[-2:]
    heads_a_time = max(1, _SCORES // tokens**2)
    rows_a_time = max(1, _SCORES // tokens)
    queries, keys, values = (part.flatten(0, 1) for part in (query, key, value))
    result = torch.empty_like(queries)
    scale = 1 / math.sqrt(dim) if scale is None else scale
    for first in range(0, len(queries), heads_a_time):
        some = slice(first, first + heads_a_time)
        across = keys[some].transpose(1, 2)
        for top in range(0, tokens, rows_a_time):
            scores = torch.bmm(queries[some, top : top + rows_a_time] * scale, across)
            result[some, top : top + rows_a_time] = torch.bmm(torch.softmax(scores, -1), values[some])
    return result.reshape(query.shape)
