"""CLIP (Radford et al. 2021, arXiv:2103.00020) over frames."""

from __future__ import annotations

from typing import Any

from ._card import Card
from ._families.image_text import ImageText
from ._families.transformers import Sizes


class CLIP(ImageText):
    """See the module."""

    card = Card(
        default_checkpoint="openai/clip-vit-base-patch32",
        model_types=("clip",),
        num_frames=8,
        image_size=224,
        dim=512,
        span_seconds=10.0,
        text=True,
        knows="objects, scenes and what single pictures show of actions",
        licence="MIT",
        source="arXiv:2103.00020; github.com/openai/CLIP",
    )
    architectures = {"CLIPModel": "CLIPModel"}

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(None, config.vision_config.image_size, config.projection_dim)
