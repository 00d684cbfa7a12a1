"""VideoPrism (Zhao et al. 2024, arXiv:2402.13217): a video encoder, and LvT, the same with a text tower.

Pixels run from 0 to 1. The vector of an LvT checkpoint is its attention-pooled one, of length 1, which is compared
with text; of a video-only checkpoint the mean over the tokens; of one with a classifier what that reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._card import Card, Output
from ._families.transformers import Sizes, TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class VideoPrism(TransformersEncoder):
    """See the module."""

    card = Card(
        default_checkpoint="google/videoprism-lvt-base-f16r288",
        model_types=("videoprism", "videoprism_vision_model"),
        num_frames=16,
        image_size=288,
        dim=768,
        span_seconds=10.0,  # frames are spread evenly over a clip of any length
        text=True,
        knows="actions, objects and scenes that can be put in words",
        licence="Apache-2.0 (code), CC-BY 4.0 (weights)",
        source="arXiv:2402.13217; github.com/google-deepmind/videoprism",
    )
    architectures = {
        name: name for name in ("VideoPrismClipModel", "VideoPrismVisionModel", "VideoPrismForVideoClassification")
    }
    poolings = {"attention": "attention pooling head", "mean": "mean over tokens"}
    text_padding = "max_length"  # as in training

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        vision = getattr(config, "vision_config", config)
        return Sizes(vision.num_frames, vision.image_size, vision.hidden_size)

    @classmethod
    def _pooling_of(cls, model: Any, wanted: str | None) -> str:
        if hasattr(model, "text_model"):  # other vectors could not be compared with its texts
            return cls._pooled(wanted, "attention", possible=("attention",))
        if hasattr(model, "head"):
            return cls._pooled(wanted, "attention")
        return cls._pooled(wanted, "mean", possible=("mean",))

    def _classifies(self) -> bool:
        return self._pooling == "attention"

    def _forward(self, pixels: Tensor) -> Output:
        if hasattr(self._model, "text_model"):
            output = self._model.video_model(pixel_values_videos=pixels)
            tokens, pooled = output.last_hidden_state, output.pooler_output
        else:
            backbone = getattr(self._model, "vision_model", self._model)
            tokens, pooled = backbone(pixel_values_videos=pixels).last_hidden_state, None  # (n, t h w, dim)
        frames = tokens.unflatten(1, (self.facts.num_frames, -1)).mean(dim=2)  # (n, t, dim)
        if self._pooling == "mean":
            pooled = frames.mean(dim=1)
        elif pooled is None:
            pooled = self._model.head_layernorm(self._model.head(tokens)[0]).squeeze(1)
        return Output(pooled.flatten(1), frames)
