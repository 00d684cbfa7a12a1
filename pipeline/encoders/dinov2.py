"""DINOv2 (Oquab et al. 2023, arXiv:2304.07193), also with registers, and DINOv3 (arXiv:2508.10104), over frames.

The class token of each frame after the last norm, averaged over frames: what its authors use for nearest
neighbours. Position embeddings are interpolated to the size that the processor's file says, as they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._card import Card, Output
from ._families.transformers import Sizes, TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class DINOv2(TransformersEncoder):
    """See the module."""

    card = Card(
        default_checkpoint="facebook/dinov2-base",
        model_types=("dinov2", "dinov2_with_registers", "dinov3_vit"),
        num_frames=8,
        image_size=224,
        dim=768,
        span_seconds=10.0,
        text=False,
        knows="how things and places look, without words",
        licence="Apache-2.0",
        source="arXiv:2304.07193; github.com/facebookresearch/dinov2",
    )
    architectures = {name: name for name in ("Dinov2Model", "Dinov2WithRegistersModel", "DINOv3ViTModel")}
    poolings = {"class": "class token, mean over frames", "mean": "mean over patch tokens, mean over frames"}

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(None, None, config.hidden_size, patch_size=config.patch_size)

    def _forward(self, pixels: Tensor) -> Output:
        tokens = self._model(pixels.flatten(0, 1)).last_hidden_state  # (n t, 1 + registers + h w, dim)
        registers = getattr(self._model.config, "num_register_tokens", 0)
        features = tokens[:, 0] if self._pooling == "class" else tokens[:, 1 + registers :].mean(dim=1)
        frames = features.unflatten(0, pixels.shape[:2])  # (n, t, dim)
        return Output(frames.mean(dim=1), frames)
