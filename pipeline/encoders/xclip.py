"""X-CLIP (Ni et al. 2022, arXiv:2208.02816): frames that talk to each other, compared with text.

The published score conditions the text on the video: a generator looks at the clip's patch features, averaged
over time, and moves the text's vector. The cosine between the two towers' vectors, which is what an index can
hold, approximates it; with the patch features stored beside the vectors (``--keep patches``) the score itself can
be had without another forward pass over the video. The prompt is the bare text: that is how the authors test it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ._card import Card, Output
from ._families.transformers import Sizes, TransformersEncoder, to_numpy

if TYPE_CHECKING:
    from torch import Tensor

# Clips whose patch features are scored at once: 64 of 196 x 512 numbers are 26 MB.
_SCORED_AT_ONCE = 64


class XCLIP(TransformersEncoder):
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
        source="arXiv:2208.02816; github.com/microsoft/VideoX",
    )
    architectures = {"XCLIPModel": "XCLIPModel"}
    poolings = {"integration": "multi-frame integration, mean over frames"}
    keeps = ("frames", "patches", "patches-half")

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        vision = config.vision_config
        return Sizes(vision.num_frames, vision.image_size, config.projection_dim)

    def _forward(self, pixels: Tensor) -> Output:
        model, (n, t) = self._model, pixels.shape[:2]
        seen = model.vision_model(pixel_values=pixels.flatten(0, 1))
        frames = model.visual_projection(seen.pooler_output).unflatten(0, (n, t))  # (n, t, dim)
        vectors = model.mit(frames).pooler_output  # (n, dim)
        patches = model.prompts_visual_layernorm(seen.last_hidden_state[:, 1:])  # (n t, patches, width)
        patches = (patches @ model.prompts_visual_projection).unflatten(0, (n, t)).mean(dim=1)  # (n, patches, dim)
        return Output(vectors, frames, patches)

    def exact_cosines(
        self, embeddings: FloatArray, patches: npt.NDArray[np.floating[Any]], text: FloatArray
    ) -> FloatArray:
        """See ``Encoder.exact_cosines``; times ``text_scale`` they are the model's ``logits_per_video``."""
        import torch
        from torch.nn.functional import normalize

        texts = torch.from_numpy(text).to(self.device)  # (k, dim)
        scores = []
        with torch.inference_mode():
            for start in range(0, len(embeddings), _SCORED_AT_ONCE):
                some = slice(start, start + _SCORED_AT_ONCE)
                clips = normalize(torch.from_numpy(embeddings[some]).to(self.device), dim=-1)  # (n, dim)
                seen = torch.from_numpy(patches[some]).to(self.device).float()  # (n, patches, dim)
                wanted = texts.expand(len(clips), -1, -1)  # (n, k, dim)
                moved = normalize(wanted + self._model.prompts_generator(wanted, seen), dim=-1)
                scores.append(torch.einsum("nd,nkd->nk", clips, moved))
        return to_numpy(torch.cat(scores)) if scores else np.empty((0, len(text)), np.float32)
