"""V-JEPA 2 (Assran et al. 2025, arXiv:2506.09985): self-supervised tokens of a whole clip.

Its authors' figures come from attentive probes on the tokens. A checkpoint fine-tuned with such a probe carries
it, and its vector is what the probe makes; of the others the mean over the tokens is stored. The predictor,
half of the pretraining, takes no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._card import Card, Output
from ._families.transformers import Sizes, TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class VJEPA2(TransformersEncoder):
    """See the module."""

    card = Card(
        default_checkpoint="facebook/vjepa2-vitl-fpc64-256",
        model_types=("vjepa2",),
        num_frames=64,
        image_size=256,
        dim=1024,
        span_seconds=64 * 2 / 30,  # 64 frames, stride 2, at 30 frames a second
        text=False,
        knows="motion and appearance, from video without labels",
        licence="MIT / Apache-2.0",
        source="arXiv:2506.09985; github.com/facebookresearch/vjepa2",
    )
    architectures = {name: name for name in ("VJEPA2Model", "VJEPA2ForVideoClassification")}
    poolings = {"mean": "mean over tokens", "attention": "attentive pooler"}

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(config.frames_per_clip, config.crop_size, config.hidden_size)

    @classmethod
    def _pooling_of(cls, model: Any, wanted: str | None) -> str:
        if hasattr(model, "pooler"):
            return cls._pooled(wanted, "attention")
        return cls._pooled(wanted, "mean", possible=("mean",))

    def _classifies(self) -> bool:
        return self._pooling == "attention"

    @property
    def caution(self) -> str | None:
        """See ``Encoder.caution``."""
        if self._pooling == "attention":
            return None
        return (
            f"{self.facts.checkpoint} was trained without labels, and its published figures come from probes on "
            "all tokens, which a mean over them does not reach; train a head on keep='frames', or take a checkpoint "
            "with a classifier"
        )

    def _forward(self, pixels: Tensor) -> Output:
        tokens = self._backbone(pixels, skip_predictor=True).last_hidden_state  # (n, t/2 h w, dim)
        steps = self.facts.num_frames // self._model.config.tubelet_size
        frames = tokens.unflatten(1, (steps, -1)).mean(dim=2)  # (n, t/2, dim)
        pooled = self._model.pooler(tokens) if self._pooling == "attention" else frames.mean(dim=1)
        return Output(pooled, frames)
