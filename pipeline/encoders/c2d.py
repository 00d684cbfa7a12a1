"""C2D (Wang et al. 2018, arXiv:1711.07971): a ResNet over frames, joined by pooling over time."""

from __future__ import annotations

from ._card import Card
from ._families.pytorchvideo import PyTorchVideo, Variant


class C2D(PyTorchVideo):
    """See the module."""

    card = Card(
        default_checkpoint="C2D_8x8_R50.pyth",
        model_types=(),
        num_frames=8,
        image_size=256,
        dim=2048,
        span_seconds=8 * 8 / 30,  # 8 frames, stride 8, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:1711.07971; github.com/facebookresearch/pytorchvideo",
        extra="conv",
    )
    variants = {
        "C2D_8x8_R50": Variant("c2d_r50", 8, 256, resize=256),
    }
