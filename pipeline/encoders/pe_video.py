"""PE-Video (Meta 2025; the video side of Perception Encoder Audio-Video, facebook/pe-av-*): frames, then time.

Each frame goes through a Perception Encoder (built by timm), the frames through a small transformer, whose first
token is the clip. Any number of frames will do. A checkpoint of the whole audio-video model is read as well: its
video model is used, its other weights are accounted for all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._card import Card, Output
from ._checkpoint import Checkpoint, load_strictly
from ._families.transformers import Sizes, TransformersEncoder

if TYPE_CHECKING:
    from torch import Tensor


class PEVideo(TransformersEncoder):
    """See the module."""

    card = Card(
        default_checkpoint="facebook/pe-av-large",
        model_types=("pe_video", "pe_audio_video"),
        num_frames=16,
        image_size=336,
        dim=1024,
        span_seconds=10.0,
        text=True,
        knows="actions, objects and scenes that can be put in words",
        licence="see the checkpoint's page",
        source="huggingface.co/facebook/pe-av-large",
        extra="timm",
    )
    needs = ("timm",)
    architectures = {name: name for name in ("PeVideoModel", "PeAudioVideoModel")}
    poolings = {"first": "first token of the video encoder, projected"}

    @classmethod
    def _read(cls, model_class: Any, checkpoint: Checkpoint) -> Any:
        """Two things that transformers 5.18 to 5.23 get wrong are put right first: the width of the frame encoder's
        output, which they do not take from the file, and the tying of the whole audio-video model's weights, which
        trips over a buffer of timm that is no weight.
        """
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        video = getattr(config, "audio_video_config", config).video_config
        video.vision_config.num_labels = video.vision_config.num_classes
        ties = {
            _with_bands(source): _with_bands(target)
            for source, target in (model_class._tied_weights_keys or {}).items()
        }
        mended = type(model_class.__name__, (model_class,), {"_tied_weights_keys": ties or None})
        return load_strictly(mended, checkpoint, config=config)

    @classmethod
    def _sizes(cls, config: Any) -> Sizes:
        return Sizes(None, None, config.text_config.hidden_size)

    @property
    def _video(self) -> Any:
        return getattr(self._model, "video_model", self._model)

    def _forward(self, pixels: Tensor) -> Output:
        output = self._video.video_encoder(pixel_values_videos=pixels)
        return Output(self._video.video_head(output.pooler_output), output.last_hidden_state)

    def _embed_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        # As the model's forward pass does it; its get_text_features pools all tokens instead of the first.
        output = self._video.text_model(**tokens, output_hidden_states=True)
        vectors: Tensor = self._video.text_video_head(output.hidden_states[-1][:, 0])
        return vectors

    @property
    def text_scale(self) -> float:
        """The checkpoint's trained scale; its bias is the same for all texts and changes no softmax."""
        return float(self._video.text_video_logit_scale)


def _with_bands(pattern: str) -> str:
    return pattern.replace("pos_embed", "(pos_embed|bands)")
