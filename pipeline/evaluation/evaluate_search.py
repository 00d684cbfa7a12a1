"""How well questions find their moments: for texts, clips and labelled banks, with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..bank.clip_labels import label_of_clips
from ..classification.dataset import LabelledClips, label_rows_of, labelled_examples
from ..core.arguments import check_choice, options_of
from ..core.errors import LabelError, UsageError
from ..core.recipe import Recipe
from ..core.results import Hit, Report
from ..core.types import ClipRow, Device, LabelRow, Moment, Span
from ..extraction.resume import known_video_id
from ..retrieval.query import Part
from ..retrieval.search_options import RankingKeywords, RankingOptions, SearchOptions
from ..retrieval.searcher import Searcher
from ..sources.tables import read_table, row_path, row_span
from .compare_encoders import interval, resamples_of
from .retrieval_metrics import retrieved

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

    def relevant(self, labelled: Sequence[tuple[str, str]]) -> int:
        """How many right answers there are to be found.

        Args:
            labelled: label and video of each labelled clip.
        """
        stretches = sum(target.video_id not in self.without for target in self.targets)
        return stretches + sum(name == self.label and video not in self.without for name, video in labelled)


@dataclasses.dataclass(frozen=True)
class SearchEvaluation(Report):
    """How well a recipe's searches find relevant clips.

    Attributes:
        recipe: its id.
        queries: how many were measured.
        unanswerable: queries left out because their answers all lie in the asking video or its group.
        figures: ``recall_at_1/5/10`` (the share of queries with a right answer so early), ``map``, ``median_rank``, and
            for queries with stretches as answers ``moment_recall_at_iou_0.3/0.5/0.7`` (a right answer among the first
            ten that overlaps so much).
        intervals: for each figure what holds 95% of resamples of whole videos or groups.
    """

    recipe: str
    encoder: str
    queries: int
    unanswerable: int
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]

    def to_row(self) -> dict[str, Any]:
        """One flat row, as ``--json`` prints it."""
        row = super().to_row()
        figures, intervals = row.pop("figures"), row.pop("intervals")
        return {**row, **figures, "intervals": {name: list(pair) for name, pair in intervals.items()}}


def evaluate_search(
    *,
    queries: str | Path | None = None,
    bank: BankLike = "bank",
    recipe: str | None = None,
    labels: str | Path | None = None,
    exact: bool = False,
    device: Device = "auto",
    **ranking: Unpack[RankingKeywords],
) -> SearchEvaluation:
    """Put questions with known answers to a bank.

    A CSV or Parquet table of questions has the columns ``text`` or ``moment`` and, as what is right, ``label`` (all
    clips of that class) or ``path`` with optional ``start_seconds`` and ``stop_seconds``; rows of one question add up.
    Without one each labelled clip asks for its class by plain cosine. A clip never finds its own video, nor one of its
    group.

    Args:
        labels: a CSV or Parquet file of labels; by default the bank's own.
        exact: see ``Searcher``.
        ranking: see ``RankingOptions``.

    Raises:
        LabelError: a label or a video that no stored clip has, or no question that can be answered.
        SourceError, UsageError: no question, or an option that has no say in one.

    Example:
        >>> from pathlib import Path
        >>> size = Path("queries.csv").write_text("moment,label\\nvideos/kick/0.mp4@0-1,kick\\n")
        >>> 0 <= evaluate_search(queries="queries.csv").figures["map"] <= 1
        True
    """
    check_choice("device", device, Device)
    how = options_of(RankingOptions, None, ranking)
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    rows = label_rows_of(store, None if labels is None else Path(labels))
    if queries is None:
        if exact or how != RankingOptions():
            raise UsageError(
                "without a table of queries, labelled clips are the queries; leave out the other search options"
            )
        return _of_labels(labelled_examples(store, chosen, rows), chosen)
    searcher = Searcher(store, recipe=chosen.id, exact=exact, device=device)
    clips = list(searcher.clips.rows())
    named = label_of_clips(clips, rows)
    labelled = [(row.label, clip) for clip, row in zip(clips, named, strict=True) if row is not None]
    label_of = {clip.clip_id: label for label, clip in labelled}
    questions = _of_table(Path(queries), _groups(clips, named), frozenset(label_of.values()))
    if (how.merge_gap, how.per_video) != (None, None) and any(one.label for one in questions):
        raise UsageError("merging and a limit per video do not apply to queries with a label; leave them out")
    videos = [(label, clip.video_id) for label, clip in labelled]
    answerable = [(question, count) for question in questions if (count := question.relevant(videos))]
    if not answerable:
        raise LabelError(f"no question in {queries} has an answer in another video or group than the one that asks")
    found = [_answered(searcher, question, count, label_of, how) for question, count in answerable]
    groups = np.array([question.group for question, _ in answerable])
    return _summary(groups, _columns(found), chosen, unanswerable=len(questions) - len(answerable))


def _of_labels(examples: LabelledClips, recipe: Recipe) -> SearchEvaluation:
    """Each labelled clip asks for its class."""
    found = retrieved(examples)
    answerable = np.isfinite(found.first)
    if not answerable.any():
        raise LabelError("no labelled clip has another one of its class in another video or group to be found")
    figures = {f"recall_at_{k}": found.recall(k)[answerable] for k in _AT}
    figures |= {"map": found.precision[answerable], "median_rank": found.first[answerable]}
    return _summary(examples.groups[answerable], figures, recipe, unanswerable=int((~answerable).sum()))


def _groups(clips: Sequence[ClipRow], named: Sequence[LabelRow | None]) -> dict[str, str]:
    """For each video its group, by default itself."""
    groups = {clip.video_id: clip.video_id for clip in clips}
    groups |= {
        clip.video_id: f"group {row.group}"
        for clip, row in zip(clips, named, strict=True)
        if row is not None and row.group
    }
    return groups


def _of_table(path: Path, groups: Mapping[str, str], labels: Collection[str]) -> list[Question]:
    """The questions of a table, rows of one question together.

    Args:
        groups: of the stored videos.
        labels: of the stored clips.
    """
    together: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for number, row in enumerate(read_table(path, required=()), start=2):
        query = ("text", row["text"]) if row.get("text") else ("clip", row.get("moment"))
        if not query[1] or not (row.get("label") or row.get("path")):
            raise UsageError(
                f"{path}, line {number}: a question has a text or a moment, and as its answer a label or a path; "
                f"known columns are {', '.join(_COLUMNS)}"
            )
        if row.get("label") and str(row["label"]) not in labels:
            raise LabelError(f"{path}, line {number}: no stored clip is labelled {str(row['label'])!r}")
        together.setdefault((query[0], str(query[1])), []).append(row)
    if not together:
        raise UsageError(f"{path} holds no question")
    return [_question(path, kind, value, rows=rows, groups=groups) for (kind, value), rows in together.items()]


def _question(
    table: Path, kind: str, value: str, *, rows: Sequence[Mapping[str, Any]], groups: Mapping[str, str]
) -> Question:
    part = Part("text", value)
    without: frozenset[str] = frozenset()
    if kind == "clip":
        moment = Moment.parse(value)
        there = row_path({"path": moment.path}, table=table)
        part = Part("clip", str(dataclasses.replace(moment, path=there)))
        asking = known_video_id(there)
        own = groups.get(asking, asking)
        without = frozenset({asking, *(name for name, group in groups.items() if group == own)})
    labels = {str(row["label"]) for row in rows if row.get("label")}
    if len(labels) > 1:
        raise UsageError(f"{table}: the question {value!r} names several labels: {', '.join(sorted(labels))}")
    targets = []
    for row in rows:
        if row.get("path"):
            identity = known_video_id(row_path(row, table=table))
            if identity not in groups:
                raise LabelError(f"{table}: {row['path']} answers {value!r} and is not in the bank")
            targets.append(Target(identity, row_span(row, table=table)))
    drawn = asking if kind == "clip" else targets[0].video_id if targets else value
    return Question(part, next(iter(labels), None), tuple(targets), without, groups.get(drawn, drawn))


def _answered(
    searcher: Searcher, question: Question, relevant: int, label_of: Mapping[str, str], how: RankingOptions
) -> dict[str, float]:
    """The figures of one question, which has so many right answers."""
    options = SearchOptions(
        merge_gap=how.merge_gap,
        each_clip=how.each_clip or question.label is not None,  # clips are what is counted
        per_video=how.per_video,
        templates=how.templates,
        rerank=how.rerank,
        k=_MOST_RANKS,
        without=question.without,
    )
    hits = searcher.search(question.part, options=options)
    overlaps = [max((target.overlap(hit) for target in question.targets), default=0.0) for hit in hits]
    wanted = {number for number, target in enumerate(question.targets) if target.video_id not in question.without}
    answers = np.zeros(len(hits))  # how many each hit is the first to give
    for place, hit in enumerate(hits):
        reached = {number for number in wanted if question.targets[number].overlap(hit) > 0}
        wanted -= reached  # a stretch that was found once is no more news
        fits = question.label is not None and label_of.get(hit.clip_id) == question.label
        answers[place] = len(reached) + fits
    right = answers > 0
    precision = np.cumsum(right) / np.arange(1, len(hits) + 1)
    figures = {f"recall_at_{k}": float(right[:k].any()) for k in _AT}
    figures["map"] = float((answers * precision).sum() / relevant)
    figures["median_rank"] = float(1 + right.argmax()) if right.any() else float(_MOST_RANKS + 1)
    if any(target.span is not None for target in question.targets):
        best = max(overlaps[: max(_AT)], default=0.0)
        figures |= {f"moment_recall_at_iou_{least}": float(best >= least) for least in OVERLAPS}
    return figures


def _columns(found: Sequence[Mapping[str, float]]) -> dict[str, Numbers]:
    """By figure, (questions,); nan for those that do not have it."""
    names = dict.fromkeys(name for one in found for name in one)
    return {name: np.array([one.get(name, np.nan) for one in found]) for name in names}


def _summary(
    groups: npt.NDArray[np.str_], figures: Mapping[str, Numbers], recipe: Recipe, *, unanswerable: int
) -> SearchEvaluation:
    """Means, or the median of ranks, with intervals."""
    resamples = resamples_of(groups)
    result: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for name, values in figures.items():
        middle = np.nanmedian if name == "median_rank" else np.nanmean
        drawn = [middle(values[rows]) for rows in resamples if np.isfinite(values[rows]).any()]
        result[name] = float(middle(values))
        intervals[name] = interval(np.array(drawn))
    return SearchEvaluation(recipe.id, recipe.encoder, len(groups), unanswerable, result, intervals)
