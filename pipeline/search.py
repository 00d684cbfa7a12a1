"""A question -> the stretches of video that answer it.

Texts, clips and pictures become one query vector: each is scaled to length 1 and weighted, and what is not
wanted counts negatively, so a hit's score is the weighted sum of its cosines.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ._answers import Hit
from ._errors import DecodeError, UsageError
from ._recipe import Recipe
from ._types import ClipRow, Device, FloatArray, KeptArray, Moment, Pixels, Span, clip_id
from .bank import Bank
from .clips import WHOLE
from .decoders import read_clips, reading_process
from .encoders import Encoder, encode_prompts, load_for, part_of, text_cosines
from .filters import fulfilled
from .indexing import AUTO, open_index
from .labels import Labels, label_of_clips
from .stored import video_id_of
from .vectors import unit

# How many of the best clips are scored again.
_RERANKED = 100
_RERANKED_PER_HIT = 10

_WEIGHTED = re.compile(r"(?P<value>.+):(?P<weight>\d+(?:\.\d+)?)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a question; a negative weight says what is not wanted."""

    kind: Literal["text", "clip", "image"]
    value: str
    weight: float = 1.0

    @classmethod
    def parse(cls, kind: Literal["text", "clip", "image"], text: str) -> Part:
        """Read ``VALUE`` or ``VALUE:WEIGHT``; a file whose name ends in ``:NUMBER`` wins."""
        match = _WEIGHTED.fullmatch(text)
        # "the clock shows 12:30" is a time of day, not a weight.
        clock = kind == "text" and match is not None and match["value"][-1].isdigit()
        if match is None or clock or (kind != "text" and Path(text).exists()):
            return cls(kind, text)
        return cls(kind, match["value"], float(match["weight"]))

    @classmethod
    def unwanted(cls, text: str) -> Part:
        """What ``--not`` takes: a moment where its file exists, else a text."""
        clip = cls.parse("clip", text)
        part = clip if Moment.parse(clip.value).path.is_file() else cls.parse("text", text)
        return cls(part.kind, part.value, -part.weight)


class Searcher:
    """A bank ready to be asked, again and again, with its encoder and index loaded once.

    Args:
        recipe: id, encoder or checkpoint, where the bank holds several.
        kind: of the index; "auto" is the one that was built last, or one that suits the bank's size.
    """

    def __init__(
        self,
        bank: str | Path = "bank",
        *,
        recipe: str | None = None,
        kind: str = AUTO,
        device: Device = "auto",
    ) -> None:
        self._bank = Bank(Path(bank))
        self.recipe: Recipe = self._bank.recipe(recipe)
        self._device = device
        self._encoder: Encoder | None = None
        self._clips = self._bank.clips(self.recipe.id)
        self._numbers = {name: number for number, name in enumerate(self._clips.ids)}
        self._index = open_index(self._bank, self.recipe, self._clips, encoder=self.encoder, kind=kind)

    def encoder(self) -> Encoder:
        """The encoder of the stored vectors, loaded when first needed: stored clips can be asked for without."""
        if self._encoder is None:
            self._encoder = load_for(self.recipe, device=self._device)
        return self._encoder

    def search(
        self,
        parts: Sequence[Part],
        *,
        k: int = 10,
        where: Sequence[str] = (),
        merge_gap: float | None = None,
        templates: Sequence[str] = (),
        rerank: bool = False,
    ) -> list[Hit]:
        """The ``k`` best stretches, best first.

        Args:
            templates: sentences that texts are put into, such as ``"a video of {}"``; several are averaged.
            rerank: score the best again by the model's full score with the texts, which needs what
                ``extract --keep patches`` stores.
            where: conditions on metadata, ``label`` or a clip's own columns (see ``filters``); all must hold.
                They are applied before ranking, so ``k`` hits come back where ``k`` exist.
            merge_gap: hits of one video at most this many seconds apart become one, with the best one's score;
                None keeps each clip.

        Raises:
            UsageError: nothing is asked for, or a condition that makes no sense.
            EncoderError: a text, for an encoder without a text side.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}")
        query = self._query(parts, templates)
        allowed = None
        if where:
            rows = list(self._clips.rows([self._numbers[name] for name in self._index.ids]))
            labels = label_of_clips(rows, Labels(self._bank.folder).rows())
            allowed = fulfilled(rows, [None if label is None else label.label for label in labels], where)
        fetched = max(_RERANKED, _RERANKED_PER_HIT * k) if rerank else k if merge_gap is None else len(self._index)
        (found,) = self._index.search(query[None], k=fetched, allowed=allowed)
        if rerank:
            found = self._reranked(parts, [name for name, _ in found], templates)[: k if merge_gap is None else None]
        rows = list(self._clips.rows([self._numbers[name] for name, _ in found]))
        hits = [_hit(row, score) for row, (_, score) in zip(rows, found, strict=True)]
        if merge_gap is not None:
            hits = merge(hits, gap_seconds=merge_gap, k=k)
        return [dataclasses.replace(hit, rank=rank) for rank, hit in enumerate(hits[:k], start=1)]

    def _reranked(self, parts: Sequence[Part], ids: Sequence[str], templates: Sequence[str]) -> list[tuple[str, float]]:
        """The same clips by the model's full score with the texts; other parts of the question count as before."""
        if not any(part.kind == "text" for part in parts):
            raise UsageError("--rerank scores clips against texts again, and there is no text in this question")
        patches = stored_patches(self._bank, self.recipe, ids)
        vectors = self._clips.embeddings([self._numbers[name] for name in ids])
        scores = np.zeros(len(ids), np.float32)
        for part in parts:
            if part.kind == "text":
                cosines = text_cosines(self.encoder(), vectors, [part.value], templates=templates, patches=patches)
                scores += part.weight * cosines[:, 0]
            else:
                scores += part.weight * (unit(vectors) @ unit(self._clip_vector(part)[None])[0])
        return [(ids[number], float(scores[number])) for number in np.argsort(-scores, kind="stable")]

    def _query(self, parts: Sequence[Part], templates: Sequence[str]) -> FloatArray:
        if not parts:
            raise UsageError("nothing is asked for: give a TEXT, --text, --clip or --image")
        query = np.zeros(self._index.dim, np.float32)
        for part in parts:
            if part.kind == "text":
                vector = encode_prompts(self.encoder(), [part.value], templates)[0]
                query[-len(vector) :] += part.weight * vector  # the text's space is the last part of a row
            else:
                vector = unit(self._clip_vector(part)[None])[0]
                query[: len(vector)] += part.weight * vector
        return query

    def _clip_vector(self, part: Part) -> FloatArray:
        """The stored vector of a moment, or one encoded now."""
        if part.kind == "image":
            with reading_process() as process:
                frame = self._prepared(process.image(Path(part.value)))
            return self._encoded(np.stack([frame] * self.recipe.num_frames))
        moment = Moment.parse(part.value)
        with reading_process() as process, process.open(moment.path, decoder=self.recipe.decoder) as video:
            # The whole of it is one clip, whatever its length: it is one question.
            (clip,) = WHOLE.clips(video.info.span, num_frames=self.recipe.num_frames, within=moment.span)
            stored = self._stored_vector(moment.path, clip.span)
            if stored is not None:
                return stored
            (result,) = read_clips(video, [clip], transform=self._prepared)
        if result.pixels is None:
            raise DecodeError(f"{result.lost} of {len(clip.times)} frames of {moment} cannot be decoded")
        return self._encoded(result.pixels)

    def _stored_vector(self, path: Path, span: Span) -> FloatArray | None:
        number = self._numbers.get(clip_id(video_id_of(path), span))
        if number is None:
            return None
        vector: FloatArray = self._clips.embeddings([number])[0]
        return vector

    def _prepared(self, frame: Pixels) -> Pixels:
        prepared: Pixels = self.encoder().prepare(frame[None])[0]
        return prepared

    def _encoded(self, frames: Pixels) -> FloatArray:
        vector: FloatArray = self.encoder().encode(frames[None])[0]
        return vector


def search(
    text: str | None = None,
    *,
    texts: Sequence[str] = (),
    clips: Sequence[str] = (),
    images: Sequence[str] = (),
    unwanted: Sequence[str] = (),
    bank: str | Path = "bank",
    recipe: str | None = None,
    k: int = 10,
    where: Sequence[str] = (),
    merge_gap: float | None = None,
    templates: Sequence[str] = (),
    rerank: bool = False,
    device: Device = "auto",
) -> list[Hit]:
    """Ask a bank once; see ``Searcher`` for asking it again and again.

    Args:
        text, texts: what is to be seen, in words; ``"a dog:0.5"`` weighs half.
        clips: moments ``FILE@START-STOP`` to find the like of.
        images: picture files to find the like of.
        unwanted: texts or moments to stay away from.
        k, where, merge_gap, templates, rerank: see ``Searcher.search``.
    """
    parts = [Part.parse("text", value) for value in ([text] if text else []) + list(texts)]
    parts += [Part.parse("clip", value) for value in clips]
    parts += [Part.parse("image", value) for value in images]
    parts += [Part.unwanted(value) for value in unwanted]
    searcher = Searcher(bank, recipe=recipe, device=device)
    return searcher.search(parts, k=k, where=where, merge_gap=merge_gap, templates=templates, rerank=rerank)


def stored_patches(bank: Bank, recipe: Recipe, ids: Sequence[str]) -> KeptArray:
    """What the full score of these clips with texts needs beside their vectors, (n, patches, dim).

    Raises:
        UsageError: the encoder has no such score, or some clips were stored without.
    """
    if "patches" not in part_of(recipe).keeps:
        raise UsageError(f"{recipe.encoder} has no finer score with texts than its cosine: leave out --rerank")
    exact = bank.kept(recipe.id, "patches")
    half = bank.kept(recipe.id, "patches-half")
    # One kind for all, so that their scores compare: the finer one unless only the other has them all.
    return (half if set(ids) <= half.ids and not set(ids) <= exact.ids else exact).read(ids)


def merge(hits: Sequence[Hit], *, gap_seconds: float, k: int) -> list[Hit]:
    """The best clips, those of one video that overlap or lie at most ``gap_seconds`` apart as one range.

    Clips are taken best first; each joins the ranges it touches or opens a new one, until another one would
    open the range after the ``k``-th. A range has the clip and the score of its best.
    """
    if gap_seconds < 0:
        raise UsageError(f"a gap cannot be negative: {gap_seconds}")
    ranges: list[Hit] = []  # best first, because they open in this order and keep their best clip
    for hit in hits:
        touched = [
            one
            for one in ranges
            if one.video_id == hit.video_id
            and max(one.start_seconds - hit.stop_seconds, hit.start_seconds - one.stop_seconds) <= gap_seconds
        ]
        if not touched:
            if len(ranges) == k:
                break
            ranges.append(hit)
            continue
        joined = dataclasses.replace(
            touched[0],
            start_seconds=min(hit.start_seconds, *(one.start_seconds for one in touched)),
            stop_seconds=max(hit.stop_seconds, *(one.stop_seconds for one in touched)),
        )
        ranges = [joined if one is touched[0] else one for one in ranges if one not in touched[1:]]
    return ranges


def _hit(row: ClipRow, score: float) -> Hit:
    return Hit(
        rank=0,
        score=score,
        video=row.video,
        video_id=row.video_id,
        start_seconds=row.start_seconds,
        stop_seconds=row.stop_seconds,
        clip_id=row.clip_id,
        metadata=row.metadata,
    )
