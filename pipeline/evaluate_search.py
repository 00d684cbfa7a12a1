"""How well questions find their moments: for texts, clips and labelled banks, with intervals."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._answers import Hit
from ._errors import LabelError, UsageError
from ._recipe import Recipe
from ._types import ClipRow, Device, LabelRow, Moment, Span
from .bank import Bank
from .compare import interval, resamples_of
from .examples import Examples, label_rows_of, labelled_examples
from .labels import label_of_clips
from .metrics import average_precision
from .query import Part
from .retrieval import retrieved
from .search import Searcher
from .stored import video_id_of

OVERLAPS = (0.3, 0.5, 0.7)
_AT = (1, 5, 10)
# Right answers further down count as not found.
_MOST_RANKS = 1000
_COLUMNS = ("text", "moment", "label", "path", "start_seconds", "stop_seconds")

Numbers = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Target:
    """Where the answer lies: a stretch of a video, or all of it."""

    video_id: str
    span: Span | None

    def overlap(self, hit: Hit) -> float:
        """Intersection over union in time, in [0, 1]; of a whole video 1."""
        if hit.video_id != self.video_id:
            return 0.0
        if self.span is None:
            return 1.0
        both = min(hit.stop_seconds, self.span.stop_seconds) - max(hit.start_seconds, self.span.start_seconds)
        either = max(hit.stop_seconds, self.span.stop_seconds) - min(hit.start_seconds, self.span.start_seconds)
        return max(0.0, both) / either if either > 0 else 0.0


@dataclasses.dataclass(frozen=True)
class Question:
    """A question whose answers are known.

    Attributes:
        label: the class that answers it, if any class does.
        targets: the stretches that answer it.
        without: videos that may not answer: the one that asks.
        group: what is drawn as a whole for intervals: the group of the asking clip, else that of the first answer;
            for a text that asks for a class the question itself.
    """

    part: Part
    label: str | None
    targets: tuple[Target, ...]
    without: frozenset[str]
    group: str

    def relevant(self, label_of: Mapping[str, str], video_of: Mapping[str, str]) -> int:
        """How many right answers there are to be found."""
        stretches = sum(target.video_id not in self.without for target in self.targets)
        clips = sum(name == self.label and video_of[clip] not in self.without for clip, name in label_of.items())
        return stretches + (clips if self.label is not None else 0)


def evaluate_search(
    *,
    queries: str | Path | None = None,
    bank: str | Path = "bank",
    recipe: str | None = None,
    labels: str | Path | None = None,
    exact: bool = False,
    device: Device = "auto",
    **how: Any,
) -> dict[str, Any]:
    """Put questions with known answers to a bank.

    A CSV of questions has the columns ``text`` or ``moment`` and, as what is right, ``label`` (all clips of that class)
    or ``path`` with optional ``start_seconds`` and ``stop_seconds``; rows of one question add up. Without a CSV each
    labelled clip asks for its class by plain cosine. A clip never finds its own video, nor one of its group.

    Args:
        labels: a CSV or Parquet file of labels; by default the bank's own.
        exact: see ``Searcher``.
        how: ``templates``, ``merge_gap``, ``each_clip``, ``per_video`` and ``rerank`` of ``Searcher.search``.

    Returns:
        ``recall_at_1/5/10`` (the share of questions with a right answer so early), ``map``, ``median_rank``, and where
        stretches are asked for ``moment_recall_at_iou_0.3/0.5/0.7`` (a right answer among the first ten that overlaps
        so much), each with the interval that holds 95% of resamples of whole videos or groups.

    Raises:
        LabelError, UsageError: no question, or none that a stored clip answers.
    """
    store = Bank(Path(bank))
    chosen = store.recipe(recipe)
    rows = label_rows_of(store, None if labels is None else Path(labels))
    if queries is None:
        if exact or any(value is not None and value is not False and value != () for value in how.values()):
            raise UsageError("without --queries clips ask for their class by plain cosine: no other option has a say")
        return _of_labels(labelled_examples(store, chosen, rows), chosen)
    searcher = Searcher(bank, recipe=chosen.id, exact=exact, device=device)
    clips = list(store.clips(chosen.id).rows())
    named = label_of_clips(clips, rows)
    questions = _of_csv(Path(queries), _groups(clips, named))
    label_of = {clip.clip_id: row.label for clip, row in zip(clips, named, strict=True) if row is not None}
    found = [_asked(searcher, question, label_of, **how) for question in questions]
    return _summary(np.array([question.group for question in questions]), _columns(found), chosen)


def _of_labels(examples: Examples, recipe: Recipe) -> dict[str, Any]:
    """Each labelled clip asks for its class."""
    found = retrieved(examples)
    asked = np.isfinite(found.first)
    if not asked.any():
        raise LabelError("no labelled clip has another one of its class in another video or group to be found")
    figures = {f"recall_at_{k}": found.recall(k)[asked] for k in _AT}
    figures |= {"map": found.precision[asked], "median_rank": found.first[asked]}
    return _summary(examples.groups[asked], figures, recipe)


def _groups(clips: Sequence[ClipRow], named: Sequence[LabelRow | None]) -> dict[str, str]:
    """For each video its group, by default itself."""
    groups = {clip.video_id: clip.video_id for clip in clips}
    groups |= {
        clip.video_id: f"group {row.group}"
        for clip, row in zip(clips, named, strict=True)
        if row is not None and row.group
    }
    return groups


def _of_csv(path: Path, groups: Mapping[str, str]) -> list[Question]:
    """The questions of a table, rows of one question together."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the questions in {path}: {error}") from error
    together: dict[tuple[str, str], list[dict[str, str]]] = {}
    for number, row in enumerate(rows, start=2):
        cells = {name: (row.get(name) or "").strip() for name in _COLUMNS}
        asked = ("text", cells["text"]) if cells["text"] else ("clip", cells["moment"])
        if not asked[1] or not (cells["label"] or cells["path"]):
            raise UsageError(
                f"{path}, line {number}: a question has a text or a moment, and as its answer a label or a path; "
                f"known columns are {', '.join(_COLUMNS)}"
            )
        together.setdefault(asked, []).append(cells)
    if not together:
        raise UsageError(f"{path} holds no question")
    return [_question(path, kind, value, rows, groups) for (kind, value), rows in together.items()]


def _question(
    table: Path, kind: str, value: str, rows: Sequence[Mapping[str, str]], groups: Mapping[str, str]
) -> Question:
    part = Part("text", value)
    without: frozenset[str] = frozenset()
    if kind == "clip":
        moment = Moment.parse(value)
        there = moment.path if moment.path.is_absolute() else table.parent / moment.path
        part = Part("clip", str(dataclasses.replace(moment, path=there)))
        own = groups.get(video_id_of(there), video_id_of(there))
        without = frozenset({video_id_of(there), *(name for name, group in groups.items() if group == own)})
    labels = {row["label"] for row in rows if row["label"]}
    if len(labels) > 1:
        raise UsageError(f"{table}: the question {value!r} names several labels: {', '.join(sorted(labels))}")
    targets = []
    for row in rows:
        if row["path"]:
            file = table.parent / row["path"]
            try:
                span = Span(float(row["start_seconds"]), float(row["stop_seconds"])) if row["start_seconds"] else None
            except ValueError as error:
                raise UsageError(f"{table}: the stretch of {row['path']} cannot be read: {error}") from error
            targets.append(Target(video_id_of(file), span))
    asking = next(iter(without), targets[0].video_id if targets else value)
    return Question(part, next(iter(labels), None), tuple(targets), without, groups.get(asking, asking))


def _asked(searcher: Searcher, question: Question, label_of: Mapping[str, str], **how: Any) -> dict[str, float]:
    """The figures of one question."""
    if question.label is not None and how.get("merge_gap") is None:
        how["each_clip"] = True  # clips are what is counted
    hits = searcher.search([question.part], k=_MOST_RANKS, without=question.without, **how)
    overlaps = [max((target.overlap(hit) for target in question.targets), default=0.0) for hit in hits]
    wanted = {number for number, target in enumerate(question.targets) if target.video_id not in question.without}
    right = np.zeros(len(hits), np.bool_)
    for place, hit in enumerate(hits):
        reached = {number for number in wanted if question.targets[number].overlap(hit) > 0}
        wanted -= reached  # a stretch that was found once is no more news
        right[place] = bool(reached) or (question.label is not None and label_of.get(hit.clip_id) == question.label)
    relevant = question.relevant(label_of, searcher.video_of)
    figures = {f"recall_at_{k}": float(right[:k].any()) for k in _AT}
    figures["map"] = average_precision(right) * right.sum() / max(relevant, right.sum()) if right.any() else 0.0
    figures["median_rank"] = float(1 + right.argmax()) if right.any() else float(_MOST_RANKS + 1)
    if any(target.span is not None for target in question.targets):
        best = max(overlaps[: max(_AT)], default=0.0)
        figures |= {f"moment_recall_at_iou_{least}": float(best >= least) for least in OVERLAPS}
    return figures


def _columns(found: Sequence[Mapping[str, float]]) -> dict[str, Numbers]:
    """By figure, (questions,); nan for those that do not have it."""
    names = dict.fromkeys(name for one in found for name in one)
    return {name: np.array([one.get(name, np.nan) for one in found]) for name in names}


def _summary(groups: npt.NDArray[np.str_], figures: Mapping[str, Numbers], recipe: Recipe) -> dict[str, Any]:
    """Means, or the median of ranks, with intervals."""
    resamples = resamples_of(groups)
    result: dict[str, Any] = {"recipe": recipe.id, "encoder": recipe.encoder, "queries": len(groups)}
    intervals: dict[str, list[float]] = {}
    for name, values in figures.items():
        middle = np.nanmedian if name == "median_rank" else np.nanmean
        drawn = [middle(values[rows]) for rows in resamples if np.isfinite(values[rows]).any()]
        result[name] = float(middle(values))
        intervals[name] = list(interval(np.array(drawn)))
    return {**result, "intervals": intervals}
