"""A question in parts -> one query vector.

Texts, clips and pictures are scaled to length 1 and weighted, and what is not wanted counts negatively, so a clip's
score is the weighted sum of its cosines with the parts. Feedback works the same way: hits that were right pull the
question towards them and wrong ones push it away (Rocchio 1971), by default with these weights, shared among them.
"""

from __future__ import annotations

import dataclasses
import mimetypes
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Union

import numpy as np

from ..bank.clip_table import ClipTable
from ..core.arguments import as_list, check_choice
from ..core.errors import DecodeError, UsageError
from ..core.files import name_of
from ..core.input_files import kind_of
from ..core.predicates import OneOf, Predicate
from ..core.recipe import Recipe
from ..core.results import Hit
from ..core.types import FloatArray, Moment, Pixels, Span, clip_id
from ..core.vectors import unit
from ..decoders import read_clips, reading_process
from ..encoders import Encoder, encode_prompts
from ..extraction.resume import known_video_id
from ..sources.sampling import WHOLE, Sampling
from .query_frames import Frames, holds_frames

if TYPE_CHECKING:
    from PIL.Image import Image

MORE_LIKE, LESS_LIKE = 0.75, 0.25

_WEIGHTED = re.compile(r"(?P<value>.+):(?P<weight>\d+(?:\.\d+)?)", re.DOTALL)
_FEWEST_LETTERS = 4

Kind = Literal["text", "clip", "image", "hit"]

_GIVEN_AS: dict[Kind, str] = {
    "text": "give a string",
    "clip": "give a moment FILE@START-STOP, a Path, a Moment, a Hit, a clip's id, or frames (t, h, w, 3)",
    "image": "give a file, a PIL image, or an array (h, w, 3)",
    "hit": "give a Hit or its clip_id",
}


# One part of a query: a text, a moment or file, a hit, a PIL image, or an array of uint8 RGB frames, (h, w, 3) for a
# picture and (t, h, w, 3) for a clip.
QueryValue = Union[str, Path, Moment, Hit, Pixels, "Image", Frames, "Part"]


@dataclasses.dataclass(frozen=True, init=False)
class Part:
    """One part of a question; a negative weight says what is not wanted.

    Attributes:
        value: a text; a moment, a file or a stored clip's id (its first letters will do); a hit; or frames in memory,
            as a PIL image or an array of uint8 RGB, (h, w, 3) or (t, h, w, 3).
        is_feedback: whether it is feedback on a hit, which then may come again, as a clip to look for may not.

    Raises:
        UsageError: an unknown kind, or a value that it cannot have.

    Example:
        >>> Part.parse("text", "a dog:0.5")
        Part(kind='text', value='a dog', weight=0.5)
    """

    kind: Kind
    value: str | Moment | Frames
    weight: float = 1.0
    is_feedback: bool = dataclasses.field(default=False, repr=False, compare=False)

    def __init__(self, kind: Kind, value: QueryValue, weight: float = 1.0, *, is_feedback: bool = False) -> None:
        check_choice("kind of part", kind, Kind)
        kind, held = _held(kind, value)
        for name, given in (("kind", kind), ("value", held), ("weight", weight), ("is_feedback", is_feedback)):
            object.__setattr__(self, name, given)

    @classmethod
    def of(cls, value: QueryValue, weight: float = 1.0) -> Part:
        """The part that a value means by itself: a string is a text (``"a dog:0.5"`` weighs half), a path a picture or
        a video by its name, and a part is itself, its weight multiplied by this one.

        Raises:
            UsageError: it means none.
        """
        if isinstance(value, str):
            value = cls.parse("text", value)
        if isinstance(value, Part):
            return dataclasses.replace(value, weight=value.weight * weight)
        if isinstance(value, Path):
            named = (mimetypes.guess_type(value.name)[0] or "").startswith("image/") and value.suffix.lower() != ".gif"
            return cls("image" if named else "clip", value, weight)
        if holds_frames(value) or isinstance(value, Moment | Hit):
            return cls("clip", value, weight)
        raise UsageError(
            f"{value!r} is no part of a query: give a text, a path, a Moment, a Hit, a PIL image, an array of frames "
            "or a Part"
        )

    @classmethod
    def parse(cls, kind: Kind, text: str) -> Part:
        """Read ``VALUE`` or ``VALUE:WEIGHT``; a file whose name ends in ``:NUMBER`` wins."""
        match = _WEIGHTED.fullmatch(text)
        # "the clock shows 12:30" is a time of day, not a weight.
        clock = kind == "text" and match is not None and match["value"][-1].isdigit()
        if match is None or clock or (kind != "text" and kind_of(Path(text)) is not None):
            return cls(kind, text)
        return cls(kind, match["value"], float(match["weight"]))

    @classmethod
    def unwanted(cls, value: QueryValue) -> Part:
        """What hits should differ from; a string is a moment if its file exists, else a text."""
        if isinstance(value, str) and _is_moment((clip := cls.parse("clip", value)).value):
            value = clip
        return cls.of(value, -1.0)

    @classmethod
    def feedback(cls, more: Sequence[QueryValue], less: Sequence[QueryValue]) -> list[Part]:
        """Hits that were right and wrong; strings are ids of clips, or moments if their file exists."""
        parts = []
        for values, weight in ((more, MORE_LIKE), (less, -LESS_LIKE)):
            for value in values:
                if isinstance(value, str):
                    given = cls.parse("hit", value)
                    kind: Kind = "clip" if _is_moment(given.value) else "hit"
                    plain = given.value == value
                    own = weight / len(values) if plain else np.sign(weight) * given.weight
                    parts.append(cls(kind, given.value, own, is_feedback=True))
                else:
                    parts.append(dataclasses.replace(cls.of(value, weight / len(values)), is_feedback=True))
        return parts

    @property
    def words(self) -> str:
        """For people."""
        if isinstance(self.value, Frames):
            text = "like a given picture" if self.value.is_image else "like a given clip"
        else:
            plain = {"text": f"“{self.value}”", "hit": f"like clip {self.value}"}
            text = plain.get(self.kind, f"like {name_of(Path(str(self.value)).name)}")
        return f"not {text}" if self.weight < 0 else text


def _held(kind: Kind, value: QueryValue) -> tuple[Kind, str | Moment | Frames]:
    """What a part of this kind holds for a value, and its kind: a hit given as a clip is a hit.

    Raises:
        UsageError: such a part holds no such value.
    """
    if isinstance(value, str):
        return kind, value
    if isinstance(value, Hit) and kind in ("clip", "hit"):
        return "hit", value.clip_id
    if kind == "clip" and isinstance(value, Path | Moment):
        return kind, Moment(value) if isinstance(value, Path) else value
    if kind == "image" and isinstance(value, Path):
        return kind, str(value)
    if kind in ("clip", "image") and (isinstance(value, Frames) or holds_frames(value)):
        frames = value if isinstance(value, Frames) else Frames.of(value)
        if frames.is_image or kind == "clip":
            return ("image" if frames.is_image else "clip"), frames
    raise UsageError(f"the {kind} of a query cannot be given as a {type(value).__name__}: {_GIVEN_AS[kind]}")


def query_parts(question: QueryValue | Iterable[QueryValue]) -> list[Part]:
    """The parts of a query; a single value is one part (see ``Part.of``)."""
    return [Part.of(value) for value in several(question)]


def parts_of(kind: Kind, values: QueryValue | Iterable[QueryValue]) -> list[Part]:
    """Parts of one kind; strings may carry a weight, ``VALUE:WEIGHT``."""
    return [
        value if isinstance(value, Part) else Part.parse(kind, value) if isinstance(value, str) else Part(kind, value)
        for value in several(values)
    ]


def several(values: QueryValue | Iterable[QueryValue]) -> list[QueryValue]:
    """The values as a list; a picture or an array of frames is one value."""
    return [values] if holds_frames(values) else as_list(values)  # type: ignore[list-item]


def _is_moment(text: object) -> bool:
    return kind_of(Moment.parse(str(text)).path) == "file"


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
            vector = encode_prompts(self._encoder(), [str(part.value)], templates)[0]
            found[-len(vector) :] = vector
        else:
            vector = unit(self.clip_vector(part)[None])[0]
            found[: len(vector)] = vector
        return found

    def clip_vector(self, part: Part) -> FloatArray:
        """What the encoder gives for a clip or picture, (recipe.dim,): stored, or encoded now."""
        if isinstance(part.value, Frames):
            return self._encoded(self._encoder().prepare(part.value.sampled(Sampling.of_recipe(self._recipe))))
        if part.kind == "hit":
            return self._of_hit(str(part.value))
        if part.kind == "image":
            with reading_process() as process:
                frame = self._prepared(process.image(Path(str(part.value))))
            return self._encoded(np.stack([frame] * self._recipe.num_frames))
        moment = Moment.parse(part.value) if isinstance(part.value, str) else part.value
        if kind_of(moment.path) is None and len(self._fitting(str(part.value))) == 1:
            return self._of_hit(str(part.value))
        return self._of_moment(moment)

    def shown(self, part: Part) -> Predicate | None:
        """The stored clips that show something of what a part asks for: of its video, and within its stretch if it has
        one; None for texts, pictures and frames in memory.
        """
        if part.kind not in ("clip", "hit") or isinstance(part.value, Frames):
            return None
        moment = Moment.parse(part.value) if isinstance(part.value, str) else part.value
        if part.kind == "hit" or kind_of(moment.path) is None:
            (row,) = self._clips.rows(self._fitting(str(part.value)))
            video_id, span = row.video_id, row.span
        elif moment.span is None:
            return OneOf("video_id", frozenset({known_video_id(moment.path)}))
        else:
            video_id, span = known_video_id(moment.path), moment.span
        rows = self._clips.rows(self._clips.of_videos({video_id}))
        return OneOf("clip_id", frozenset(row.clip_id for row in rows if row.span.overlap_seconds(span)))

    def _of_moment(self, moment: Moment) -> FloatArray:
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
        fitting = self._fitting(name)
        if len(fitting) != 1:
            raise UsageError(
                f"{name!r} is neither a file nor the clip_id of one stored clip ({len(fitting)} begin like this, which "
                f"takes {_FEWEST_LETTERS} letters or more); every hit has its clip_id"
            )
        vector: FloatArray = self._clips.embeddings(fitting)[0]
        return vector

    def _fitting(self, name: str) -> list[int]:
        """The number of the stored clip of this id, or of those whose ids begin like it; none for too few letters."""
        if name in self.numbers:
            return [self.numbers[name]]
        if len(name) < _FEWEST_LETTERS:
            return []
        return [number for one, number in self.numbers.items() if one.startswith(name)]

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
