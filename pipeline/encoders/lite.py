"""The built-in encoder of appearance: EfficientNet-Lite0 over frames, mean-pooled (see ``_families/efficientnet``).

A 2D network with temporal mean pooling is the field's oldest strong baseline. It knows the objects and
scenes of ImageNet's 1,000 classes; it does not know actions, and no order in time.
"""

from __future__ import annotations

from ._card import Card
from ._families.efficientnet import DIM, IMAGE_SIZE, LICENCE, SOURCE, WEIGHTS_PACKAGE, EfficientNetLite


class Lite(EfficientNetLite):
    """See the module."""

    card = Card(
        default_checkpoint=WEIGHTS_PACKAGE,
        model_types=(),
        num_frames=8,
        image_size=IMAGE_SIZE,
        dim=DIM,
        span_seconds=10.0,
        text=True,
        knows="objects and scenes (ImageNet), not actions",
        licence=LICENCE,
        source=SOURCE,
    )
    poolings = {"mean": "mean over space, mean over frames"}

    @property
    def caution(self) -> str:
        """See ``Encoder.caution``."""
        return "lite knows objects and scenes, not actions: its vectors and its text search go by what is to be seen"
