"""What every encoder is."""

from __future__ import annotations

import abc
import copy
import dataclasses
import importlib.util
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ..core.arguments import as_list
from ..core.errors import EncoderError
from ..core.recipe import Canary, Recipe
from ..core.registry import Registry
from ..core.types import FloatArray, Keep, Pixels
from ..sources.sampling import Sampling
from ._card import (
    Card,
    Classifier,
    EncoderInput,
    Facts,
    Features,
    NearestName,
    Output,
    check_clips,
    check_keep,
    checked_features,
    libraries,
)
from ._runtime.settings import RunSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ._checkpoint import Checkpoint


class Encoder(abc.ABC):
    """A frozen encoder, ready to run; ``replaced`` gives a changed copy. Subclasses load a model, run and pool it.

    Attributes:
        sampling: which frames of a clip it gets.
        run: how a forward pass is computed.
        canary: fingerprint of the canary clip, once the encoder was loaded.
        poolings: ways to make one vector of a clip, by the name a user types, in the words that the recipe
            keeps. Which one is the default is the checkpoint's affair (see ``load``).
        keeps: what ``--keep`` can store beside the vectors.
        needs: modules that this file imports and a plain installation does not have.
        text_space_dim: numbers of a text's vector if ``text_space`` leads to a space of its own.
    """

    card: ClassVar[Card]
    poolings: ClassVar[Mapping[str, str]]
    keeps: ClassVar[tuple[Keep, ...]] = ("frames",)
    needs: ClassVar[tuple[str, ...]] = ()
    text_space_dim: ClassVar[int | None] = None

    def __init__(self, facts: Facts, *, device: str) -> None:
        self.facts = facts
        self.sampling = Sampling(facts.num_frames, facts.frames_per_second)
        self.device = device
        self.run = RunSettings()
        self.canary: Canary | None = None
        (self._pooling,) = (name for name, words in self.poolings.items() if words == facts.pooling)

    def replaced(self, *, run: RunSettings | None = None, canary: Canary | None = None) -> Self:
        """A copy that shares the network and runs it by other settings, or has another canary."""
        other = copy.copy(self)
        other.run = run or self.run
        other.canary = canary or self.canary
        return other

    @classmethod
    def packaged(cls) -> Checkpoint | None:
        """The weights that come with the installation, for encoders that have such."""
        return None

    @classmethod
    def find(cls, name: str) -> Checkpoint:
        """The checkpoint of this name: a folder, a Hub id, or a file that ``reads_file`` says yes to.

        Raises:
            EncoderError: it cannot be had.
        """
        from ._checkpoint import fetch

        return fetch(name)

    @classmethod
    def reads_file(cls, name: str) -> bool:  # noqa: ARG003 -- subclasses use it
        """Whether this is the name or path of a weights file as this encoder's authors publish it."""
        return False

    @classmethod
    def cached(cls) -> bool:
        """Whether the default checkpoint was fetched before. Asks no hub."""
        from ._checkpoint import is_cached

        return is_cached(cls.card.default_checkpoint)

    @classmethod
    def missing(cls) -> str | None:
        """What has to be installed before this encoder can be used, as a sentence; None where nothing."""
        absent = [name for name in cls.needs if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        return f"this encoder needs {', '.join(absent)}: pip install 'clipdex[{cls.card.extra}]'"

    @classmethod
    def input_of(cls, checkpoint: Checkpoint, *, num_frames: int | None) -> EncoderInput | None:  # noqa: ARG003
        """What ``load`` will say that it takes, where that can be told sooner: videos are read meanwhile."""
        return None

    @classmethod
    @abc.abstractmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None, pooling: str | None) -> Self:
        """Load weights; ``num_frames`` and ``pooling`` are None for the checkpoint's own.

        Raises:
            EncoderError: missing or unexpected weights, or a frame count the checkpoint cannot take.
        """

    @classmethod
    def _pooled(cls, wanted: str | None, default: str, *, possible: Collection[str] | None = None) -> str:
        """The recipe's words for the requested pooling, or for the default.

        Args:
            possible: the names this checkpoint can do, by default all.
        """
        name = wanted or default
        possible = cls.poolings if possible is None else possible
        if name not in possible:
            part = encoders.name_of(cls) or cls.__name__
            raise EncoderError(f"{part} cannot pool by {name!r} here; it can by: {', '.join(possible)}")
        return cls.poolings[name]

    @abc.abstractmethod
    def _forward(self, pixels: Tensor) -> Output:
        """(n, t, 3, h, w) normalised -> vectors (n, dim) and what they were pooled from."""

    def other_engine(self) -> Literal["openvino"] | None:
        """An engine that may run this network faster than torch, ready to run; None where there is none."""
        return None

    @property
    def input(self) -> EncoderInput:
        """What it takes of a clip."""
        return EncoderInput(self.sampling, self.facts.preprocessing)

    @property
    def name(self) -> str:
        """The name a user types; the full name of a class that no name leads to."""
        return encoders.name_of(type(self)) or f"{type(self).__module__}.{type(self).__qualname__}"

    def prepare(self, frames: Pixels) -> Pixels:
        """Decoded frames, (t, h, w, 3) uint8, to the model's size, (t, 3, size, size) uint8."""
        return self.input.prepare(frames)

    def encode(self, pixels: Pixels | Sequence[Pixels]) -> FloatArray:
        """Prepared clips, (n, t, 3, size, size) uint8, to (n, dim) float32, not normalised to length 1.

        Clips of unequal length, for encoders that take frames at a rate, come as a list.

        Raises:
            EncoderError: wrong shape, or a vector that is constant or not finite.
        """
        return self.features(pixels).vectors

    def features(self, pixels: Pixels | Sequence[Pixels], *, keep: Keep | Collection[Keep] = ()) -> Features:
        """``encode``, with the further features of each clip that ``keep`` names (see ``Output``).

        Args:
            keep: "frames", in half precision; "patches", in single or, as "patches-half", in half precision.

        Raises:
            EncoderError: also where this encoder has no such thing, or half precision cannot hold it.
        """
        return self.submit(pixels, keep=keep)()

    @property
    def is_asynchronous(self) -> bool:
        """Whether ``submit`` comes back before the work is done: several batches can be under way."""
        return self.device == "cuda"

    def submit(
        self, pixels: Pixels | Sequence[Pixels], *, keep: Keep | Collection[Keep] = ()
    ) -> Callable[[], Features]:
        """``features`` in two steps: what is called then waits for the work and gives the features.

        Raises:
            EncoderError: see ``features``; what is wrong with the vectors shows in the second step.
        """
        from ._runtime.forward import start_forward

        facts = self.facts
        keep = as_list(keep)
        check_keep(self.name, self.keeps, keep)
        check_clips(pixels, facts, what=f"{self.name} ({facts.checkpoint})")
        arrays = start_forward(
            self._forward,
            pixels,
            ("vectors", *keep),
            settings=self.run,
            device=self.device,
            pixel_settings=facts.preprocessing,
        )
        what, shape = f"{self.name} ({facts.checkpoint})", (len(pixels), facts.dim)
        return lambda: checked_features(arrays(), keep, shape=shape, what=what)

    def encode_text(self, texts: str | Sequence[str]) -> FloatArray:  # noqa: ARG002 -- subclasses use it
        """Texts to (n, text_dim) float32, to be compared by cosine with ``text_space`` of clips.

        Raises:
            EncoderError: this encoder has no text side.
        """
        raise EncoderError(
            f"{self.name} cannot compare text with video: it has no text tower. Search by a clip, or extract "
            "with an encoder that has one (clipdex encoders lists them)"
        )

    def text_space(self, embeddings: FloatArray) -> FloatArray:
        """Stored vectors, (n, dim), in the space where text lives, (n, text_dim); the same for two towers."""
        return embeddings

    @classmethod
    def shares_text_space(cls) -> bool:
        """Whether text and clips lie in one space (``text_space`` changes nothing)."""
        return cls.text_space is Encoder.text_space

    def nearest_names(self, texts: str | Sequence[str]) -> list[NearestName]:  # noqa: ARG002 -- subclasses use it
        """For each text the nearest name that it has for what it sees; empty for an encoder without such names."""
        return []

    def exact_cosines(
        self,
        embeddings: FloatArray,  # noqa: ARG002 -- subclasses use them
        patches: npt.NDArray[np.floating],  # noqa: ARG002
        text: FloatArray,  # noqa: ARG002
    ) -> FloatArray:
        """The model's full score of each clip with each text, (n, texts), as a cosine.

        Args:
            embeddings: stored vectors, (n, dim).
            patches: what ``--keep patches`` stored beside them, (n, patches, dim).
            text: vectors of texts from ``encode_text``, (texts, dim).

        Raises:
            EncoderError: the cosine of the stored vectors is the full score already.
        """
        raise EncoderError(f"{self.name} has no finer score to rerank by: the cosine is what it has")

    @property
    def classifier(self) -> Classifier | None:
        """The checkpoint's own classifier on top of these vectors, where it has one."""
        return None

    @property
    def caution(self) -> str | None:
        """What everybody who uses its vectors should know, if anything."""
        return None

    @property
    def notes(self) -> str | None:
        """The caution, and what half precision costs."""
        run = self.run
        moved = f"{run.precision} moves its vectors by {run.precision_drift:.1%} of their length (on a test clip)"
        if run.computes_in != run.precision:
            moved = f"{run.precision} does not run here, so new vectors are computed in {run.computes_in}"
        return "; ".join(filter(None, [self.caution, moved if run.precision != "float32" else None])) or None

    @property
    def text_scale(self) -> float:
        """What cosines between clips and texts are multiplied by before a softmax over classes."""
        return 100.0  # CLIP's trained temperature at its bound

    @property
    def pooling(self) -> str:
        """The name of the pooling in use."""
        return self._pooling

    def recipe(self, *, decoder: str) -> Recipe:
        """How vectors made by this encoder from frames of that decoder come about."""
        facts = dataclasses.asdict(self.facts)
        del facts["image_size"], facts["frames_per_second"]
        return Recipe(
            **{**facts, "preprocessing": self.facts.preprocessing},
            encoder=self.name,
            sampling=self.sampling.name,
            precision=self.run.precision,
            decoder=decoder,
            libraries=libraries(),
            canary=self.canary,
        )


encoders: Registry[Encoder] = Registry("pipeline.encoders", Encoder, kind="encoder")  # type: ignore[type-abstract]
