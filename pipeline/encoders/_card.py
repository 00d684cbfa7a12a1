"""What is known of an encoder before it is loaded, once it is, and what it gives."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.errors import EncoderError
from ..core.recipe import PreprocessSettings
from ..core.types import FloatArray, Keep, KeptArray, Pixels
from ..sources.sampling import Sampling

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Card:
    """What is known of an encoder before it is loaded.

    Attributes:
        default_checkpoint: Hub id used for the bare name, or the file or package that brings the weights.
        model_types: values of ``model_type`` in a ``config.json`` that this file reads.
        num_frames, image_size, dim: of the default checkpoint; others differ.
        span_seconds: the stretch that a clip of this encoder naturally covers; longer videos are
            cut into windows of it.
        text: whether text can be compared with its vectors.
        knows: what it was trained to tell apart.
        licence: of the weights.
        source: of these facts.
        frames_per_second: for encoders that take frames at a rate; ``num_frames`` is then the most.
        extra: the optional dependencies it needs, as in ``pip install "clipdex[EXTRA]"``.
    """

    default_checkpoint: str
    model_types: tuple[str, ...]
    num_frames: int
    image_size: int
    dim: int
    span_seconds: float
    text: bool
    knows: str
    licence: str
    source: str
    extra: str | None = None
    frames_per_second: float | None = None

    @property
    def commercial(self) -> bool | None:
        """Whether the licence of the weights allows commercial use; None where it is not known."""
        return None if "page" in self.licence else "NC" not in self.licence

    def licence_of(self, checkpoint: str) -> str:
        """The licence of a checkpoint's weights: known of the default one alone."""
        return self.licence if checkpoint == self.default_checkpoint else f"see {checkpoint}"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a loaded checkpoint turned out to be; the encoder's part of the recipe."""

    checkpoint: str
    revision: str | None
    weights_sha256: str
    num_frames: int
    image_size: int
    dim: int
    preprocessing: PreprocessSettings
    pooling: str
    frames_per_second: float | None = None


@dataclasses.dataclass(frozen=True)
class EncoderInput:
    """What an encoder takes of a clip: which frames, and how their pixels are prepared."""

    sampling: Sampling
    preprocessing: PreprocessSettings

    def prepare(self, frames: Pixels) -> Pixels:
        """Decoded frames, (t, h, w, 3) uint8, to the model's size, (t, 3, size, size) uint8."""
        import torch

        from ._preprocess import fit

        fitted: Pixels = fit(torch.from_numpy(frames), self.preprocessing).numpy()
        return fitted


@dataclasses.dataclass(frozen=True)
class Output:
    """One forward pass over n clips.

    Attributes:
        vectors: (n, dim), what is stored.
        frames: (n, steps, frame dim), in the order of time, what the vectors were pooled from.
        patches: (n, patches, dim), what exact scores with text need beside the vectors, where the encoder has such.
    """

    vectors: Tensor
    frames: Tensor
    patches: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Features:
    """What a bank stores of n clips: float32 vectors (n, dim), and the further features that were requested."""

    vectors: FloatArray
    extra: Mapping[Keep, KeptArray]


class NearestName(NamedTuple):
    """Of what an encoder has names for, the one nearest to a text; cosine of the two."""

    text: str
    name: str
    cosine: float


@dataclasses.dataclass(frozen=True)
class Classifier:
    """The linear classifier that a fine-tuned checkpoint carries on top of its vectors.

    Attributes:
        weight: (classes, dim).
        bias: (classes,).
        classes: their names, in this order.
    """

    weight: FloatArray
    bias: FloatArray
    classes: tuple[str, ...]


def check_clips(pixels: Pixels | Sequence[Pixels], facts: Facts, *, what: str) -> None:
    """Refuse clips of a shape that an encoder does not take.

    Args:
        pixels: see ``Encoder.encode``.
        what: the encoder, for the message.

    Raises:
        EncoderError: with both shapes.
    """
    at_a_rate = facts.frames_per_second is not None
    size = (3, facts.image_size, facts.image_size)
    shapes = {pixels.shape[1:]} if isinstance(pixels, np.ndarray) else {clip.shape for clip in pixels}
    for shape in shapes:
        enough = len(shape) == 4 and (2 <= shape[0] <= facts.num_frames if at_a_rate else shape[0] == facts.num_frames)
        if not enough or shape[1:] != size:
            expected = f"(2 to {facts.num_frames}, {str(size)[1:]}" if at_a_rate else str((facts.num_frames, *size))
            raise EncoderError(f"{what} takes clips of (frames, channels, height, width) = {expected}, not {shape}")


def check_vectors(vectors: FloatArray, shape: tuple[int, int], *, what: str) -> None:
    """Refuse vectors that no clip can have.

    Args:
        what: the encoder, for the message.

    Raises:
        EncoderError: another shape than (n, dim), not finite, or constant.
    """
    if vectors.shape != shape:
        raise EncoderError(f"{what} gave vectors of shape {vectors.shape} instead of {shape}")
    if not np.isfinite(vectors).all():
        raise EncoderError(f"{what} gave vectors that are not finite; nothing was stored")
    if shape[1] > 1 and (np.ptp(vectors, axis=1) < 1e-12).any():
        raise EncoderError(f"{what} gave a constant vector; nothing was stored")


def libraries() -> Mapping[str, str]:
    """Releases of what has a say in the vectors, as the recipe notes them. What is not installed is left out: OpenCV
    also comes as another distribution.
    """
    found = {"python": platform.python_version()}
    for name in ("av", "numpy", "opencv-python-headless", "torch", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def check_keep(name: str, keeps: Collection[Keep], keep: Collection[Keep]) -> None:
    """Refuse to keep what the encoder of this name does not have.

    Raises:
        EncoderError: with what it has.
    """
    if absent := [one for one in keep if one not in keeps]:
        raise EncoderError(f"{name} has no {absent[0]} to keep; it has: {', '.join(keeps)}")


def checked_features(
    found: Mapping[str, Any], keep: Collection[Keep], *, shape: tuple[int, int], what: str
) -> Features:
    """What a forward pass gave, if it can be stored.

    Args:
        found: arrays by "vectors" and the names of ``keep``.
        shape, what: see ``check_vectors``.

    Raises:
        EncoderError: see ``check_vectors``; or half precision cannot hold what is to be kept.
    """
    check_vectors(found["vectors"], shape, what=what)
    extra: dict[Keep, KeptArray] = {name: found[name] for name in keep}
    for name, values in extra.items():
        if not np.isfinite(values).all():
            raise EncoderError(f"{what} gave {name} that half precision cannot hold; leave out keep={name!r}")
    return Features(found["vectors"], extra)
