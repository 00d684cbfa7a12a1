"""Layers of networks that train in several threads at once, each with random numbers of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """``torch.nn.Dropout``, but for where its random numbers come from.

    Attributes:
        generator: of the numbers; torch's own, which all threads share, if None.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, rows: Tensor) -> Tensor:
        if not self.training or not self.share:
            return rows
        mask = torch.empty_like(rows).bernoulli_(1 - self.share, generator=self.generator)
        return rows * mask.div_(1 - self.share)


class AttentionLayer(nn.Module):
    """``torch.nn.TransformerEncoderLayer`` with normalisation first and the same weights, (n, t, width) to itself."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.linear1 = nn.Linear(width, 2 * width)
        self.linear2 = nn.Linear(2 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.drop = Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows + self.drop(self._attended(self.norm1(rows)))
        wide = self.drop(functional.relu(self.linear1(self.norm2(rows))))
        mixed: Tensor = rows + self.drop(self.linear2(wide))
        return mixed

    def _attended(self, rows: Tensor) -> Tensor:
        attention = self.self_attn
        joint = functional.linear(rows, attention.in_proj_weight, attention.in_proj_bias)
        parts = joint.reshape(*rows.shape[:2], 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts  # (n, heads, t, width / heads) each
        shares = torch.softmax(queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5, dim=-1)  # (n, heads, t, t)
        seen = self.drop(shares) @ values
        result: Tensor = attention.out_proj(seen.transpose(1, 2).reshape(rows.shape))
        return result
