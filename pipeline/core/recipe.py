"""How vectors were made: written down beside them, so that vectors made in different ways never meet."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

IMPORTED = "imported"  # in the place of an encoder's name


@dataclasses.dataclass(frozen=True)
class PreprocessSettings:
    """How frames become pixels, as the checkpoint's processor file says (see ``preprocess``).

    Attributes:
        resize: shortest edge, or (height, width), or None for no resizing.
        crop: (height, width) of the centre crop, or None.
        mean, std: per channel (RGB), applied after scaling by ``scale``; None for no normalising.
    """

    resize: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    interpolation: Literal["bilinear", "bicubic"]
    scale: float
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None

    @property
    def final_size(self) -> tuple[int, int]:
        """(height, width) of what comes out; (0, 0) where that depends on the video."""
        return self.crop or (self.resize if isinstance(self.resize, tuple) else (0, 0))

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std come together")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")


@dataclasses.dataclass(frozen=True)
class Canary:
    """What an encoder made of a clip that is generated in code (see ``encoders._canary``).

    Attributes:
        length: of the clip's vector.
        fingerprint: the first terms of the vector's cosine transform.
        pixel_min, pixel_max, pixel_mean: of the numbers that went into the network.
    """

    length: float
    fingerprint: tuple[float, ...]
    pixel_min: float
    pixel_max: float
    pixel_mean: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How vectors were made. It travels with them, and vectors of two recipes never meet.

    Where the weights lay (``checkpoint``, ``revision``), which library versions ran (``libraries``) and how the
    canary sounded are written down but are no part of the identity: the weights' hash is. Canaries are compared
    within a tolerance instead.

    Example:
        >>> recipe = Bank("bank").recipe()
        >>> recipe.encoder, recipe.dim, recipe.decoder
        ('lite', 1280, 'pyav')
    """

    encoder: str
    checkpoint: str
    revision: str | None
    weights_sha256: str
    num_frames: int
    sampling: str
    preprocessing: PreprocessSettings
    pooling: str
    dim: int
    precision: Literal["float32", "bfloat16", "float16"]
    decoder: str
    libraries: Mapping[str, str] = dataclasses.field(default_factory=dict)
    canary: Canary | None = None

    @property
    def imported(self) -> bool:
        """Whether the vectors came from elsewhere, ready made, so that no encoder here can make more of them."""
        return self.encoder == IMPORTED

    @property
    def id(self) -> str:
        """12 hex digits that change when anything that shapes the vectors changes."""
        facts = self.to_dict()
        for note in ("checkpoint", "revision", "libraries", "canary"):
            del facts[note]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Recipe:
        """The inverse of ``to_dict``, from JSON.

        Raises:
            ValueError, TypeError, KeyError: not a recipe.
        """
        pixels = dict(facts["preprocessing"])
        for name in ("resize", "crop", "mean", "std"):
            if isinstance(pixels[name], list):
                pixels[name] = tuple(pixels[name])
        canary = facts.get("canary")
        if canary is not None:
            canary = Canary(**{**canary, "fingerprint": tuple(canary["fingerprint"])})
        return cls(**{**facts, "preprocessing": PreprocessSettings(**pixels), "canary": canary})

    def differences(self, other: Recipe) -> list[str]:
        """What differs, as ``name: ours, theirs``: for messages."""
        ours, theirs = self.to_dict(), other.to_dict()
        named = (name for name in ours if name != "canary")
        return [f"{name}: {ours[name]!r}, {theirs[name]!r}" for name in named if ours[name] != theirs[name]]
