"""ViViT (Arnab et al. 2021, arXiv:2103.15691), model 1: tubelets of a whole clip through one transformer.

The feature that its authors classify is the class token. They train on pixels from -1 to 1. The processor file of
the published Kinetics checkpoint centres and then normalises, and so leads to -3 to 1, as does a class default
of transformers 5: a file that says 0.5 for both is read as in training. One that says anything else is obeyed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.errors import EncoderError
from ..core.recipe import PreprocessSettings
from ._card import Card, Output
from ._checkpoint import Checkpoint
from ._families.transformers import Sizes, TransformersEncoder
from ._preprocess import read_settings

if TYPE_CHECKING:
    from torch import Tensor

_ZERO_CENTRED = {
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "offset": False,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


class ViViT(TransformersEncoder):
    """See the module."""

    card = Card(
        default_checkpoint="google/vivit-b-16x2-kinetics400",
        model_types=("vivit",),
        num_frames=32,
        image_size=224,
        dim=768,
        span_seconds=32 * 2 / 30,  # 32 frames, stride 2, at 30 frames a second
        text=False,
        knows="actions (Kinetics-400)",
        licence="Apache-2.0",
        source="arXiv:2103.15691; github.com/google-research/scenic",
    )
    architectures = {
        "VivitForVideoClassification": "VivitForVideoClassification",
        "ViViTForVideoClassification": "VivitForVideoClassification",  # as the published file spells it
        "VivitModel": "VivitModel",
    }
    poolings = {"class": "class token", "mean": "mean over patch tokens"}

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(config.num_frames, config.image_size, config.hidden_size)

    @classmethod
    def _settings(cls, checkpoint: Checkpoint, sizes: Sizes) -> PreprocessSettings:
        return read_settings(checkpoint.folder, image_size=sizes.image_size, mend=_centred_once)

    def _classifies(self) -> bool:
        return self._pooling == "class"

    def _forward(self, pixels: Tensor) -> Output:
        tokens = self._backbone(pixels).last_hidden_state  # (n, 1 + t/2 h w, dim)
        steps = self.facts.num_frames // self._model.config.tubelet_size[0]
        frames = tokens[:, 1:].unflatten(1, (steps, -1)).mean(dim=2)  # (n, t/2, dim)
        return Output(tokens[:, 0] if self._pooling == "class" else frames.mean(dim=1), frames)


def _centred_once(content: dict[str, Any]) -> dict[str, Any]:
    """The file's content with the doubled normalisation of the published one undone."""
    halves = ([0.5] * 3, 0.5)
    centred = content.get("do_normalize", True) or content.get("offset", content.get("do_zero_centering"))
    if centred and all(content.get(key) in halves for key in ("image_mean", "image_std")):
        return {**content, **_ZERO_CENTRED}
    if "offset" not in content and "do_zero_centering" not in content:
        # The class would centre by default, or not, depending on the release.
        raise EncoderError(
            "the processor file of this ViViT does not say 'offset', and a guess could spoil every vector: add "
            '"offset": true if its pixels were shifted by -1 before they were normalised, else false'
        )
    return content
