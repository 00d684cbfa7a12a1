"""VideoMAE (Tong et al. 2022, arXiv:2203.12602): tubelets of a whole clip through one transformer.

A checkpoint fine-tuned with mean pooling has no norm at the end of its encoder: the trained one is the
classifier's ``fc_norm``, applied after the mean over tokens, and the feature that its authors classify is
``fc_norm(mean(tokens))``. ``AutoModel`` drops it. A checkpoint without ``fc_norm`` has the norm inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from .._errors import EncoderError
from ..preprocess import read_settings
from . import Card, Encoder, Facts
from ._checkpoint import Checkpoint, check_num_frames, load_strictly, read_config, weights_sha256

if TYPE_CHECKING:
    from torch import Tensor

# The whole model is loaded whatever part is used, so that every weight is accounted for.
_ARCHITECTURES = ("VideoMAEForVideoClassification", "VideoMAEForPreTraining", "VideoMAEModel")


class VideoMAE(Encoder):
    """See the module."""

    card = Card(
        default_checkpoint="MCG-NJU/videomae-base-finetuned-kinetics",
        model_types=("videomae",),
        num_frames=16,
        image_size=224,
        dim=768,
        span_seconds=16 * 4 / 30,  # 16 frames, stride 4, at 30 frames a second
        text=False,
        knows="actions and motion (Kinetics-400)",
        licence="CC-BY-NC 4.0 (non-commercial)",
    )

    def __init__(self, facts: Facts, *, device: str, model: Any) -> None:
        super().__init__(facts, device=device)
        self._norm = getattr(model, "fc_norm", None)
        self._tuned = hasattr(model, "classifier")
        self._backbone = getattr(model, "videomae", model)

    @classmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None) -> Self:
        """See ``Encoder.load``."""
        import transformers

        named = (read_config(checkpoint).get("architectures") or ["none"])[0]
        if named not in _ARCHITECTURES:
            raise EncoderError(f"{checkpoint.name} is a {named}; known are {', '.join(_ARCHITECTURES)}")
        model = load_strictly(getattr(transformers, named), checkpoint).to(device)
        config = model.config
        check_num_frames(num_frames, config.num_frames, checkpoint)
        if getattr(model, "fc_norm", None) is not None:
            pooling = "fc_norm(mean over tokens)"
        elif getattr(model, "videomae", model).layernorm is not None:
            pooling = "mean over layernorm(tokens)"
        else:
            pooling = "mean over tokens"
        facts = Facts(
            checkpoint=checkpoint.name,
            revision=checkpoint.revision,
            weights_sha256=weights_sha256(checkpoint),
            num_frames=config.num_frames,
            image_size=config.image_size,
            dim=config.hidden_size,
            preprocessing=read_settings(checkpoint.folder, image_size=config.image_size),
            pooling=pooling,
        )
        return cls(facts, device=device, model=model)

    @property
    def caution(self) -> str | None:
        """See ``Encoder.caution``. Published figures for HMDB51: clusters agree with classes by 0.41 against 0.70."""
        if self._tuned:
            return None
        return (
            f"{self.facts.checkpoint} was never fine-tuned: mean-pooled vectors of self-supervised checkpoints "
            "retrieve poorly; a fine-tuned one is better for search and heads"
        )

    def _forward(self, pixels: Tensor) -> Tensor:
        tokens = self._backbone(pixels).last_hidden_state  # (n, tokens, dim)
        pooled = tokens.mean(dim=1)  # (n, dim)
        result: Tensor = pooled if self._norm is None else self._norm(pooled)
        return result
