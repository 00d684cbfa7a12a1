"""MViT (Fan et al. 2021, arXiv:2104.11227): a transformer that pools its tokens on the way.

The vector is the class token after the last norm, which its classifier reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._card import Card, Output
from ._families.pytorchvideo import PyTorchVideo, Variant

if TYPE_CHECKING:
    from torch import Tensor


class MViT(PyTorchVideo):
    """See the module."""

    card = Card(
        default_checkpoint="MVIT_B_16x4.pyth",
        model_types=(),
        num_frames=16,
        image_size=224,
        dim=768,
        span_seconds=16 * 4 / 30,  # 16 frames, stride 4, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:2104.11227; github.com/facebookresearch/pytorchvideo",
        extra="conv",
    )
    poolings = {"class": "class token"}
    variants = {
        "MVIT_B_16x4": Variant("mvit_base_16x4", 16, 224, resize=224, dim=768),
        "MVIT_B_32x3_f294077834": Variant("mvit_base_32x3", 32, 224, resize=224, dim=768),
    }

    def _head(self) -> Any:
        return self._network.head

    def _map_block(self) -> Any:
        return self._network.head

    def _forward(self, pixels: Tensor) -> Output:
        read, tokens = self._features(pixels.transpose(1, 2))  # (n, dim), (n, 1 + t/2 h' w', dim)
        steps = self.facts.num_frames // 2  # tubelets of two frames; pooling is over space alone
        return Output(read, tokens[:, 1:].unflatten(1, (steps, -1)).mean(dim=2))
