"""Which clips to label next."""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from ...classification.class_learner import ClassLearner
from ...classification.separation import Separation, Share
from ...classification.suggest import as_words, suggestions
from ...classification.suggest_options import Feed, SuggestOptions
from ...core.errors import EncoderError
from ...core.types import ClipRow, FloatArray
from ...retrieval.search_options import SearchOptions
from ...retrieval.searcher import Searcher
from ..state import Studio, StudioOf
from .clips import Clip, as_clips

router = APIRouter(tags=["suggestions"])

# Classes of which the cosines of all clips with the name are kept.
_MOST_TEXTS = 8


@dataclasses.dataclass(frozen=True)
class Figure:
    """A share and its 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, share: Share) -> Figure:
        """From what was measured."""
        return cls(*share)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """How well the class is told from the rest, cross-validated: on labelled clips of videos and groups that were not
    trained on.
    """

    precision: Figure
    recall: Figure
    average_precision: Figure


@dataclasses.dataclass(frozen=True)
class SuggestedClips:
    """Clips to label for a class, and what is known of it so far; ``estimate`` is null while that is too little."""

    class_name: str
    feed: Feed
    clips: list[Clip]
    feeds: list[str]
    positives: int
    negatives: int
    estimate: Estimate | None
    enough: bool
    notes: list[str]


@router.get("/suggestions")
def suggested(
    studio: StudioOf,
    class_name: Annotated[str, Query(min_length=1, max_length=200)],
    feed: Feed = "mixed",
    count: Annotated[int, Query(ge=1, le=200)] = 24,
) -> SuggestedClips:
    """Learn a class from all labels, as they are now, and choose clips to label next."""
    found = suggestions(_learner(studio), class_name, SuggestOptions(count=count, feed=feed))
    # As they were when they were suggested, whatever became of the bank since.
    rows = [
        ClipRow(one.clip_id, one.video_id, one.video, one.start_seconds, one.stop_seconds, "", (), {}) for one in found
    ]
    return SuggestedClips(
        class_name=class_name,
        feed=feed,
        clips=as_clips(studio, rows, [one.score for one in found]),
        feeds=[one.feed for one in found],
        positives=found.positives,
        negatives=found.negatives,
        estimate=_estimate(found.separation),
        enough=found.separation is not None and found.separation.enough,
        notes=list(found.warnings),
    )


def _estimate(found: Separation | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(Figure.of(found.precision), Figure.of(found.recall), Figure.of(found.average_precision))


def _learner(studio: Studio) -> ClassLearner:
    """The learner for the clips that the bank has now."""
    workspace = studio.workspace
    version = workspace.opened.version
    with studio.learning:
        held = studio.learners.get(version)
        if held is None:
            searcher = workspace.searcher
            by_text = functools.lru_cache(_MOST_TEXTS)(lambda class_name: _by_text(searcher, as_words(class_name)))
            held = ClassLearner(workspace.bank, workspace.recipe, text_cosines=by_text, vectors=searcher)
            studio.learners.clear()
            studio.learners[version] = held
        return held


def _by_text(searcher: Searcher, text: str) -> FloatArray | None:
    """The cosine of each clip with a text, (n,); None for an encoder that reads no text."""
    try:
        numbers, scores = searcher.ranking(text, options=SearchOptions(k=max(1, len(searcher.clips))))
    except EncoderError:
        return None
    cosines = np.full(len(searcher.clips), scores.min() if len(scores) else 0.0, np.float32)
    cosines[numbers] = scores
    return cosines
