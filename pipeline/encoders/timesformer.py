"""TimeSformer (Bertasius et al. 2021, arXiv:2102.05095): attention over time, then over space.

The feature that its authors classify is the class token. Given another number of frames than it was trained
with, transformers stretches the time embedding without a word; here that is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._card import Card, Output
from ._families.transformers import Sizes, TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class TimeSformer(TransformersEncoder):
    """See the module."""

    card = Card(
        default_checkpoint="facebook/timesformer-base-finetuned-k400",
        model_types=("timesformer",),
        num_frames=8,
        image_size=224,
        dim=768,
        span_seconds=8 * 32 / 30,  # 8 frames, stride 32, at 30 frames a second
        text=False,
        knows="actions and scenes (Kinetics-400)",
        licence="CC-BY-NC 4.0 (non-commercial)",
        source="arXiv:2102.05095; github.com/facebookresearch/TimeSformer",
    )
    architectures = {name: name for name in ("TimesformerForVideoClassification", "TimesformerModel")}
    poolings = {"class": "class token", "mean": "mean over patch tokens"}

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(config.num_frames, config.image_size, config.hidden_size)

    def _classifies(self) -> bool:
        return self._pooling == "class"

    def _forward(self, pixels: Tensor) -> Output:
        tokens = self._backbone(pixels).last_hidden_state  # (n, 1 + h w t, dim), time runs fastest
        frames = tokens[:, 1:].unflatten(1, (-1, self.facts.num_frames)).mean(dim=1)  # (n, t, dim)
        return Output(tokens[:, 0] if self._pooling == "class" else frames.mean(dim=1), frames)
