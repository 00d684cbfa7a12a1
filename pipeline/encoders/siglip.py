"""SigLIP (Zhai et al. 2023, arXiv:2303.15343) and SigLIP 2 (arXiv:2502.14786) over frames, as CLIP is here.

Checkpoints of SigLIP 2 with a fixed picture size are of the same type; those that take any shape of picture
("NaFlex") are not read.
"""

from __future__ import annotations

from typing import Any

from ._card import Card
from ._families.image_text import ImageText
from ._families.transformers import Sizes


class SigLIP(ImageText):
    """See the module."""

    card = Card(
        default_checkpoint="google/siglip2-base-patch16-224",
        model_types=("siglip",),
        num_frames=8,
        image_size=224,
        dim=768,
        span_seconds=10.0,
        text=True,
        knows="objects, scenes and what single pictures show of actions",
        licence="Apache-2.0",
        source="arXiv:2502.14786; github.com/google-research/big_vision",
    )
    architectures = {"SiglipModel": "SiglipModel"}
    # The text tower is trained without a mask: the padding is part of what it reads.
    text_padding = "max_length"
    text_inputs = ("input_ids",)

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(None, config.vision_config.image_size, config.vision_config.hidden_size)
