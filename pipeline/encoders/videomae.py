"""VideoMAE (Tong et al. 2022, arXiv:2203.12602): tubelets of a whole clip through one transformer.

A checkpoint fine-tuned with mean pooling has no norm at the end of its encoder: the trained one is the
classifier's ``fc_norm``, applied after the mean over tokens, and the feature that its authors classify is
``fc_norm(mean(tokens))``. ``AutoModel`` drops it. A checkpoint without ``fc_norm`` has the norm inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.errors import EncoderError
from ._card import Card, Output
from ._checkpoint import Checkpoint
from ._families.transformers import Sizes, TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class VideoMAE(TransformersEncoder):
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
        source="arXiv:2203.12602; huggingface.co/MCG-NJU",
    )
    architectures = {
        name: name for name in ("VideoMAEForVideoClassification", "VideoMAEForPreTraining", "VideoMAEModel")
    }
    poolings = {
        "norm-mean": "fc_norm(mean over tokens)",
        "mean": "mean over tokens",
        "mean-norm": "mean over layernorm(tokens)",
    }

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(config.num_frames, config.image_size, config.hidden_size)

    @classmethod
    def _pooling_of(cls, model: Any, wanted: str | None) -> str:
        if getattr(model, "fc_norm", None) is not None:
            return cls._pooled(wanted, "norm-mean", possible=("norm-mean", "mean"))
        only = "mean" if model.base_model.layernorm is None else "mean-norm"
        return cls._pooled(wanted, only, possible=(only,))

    @classmethod
    def _examine(cls, model: Any, checkpoint: Checkpoint) -> None:
        # Of the encoder alone: a self-supervised checkpoint's decoder may have kept its own.
        biases = [value for name, value in model.base_model.named_parameters() if name.endswith(_QUERY_AND_VALUE)]
        if zero := sum(not bias.any() for bias in biases):
            raise EncoderError(
                f"{zero} of {len(biases)} query and value biases of {checkpoint.name} are zero. Trained ones are not: "
                "transformers 5.6 to 5.17 lose them when loading, and a checkpoint saved from there has lost them "
                "for good. Its vectors would be wrong; take the checkpoint as it was published"
            )

    def _classifies(self) -> bool:
        # With mean pooling the classifier reads fc_norm(mean); without, the first token, which is not stored.
        return self._pooling == "norm-mean"

    @property
    def caution(self) -> str | None:
        """See ``Encoder.caution``. Published figures for HMDB51: clusters agree with classes by 0.41 against 0.70."""
        if hasattr(self._model, "classifier"):
            return None
        return (
            f"{self.facts.checkpoint} was never fine-tuned: mean-pooled vectors of self-supervised checkpoints "
            "retrieve poorly; a fine-tuned one is better for search and heads"
        )

    def _forward(self, pixels: Tensor) -> Output:
        tokens = self._backbone(pixels).last_hidden_state  # (n, t/2 h w, dim)
        steps = self.facts.num_frames // self._model.config.tubelet_size
        frames = tokens.unflatten(1, (steps, -1)).mean(dim=2)  # (n, t/2, dim)
        pooled = frames.mean(dim=1)  # (n, dim)
        return Output(self._model.fc_norm(pooled) if self._pooling == "norm-mean" else pooled, frames)


# Up to transformers 5.4 the biases are parameters of their own, from 5.18 on those of the projections.
_QUERY_AND_VALUE = ("q_bias", "v_bias", "query.bias", "value.bias", "q_proj.bias", "v_proj.bias")
