"""X3D (Feichtenhofer 2020, arXiv:2004.04730): small 3D networks, grown one dimension at a time."""

from __future__ import annotations

from ._card import Card
from ._families.pytorchvideo import PyTorchVideo, Variant


class X3D(PyTorchVideo):
    """See the module."""

    card = Card(
        default_checkpoint="X3D_M.pyth",
        model_types=(),
        num_frames=16,
        image_size=256,
        dim=2048,
        span_seconds=16 * 5 / 30,  # 16 frames, stride 5, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:2004.04730; github.com/facebookresearch/pytorchvideo",
        extra="conv",
    )
    variants = {
        "X3D_XS": Variant("x3d_xs", 4, 182, resize=182),
        "X3D_S": Variant("x3d_s", 13, 182, resize=182),
        "X3D_M": Variant("x3d_m", 16, 256, resize=256),
    }
