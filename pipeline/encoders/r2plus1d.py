"""R(2+1)D (Tran et al. 2018, arXiv:1711.11248): convolutions over space, then over time."""

from __future__ import annotations

from ._card import Card
from ._families.pytorchvideo import PyTorchVideo, Variant


class R2Plus1D(PyTorchVideo):
    """See the module."""

    card = Card(
        default_checkpoint="R2PLUS1D_16x4_R50.pyth",
        model_types=(),
        num_frames=16,
        image_size=256,
        dim=2048,
        span_seconds=16 * 4 / 30,  # 16 frames, stride 4, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:1711.11248; github.com/facebookresearch/pytorchvideo",
        extra="conv",
    )
    variants = {
        "R2PLUS1D_16x4_R50": Variant("r2plus1d_r50", 16, 256, resize=256),
    }
