"""SlowFast and Slow (Feichtenhofer et al. 2019, arXiv:1812.03982): few frames in detail, many in outline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._card import Card
from ._families.pytorchvideo import PyTorchVideo, Variant

if TYPE_CHECKING:
    from torch import Tensor

# The slow path sees every fourth frame.
_ALPHA = 4


class SlowFast(PyTorchVideo):
    """See the module."""

    card = Card(
        default_checkpoint="SLOWFAST_8x8_R50.pyth",
        model_types=(),
        num_frames=32,
        image_size=256,
        dim=2304,
        span_seconds=32 * 2 / 30,  # 32 frames, stride 2, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:1812.03982; github.com/facebookresearch/pytorchvideo",
        extra="conv",
    )
    variants = {
        "SLOWFAST_8x8_R50": Variant("slowfast_r50", 32, 256, resize=256, dim=2304),
        "SLOWFAST_8x8_R101": Variant("slowfast_r101", 32, 256, resize=256, dim=2304),
        "SLOW_8x8_R50": Variant("slow_r50", 8, 256, resize=256),
    }

    @property
    def _two_paths(self) -> bool:
        return self.facts.dim == self.card.dim

    def _map_block(self) -> Any:
        # The block before the classifier pools the slow path's map and the fast path's, and puts them side by side.
        return self._network.blocks[-2 if self._two_paths else -1]

    def _inputs(self, pixels: Tensor) -> Any:
        if not self._two_paths:
            return pixels
        import torch

        total = pixels.shape[2]
        chosen = torch.linspace(0, total - 1, total // _ALPHA).long().to(pixels.device, non_blocking=True)
        return [pixels.index_select(2, chosen), pixels]
