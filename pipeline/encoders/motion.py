"""The built-in encoder for actions: what ``lite`` sees in 8 frames, beside a description of what moves.

Movement is dense optical flow at 12.5 frames a second, without the camera's, in histograms over the picture and over a
box that follows what moves (see ``_families/motion_description``). No weights beside those of ``lite`` take part.

Appearance is the square root of ``lite``'s vector (Hellinger's kernel), and the description is as long as that: in the
cosine both count the same, and ``lite``'s own vector can be had back, for text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import EncoderError
from ..core.recipe import PreprocessSettings
from ..core.types import FloatArray
from ..sources.sampling import BURST_FRAMES
from ._card import Card, Output
from ._families import efficientnet, motion_description
from ._families.efficientnet import EfficientNetLite
from ._families.motion_description import describe
from ._families.optical_flow import moving_parts

if TYPE_CHECKING:
    from torch import Tensor

_SEEN_FRAMES = 8


class Motion(EfficientNetLite):
    """See the module."""

    card = Card(
        default_checkpoint=efficientnet.WEIGHTS_PACKAGE,
        model_types=(),
        num_frames=64,
        image_size=efficientnet.IMAGE_SIZE,
        dim=efficientnet.DIM + motion_description.DIM,
        span_seconds=10.0,
        text=True,
        knows="objects and scenes (ImageNet), and how things move",
        licence=efficientnet.LICENCE,
        source=f"{efficientnet.SOURCE}; OpenCV's DIS flow",
        frames_per_second=12.5,
    )
    poolings = {"mean": "root of the mean over frames, beside a description of movement (2)"}
    # The whole picture: what moves may be at its edge.
    settings = PreprocessSettings(
        resize=(224, 224), crop=None, interpolation="bicubic", scale=1 / 255, mean=(0.498,) * 3, std=(0.502,) * 3
    )

    def _forward(self, pixels: Tensor) -> Output:
        import torch

        num_frames = pixels.shape[1]
        seen = ((torch.arange(_SEEN_FRAMES) + 0.5) * num_frames / _SEEN_FRAMES).long()
        looks = super()._forward(pixels[:, seen.to(pixels.device)])
        found = [self._movement(clip) for clip in pixels]
        vectors, steps = (torch.from_numpy(np.stack(part)).to(pixels.device) for part in zip(*found, strict=True))
        return Output(_beside(looks.vectors, vectors), _beside(looks.frames, steps))

    def _movement(self, clip: Tensor) -> tuple[FloatArray, FloatArray]:
        """(t, 3, h, w), normalised, to the descriptions of the clip and its steps."""
        import torch

        (mean, *_), (std, *_) = self.settings.mean or (0.0,), self.settings.std or (1.0,)
        frames = ((clip * std + mean) / self.settings.scale).round().to(torch.uint8).cpu().numpy()
        # As many frames as there can be may be a longer stretch in bursts.
        burst = BURST_FRAMES if len(frames) == self.facts.num_frames else len(frames)
        return describe(moving_parts(frames, burst=burst, num_threads=torch.get_num_threads()))

    def text_space(self, embeddings: FloatArray) -> FloatArray:
        """That of ``lite``, for which movement does not count."""
        return super().text_space(np.square(embeddings[:, : efficientnet.DIM]))

    @property
    def caution(self) -> str:
        """See ``Encoder.caution``."""
        return "motion matches text by appearance only (objects and scenes), not by movement"


def _beside(looks: Tensor, moves: Tensor) -> Tensor:
    """Square roots of ``looks``, (..., 1280), and ``moves``, (..., dim) of length 1, made as long."""
    import torch

    if bool((looks < 0).any()):
        raise EncoderError("the network gave features below 0, which have no square root")
    roots = looks.float().sqrt()
    return torch.cat([roots, moves * roots.norm(dim=-1, keepdim=True)], dim=-1)
