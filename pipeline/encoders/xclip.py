"""X-CLIP (Ni et al. 2022, arXiv:2208.02816): frames that talk to each other, compared with text.

The published score conditions the text on the video (``prompts_generator``), so the cosine between the
two towers' vectors, which is what an index can hold, approximates it. The prompt is the bare text: that is
how the authors test it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from .._types import FloatArray
from ..preprocess import read_settings
from . import Card, Encoder, Facts
from ._checkpoint import Checkpoint, check_num_frames, load_strictly, weights_sha256

if TYPE_CHECKING:
    from torch import Tensor


class XCLIP(Encoder):
    """See the module."""

    card = Card(
        default_checkpoint="microsoft/xclip-base-patch32",
        model_types=("xclip",),
        num_frames=8,
        image_size=224,
        dim=512,
        span_seconds=10.0,  # its training clips: Kinetics, sampled sparsely over their 10 seconds
        text=True,
        knows="actions, objects and scenes that can be put in words (Kinetics-400 on CLIP)",
        licence="MIT",
    )

    def __init__(self, facts: Facts, *, device: str, model: Any, tokenizer: Any) -> None:
        super().__init__(facts, device=device)
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None) -> Self:
        """See ``Encoder.load``."""
        from transformers import AutoTokenizer, XCLIPModel

        model = load_strictly(XCLIPModel, checkpoint).to(device)
        vision = model.config.vision_config
        check_num_frames(num_frames, vision.num_frames, checkpoint)
        facts = Facts(
            checkpoint=checkpoint.name,
            revision=checkpoint.revision,
            weights_sha256=weights_sha256(checkpoint),
            num_frames=vision.num_frames,
            image_size=vision.image_size,
            dim=model.config.projection_dim,
            preprocessing=read_settings(checkpoint.folder, image_size=vision.image_size),
            pooling="multi-frame integration, mean over frames",
        )
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
        return cls(facts, device=device, model=model, tokenizer=tokenizer)

    def _forward(self, pixels: Tensor) -> Tensor:
        # The pooled output is the clip's vector; last_hidden_state would be the frame encoder's patches.
        vectors: Tensor = self._model.get_video_features(pixels).pooler_output
        return vectors

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """See ``Encoder.encode_text``; texts are cut at the tower's 77 tokens."""
        import torch

        length = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, max_length=length, return_tensors="pt").to(
            self.device
        )
        with torch.inference_mode():
            vectors = self._model.get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).pooler_output
        result: FloatArray = vectors.to("cpu", torch.float32).numpy()
        return result

    @property
    def text_scale(self) -> float:
        """The checkpoint's trained temperature."""
        return float(self._model.logit_scale.exp())
