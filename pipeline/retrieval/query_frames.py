"""Frames in memory as a part of a query: numpy arrays, and pictures of PIL."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ..core.errors import UsageError
from ..core.types import Pixels
from ..sources.sampling import FEWEST_AT_A_RATE, Sampling

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """A clip or a picture that is in memory.

    Attributes:
        pixels: (t, h, w, 3) uint8 RGB; of a picture t is 1.
        is_image: whether it was given as a picture.
    """

    pixels: Pixels
    is_image: bool

    @classmethod
    def of(cls, value: Any) -> Frames:
        """The frames of a PIL image or an array, (h, w, 3) for a picture or (t, h, w, 3) for a clip.

        Raises:
            UsageError: another shape or type of numbers, or nothing at all.
        """
        pixels = np.asarray(_upright(value) if _is_pil(value) else value)
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or pixels.shape[-1] != 3 or not pixels.size:
            raise UsageError(
                "frames have to be uint8 RGB, (height, width, 3) for a picture or (frames, height, width, 3) for a "
                f"clip, not {pixels.dtype} {pixels.shape}"
            )
        is_image = pixels.ndim == 3
        return cls(np.ascontiguousarray(pixels[None] if is_image else pixels), is_image)

    def sampled(self, sampling: Sampling) -> Pixels:
        """(t, h, w, 3): the frames at the centres of equal parts, as of videos. An encoder that takes frames at a rate
        gets all that it can take, as if they had been filmed at that rate.
        """
        count = sampling.num_frames
        if sampling.frames_per_second is not None and not self.is_image:
            count = min(count, max(FEWEST_AT_A_RATE, len(self.pixels)))
        chosen = ((np.arange(count) + 0.5) * len(self.pixels) / count).astype(np.int64)
        sampled: Pixels = self.pixels[chosen]
        return sampled


def holds_frames(value: object) -> bool:
    """Whether this is a picture or an array of frames, rather than a list of other things."""
    return _is_pil(value) or (hasattr(value, "__array__") and getattr(value, "ndim", 0) >= 2)


def _is_pil(value: object) -> TypeGuard[Image]:
    if not type(value).__module__.startswith("PIL."):  # nothing to load PIL for
        return False
    from PIL.Image import Image

    return isinstance(value, Image)


def _upright(image: Image) -> Image:
    """In RGB and turned as its EXIF data say, as a file is read."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image).convert("RGB")
