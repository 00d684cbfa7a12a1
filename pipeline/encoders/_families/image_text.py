"""Towers for pictures and texts, run over the frames of a clip: the mean of the frames' unit vectors.

The product of that mean with a text's unit vector is the mean of the frames' cosines with it, so search by text
is exact. Such an encoder knows what single pictures show; the order of frames is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._card import Output
from .transformers import TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class ImageText(TransformersEncoder):
    """See the module."""

    poolings = {"mean": "mean over unit vectors of frames"}

    def _forward(self, pixels: Tensor) -> Output:
        from torch.nn.functional import normalize

        n, t = pixels.shape[:2]
        features = self._model.get_image_features(pixel_values=pixels.flatten(0, 1)).pooler_output  # (n t, dim)
        frames = normalize(features, dim=-1).view(n, t, -1)  # (n, t, dim)
        return Output(frames.mean(dim=1), frames)
