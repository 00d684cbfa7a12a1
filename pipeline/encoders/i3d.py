"""I3D (Carreira and Zisserman 2017, arXiv:1705.07750) as an inflated ResNet-50."""

from __future__ import annotations

from ._card import Card
from ._families.pytorchvideo import PyTorchVideo, Variant


class I3D(PyTorchVideo):
    """See the module."""

    card = Card(
        default_checkpoint="I3D_8x8_R50.pyth",
        model_types=(),
        num_frames=8,
        image_size=256,
        dim=2048,
        span_seconds=8 * 8 / 30,  # 8 frames, stride 8, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:1705.07750; github.com/facebookresearch/pytorchvideo",
        extra="conv",
    )
    variants = {
        "I3D_8x8_R50": Variant("i3d_r50", 8, 256, resize=256),
    }
