"""A question in parts -> one query vector.

Texts, clips and pictures are scaled to length 1 and weighted, and what is not wanted counts negatively, so a clip's
score is the weighted sum of its cosines with the parts. Feedback works the same way: hits that were right pull the
question towards them and wrong ones push it away (Rocchio 1971), by default with these weights, shared among them.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ..bank.clip_table import ClipTable
from ..core.arguments import check_choice
from ..core.errors import DecodeError, UsageError
from ..core.files import name_of
from ..core.recipe import Recipe
from ..core.types import FloatArray, Moment, Pixels, Span, clip_id
from ..core.vectors import unit
from ..decoders import read_clips, reading_process
from ..encoders import Encoder, encode_prompts
from ..extraction.resume import known_video_id
from ..sources.sampling import WHOLE, Sampling

MORE_LIKE, LESS_LIKE = 0.75, 0.25

_WEIGHTED = re.compile(r"(?P<value>.+):(?P<weight>\d+(?:\.\d+)?)", re.DOTALL)
_FEWEST_LETTERS = 4

Kind = Literal["text", "clip", "image", "hit"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a question; a negative weight says what is not wanted.

    Attributes:
        value: a text, a moment, a picture's file, or a stored clip's id (its first letters will do).

    Raises:
        UsageError: an unknown kind.
    """

    kind: Kind
    value: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_choice("kind of part", self.kind, Kind)

    @classmethod
    def parse(cls, kind: Kind, text: str) -> Part:
        """Read ``VALUE`` or ``VALUE:WEIGHT``; a file whose name ends in ``:NUMBER`` wins."""
        match = _WEIGHTED.fullmatch(text)
        # "the clock shows 12:30" is a time of day, not a weight.
        clock = kind == "text" and match is not None and match["value"][-1].isdigit()
        if match is None or clock or (kind != "text" and os.path.exists(text)):  # noqa: PTH110 -- see ``_is_moment``
            return cls(kind, text)
        return cls(kind, match["value"], float(match["weight"]))

    @classmethod
    def unwanted(cls, text: str) -> Part:
        """What ``--not`` takes: a moment where its file exists, else a text."""
        clip = cls.parse("clip", text)
        part = clip if _is_moment(clip.value) else cls.parse("text", text)
        return cls(part.kind, part.value, -part.weight)

    @classmethod
    def feedback(cls, more: Sequence[str], less: Sequence[str]) -> list[Part]:
        """What ``--more-like`` and ``--less-like`` take: ids of hits, or moments."""
        parts = []
        for values, weight in ((more, MORE_LIKE), (less, -LESS_LIKE)):
            for text in values:
                given = cls.parse("hit", text)
                kind: Kind = "clip" if _is_moment(given.value) else "hit"
                plain = given.value == text
                parts.append(cls(kind, given.value, weight / len(values) if plain else np.sign(weight) * given.weight))
        return parts

    @property
    def words(self) -> str:
        """For people."""
        plain = {"text": f"“{self.value}”", "hit": f"like clip {self.value}"}
        text = plain.get(self.kind, f"like {name_of(Path(self.value).name)}")
        return f"not {text}" if self.weight < 0 else text


def _is_moment(text: str) -> bool:
    # Path's own raises an error for texts that are too long for a name.
    return os.path.isfile(Moment.parse(text).path)  # noqa: PTH113


class QueryEncoder:
    """Parts of questions as vectors in the space of a bank's index.

    Args:
        encoder: called only where a part has to be encoded.
    """

    def __init__(self, recipe: Recipe, clips: ClipTable, encoder: Callable[[], Encoder], *, dim: int) -> None:
        self._recipe = recipe
        self._clips = clips
        self._encoder = encoder
        self._dim = dim
        self.numbers = {name: number for number, name in enumerate(clips.ids)}

    def vector(self, part: Part, templates: str | Sequence[str] = ()) -> FloatArray:
        """(dim,), of length 1, without the weight; nothing where it does not speak: a text's space is the last part of
        a row, a clip's the first.
        """
        found = np.zeros(self._dim, np.float32)
        if part.kind == "text":
            vector = encode_prompts(self._encoder(), [part.value], templates)[0]
            found[-len(vector) :] = vector
        else:
            vector = unit(self.clip_vector(part)[None])[0]
            found[: len(vector)] = vector
        return found

    def clip_vector(self, part: Part) -> FloatArray:
        """What the encoder gives for a clip or picture, (recipe.dim,): stored, or encoded now."""
        if part.kind == "hit":
            return self._of_hit(part.value)
        if part.kind == "image":
            with reading_process() as process:
                frame = self._prepared(process.image(Path(part.value)))
            return self._encoded(np.stack([frame] * self._recipe.num_frames))
        moment = Moment.parse(part.value)
        with reading_process() as process, process.open(moment.path, decoder=self._recipe.decoder) as video:
            # The whole of it is one clip, whatever its length: it is one question.
            (clip,) = WHOLE.clips(video.info.span, sampling=Sampling.of_recipe(self._recipe), within=moment.span)
            stored = self._stored(moment.path, clip.span)
            if stored is not None:
                return stored
            (result,) = read_clips(video, [clip], transform=self._prepared)
        if result.pixels is None:
            raise DecodeError(f"{result.lost} of {len(clip.times)} frames of {moment} cannot be decoded")
        return self._encoded(result.pixels)

    def _of_hit(self, name: str) -> FloatArray:
        fitting = [number for one, number in self.numbers.items() if one.startswith(name)]
        if len(fitting) != 1 or len(name) < _FEWEST_LETTERS:
            raise UsageError(
                f"{name!r} is neither a file nor the clip_id of one stored clip ({len(fitting)} begin like this); "
                "search prints clip_id with --json, and its first letters will do"
            )
        vector: FloatArray = self._clips.embeddings(fitting)[0]
        return vector

    def _stored(self, path: Path, span: Span) -> FloatArray | None:
        number = self.numbers.get(clip_id(known_video_id(path), span))
        if number is None:
            return None
        vector: FloatArray = self._clips.embeddings([number])[0]
        return vector

    def _prepared(self, frame: Pixels) -> Pixels:
        prepared: Pixels = self._encoder().prepare(frame[None])[0]
        return prepared

    def _encoded(self, frames: Pixels) -> FloatArray:
        vector: FloatArray = self._encoder().encode(frames[None])[0]
        return vector
