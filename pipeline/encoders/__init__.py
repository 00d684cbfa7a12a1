"""ENCODE: clips -> (n, dim) float32, and for some encoders text -> vectors to compare them with.

An encoder is one file here. It is named by its file (``videomae``), by a Hub id (``org/name`` or
``org/name@revision``) or by a local checkpoint folder; for the last two the architecture is read from the
checkpoint's ``config.json``. Encoders are frozen: nothing here ever computes a gradient.
"""

from __future__ import annotations

import abc
import dataclasses
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from .._errors import EncoderError, RecipeMismatch, UnknownPart
from .._recipe import PreprocessSettings, Recipe
from .._registry import Registry
from .._types import Device, FloatArray, Pixels
from ..clips import SAMPLING

if TYPE_CHECKING:
    from torch import Tensor

    from ._checkpoint import Checkpoint

DEFAULT_ENCODER = "xclip"


@dataclasses.dataclass(frozen=True)
class Card:
    """What can be said of an encoder without loading it.

    Attributes:
        default_checkpoint: Hub id used for the bare name, or the package that brings the weights.
        model_types: values of ``model_type`` in a ``config.json`` that this file reads.
        num_frames, image_size, dim: of the default checkpoint; others differ.
        span_seconds: the stretch that a clip of this encoder naturally covers; longer videos are
            cut into windows of it.
        text: whether text can be compared with its vectors.
        knows: what it was trained to tell apart.
        licence: of the weights.
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


class Encoder(abc.ABC):
    """A frozen encoder, ready to run. Subclasses load a model and say how it is run and pooled."""

    card: ClassVar[Card]

    def __init__(self, facts: Facts, *, device: str) -> None:
        self.facts = facts
        self.device = device

    @classmethod
    def packaged(cls) -> Checkpoint | None:
        """The weights that come with the installation, for encoders that have such."""
        return None

    @classmethod
    @abc.abstractmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None) -> Self:
        """Load weights; ``num_frames`` is None for the checkpoint's own.

        Raises:
            EncoderError: missing or unexpected weights, or a frame count the checkpoint cannot take.
        """

    @abc.abstractmethod
    def _forward(self, pixels: Tensor) -> Tensor:
        """(n, t, 3, h, w) normalised -> (n, dim)."""

    @property
    def name(self) -> str:
        """The name a user types: the file's."""
        return type(self).__module__.rpartition(".")[2]

    def prepare(self, frames: Pixels) -> Pixels:
        """Decoded frames, (t, h, w, 3) uint8, to the model's size, (t, 3, size, size) uint8."""
        import torch

        from ..preprocess import fit

        fitted: Pixels = fit(torch.from_numpy(frames), self.facts.preprocessing).numpy()
        return fitted

    def encode(self, pixels: Pixels) -> FloatArray:
        """Prepared clips, (n, t, 3, size, size) uint8, to (n, dim) float32, not normalised to length 1.

        Raises:
            EncoderError: wrong shape, or a vector that is constant or not finite.
        """
        import torch

        from ..preprocess import normalise

        facts = self.facts
        expected = (facts.num_frames, 3, facts.image_size, facts.image_size)
        if pixels.ndim != 5 or pixels.shape[1:] != expected:
            raise EncoderError(
                f"{self.name} ({facts.checkpoint}) takes clips of (frames, channels, height, width) = {expected}, "
                f"not {pixels.shape[1:]}"
            )
        with torch.inference_mode():
            values = normalise(torch.from_numpy(pixels).to(self.device), facts.preprocessing)
            vectors = self._forward(values)  # (n, dim)
        result: FloatArray = vectors.to("cpu", torch.float32).numpy()
        _check_vectors(result, (len(pixels), facts.dim), what=f"{self.name} ({facts.checkpoint})")
        return result

    def encode_text(self, texts: Sequence[str]) -> FloatArray:  # noqa: ARG002 -- subclasses use it
        """Texts to (n, text_dim) float32, to be compared by cosine with ``text_space`` of clips.

        Raises:
            EncoderError: this encoder has no text side.
        """
        raise EncoderError(
            f"{self.name} cannot compare text with video: it has no text tower. Search by --clip, or extract "
            f"with one of: {', '.join(name for name, card in cards().items() if card.text)}"
        )

    def text_space(self, embeddings: FloatArray) -> FloatArray:
        """Stored vectors, (n, dim), in the space where text lives, (n, text_dim); the same for two towers."""
        return embeddings

    @classmethod
    def shares_text_space(cls) -> bool:
        """Whether text and clips lie in one space (``text_space`` changes nothing)."""
        return cls.text_space is Encoder.text_space

    @property
    def caution(self) -> str | None:
        """What everybody who uses its vectors should be told, if anything."""
        return None

    @property
    def text_scale(self) -> float:
        """What cosines between clips and texts are multiplied by before a softmax over classes."""
        return 100.0  # CLIP's trained temperature at its bound

    def recipe(self, *, decoder: str) -> Recipe:
        """How vectors made by this encoder from frames of that decoder come about."""
        facts = dataclasses.asdict(self.facts)
        del facts["image_size"]
        return Recipe(
            **{**facts, "preprocessing": self.facts.preprocessing},
            encoder=self.name,
            sampling=SAMPLING,
            precision="float32",
            decoder=decoder,
            libraries=_libraries(),
        )


def _check_vectors(vectors: FloatArray, shape: tuple[int, int], *, what: str) -> None:
    if vectors.shape != shape:
        raise EncoderError(f"{what} gave vectors of shape {vectors.shape} instead of {shape}")
    if not np.isfinite(vectors).all():
        raise EncoderError(f"{what} gave vectors that are not finite; nothing was stored")
    if shape[1] > 1 and (np.ptp(vectors, axis=1) < 1e-12).any():
        raise EncoderError(f"{what} gave a constant vector; nothing was stored")


def _libraries() -> Mapping[str, str]:
    names = ("av", "numpy", "torch", "transformers")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


encoders: Registry[Encoder] = Registry("pipeline.encoders", Encoder, kind="encoder")  # type: ignore[type-abstract]


def cards() -> dict[str, Card]:
    """Every encoder's card by name. Loads no weights and no torch."""
    return {name: encoders.get(name).card for name in encoders.names()}


def at_hand(name: str) -> bool:
    """Whether an encoder's default weights are on this machine. Asks no hub."""
    from ._checkpoint import is_cached

    part = encoders.get(name)
    return part.packaged() is not None or is_cached(part.card.default_checkpoint)


def encoder_card(name: str) -> Card:
    """The card of the encoder that a user named; of a checkpoint, that of its architecture.

    Raises:
        UnknownPart, EncoderError: see ``load_encoder``.
    """
    return _resolve(name)[0].card


def load_encoder(name: str, *, device: Device = "auto", num_frames: int | None = None) -> Encoder:
    """The encoder that a user named: a file here, a Hub id, or a local checkpoint folder.

    Args:
        device: "auto" takes a GPU where there is one.
        num_frames: frames a clip, for encoders that leave it open.

    Raises:
        UnknownPart: the name is none of the three.
        EncoderError: the checkpoint cannot be had, or not without a risk of wrong vectors.
    """
    part, checkpoint = _resolve(name)
    return part.load(checkpoint, device=_device(device), num_frames=num_frames)


def _resolve(name: str) -> tuple[type[Encoder], Checkpoint]:
    from ._checkpoint import fetch, model_type

    if name in encoders.names():
        part = encoders.get(name)
        return part, part.packaged() or fetch(part.card.default_checkpoint)
    if "/" in name or Path(name).exists():
        checkpoint = fetch(name)
        return _part_for(model_type(checkpoint), name), checkpoint
    raise UnknownPart(
        f"unknown encoder {name!r}; there are: {', '.join(encoders.names())}, or a Hub id such as "
        "microsoft/xclip-base-patch32, or a checkpoint folder with its config.json"
    )


def _part_for(kind: str, name: str) -> type[Encoder]:
    known = {model_type: part for part, card in cards().items() for model_type in card.model_types}
    if kind not in known:
        raise EncoderError(
            f"{name} is a checkpoint of type {kind!r}, which no encoder here reads; known types: "
            f"{', '.join(sorted(known))}"
        )
    return encoders.get(known[kind])


def load_for(recipe: Recipe, *, device: Device = "auto") -> Encoder:
    """The encoder that made the vectors of ``recipe``, to encode queries and new clips the same way.

    Raises:
        RecipeMismatch: the weights or settings under that name are not the same any more.
        EncoderError: they cannot be had.
    """
    packaged = encoders.get(recipe.encoder).packaged() is not None
    name = recipe.encoder if packaged else recipe.checkpoint
    if recipe.revision is not None:
        name = f"{name}@{recipe.revision}"
    encoder = load_encoder(name, device=device, num_frames=recipe.num_frames)
    now = encoder.recipe(decoder=recipe.decoder)
    if now.id != recipe.id:
        raise RecipeMismatch(
            f"{recipe.checkpoint} is not what made the stored vectors any more ({'; '.join(now.differences(recipe))}). "
            "Put the old checkpoint back, or extract again"
        )
    return encoder


def _device(device: Device) -> str:
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device]:
        raise EncoderError(f"this machine's torch {torch.__version__} has no {device} device; use --device auto")
    return device
