"""Which class a clip has by the labels that cover it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..core.types import ClipRow, LabelRow
from .negative_labels import class_denied, is_negative, negative_of

# A clip takes a label that covers at least this share of it.
_COVERED = 0.5


def label_of_clips(clips: Iterable[ClipRow], labels: Sequence[LabelRow]) -> list[LabelRow | None]:
    """For each clip the class that covers most of it, at least half; of equals, the narrower, then the newer.

    A negative label competes with its class by the same rules: where ``not:walk`` covers more of a clip than ``walk``
    does, or as much and is narrower or newer, the clip is not of the class ``walk``, and the next best class counts.

    Args:
        labels: oldest first.
    """
    return [_class_of(covering) for covering in _covering(clips, labels)]


def denial_of_clips(clips: Iterable[ClipRow], labels: Sequence[LabelRow], class_name: str) -> list[LabelRow | None]:
    """For each clip the negative label of a class that covers it, if it prevails over the class there.

    Args:
        labels: oldest first.
    """
    found = []
    for covering in _covering(clips, labels):
        denial = covering.get(negative_of(class_name))
        found.append(denial.label if denial is not None and _is_denied(class_name, covering) else None)
    return found


def denied_of_clips(clips: Iterable[ClipRow], labels: Sequence[LabelRow]) -> list[tuple[str, ...]]:
    """For each clip the classes that it is not of, as a negative label prevails over them there; sorted.

    Args:
        labels: oldest first.
    """
    return [
        tuple(sorted(denied for name in covering if (denied := class_denied(name)) and _is_denied(denied, covering)))
        for covering in _covering(clips, labels)
    ]


class _Covering(NamedTuple):
    """A label that covers a clip; the larger of two prevails."""

    share: float
    narrowness: float
    place: int
    label: LabelRow


def _covering(clips: Iterable[ClipRow], labels: Sequence[LabelRow]) -> Iterator[dict[str, _Covering]]:
    """For each clip the labels that cover at least half of it, of each class or denial the one that prevails."""
    by_video: dict[str, list[tuple[int, LabelRow]]] = {}
    for place, label in enumerate(labels):
        by_video.setdefault(label.video_id, []).append((place, label))
    for clip in clips:
        best: dict[str, _Covering] = {}
        for place, label in by_video.get(clip.video_id, ()):
            span = label.span
            share = 1.0 if span is None else clip.span.overlap_seconds(span) / clip.span.seconds
            narrowness = float("-inf") if span is None else -span.seconds
            found = _Covering(round(share, 6), narrowness, place, label)
            if share + 1e-9 >= _COVERED and (label.label not in best or found[:3] > best[label.label][:3]):
                best[label.label] = found
        yield best


def _class_of(covering: Mapping[str, _Covering]) -> LabelRow | None:
    classes = [one for name, one in covering.items() if not is_negative(name) and not _is_denied(name, covering)]
    return max(classes, key=lambda one: one[:3]).label if classes else None


def _is_denied(class_name: str, covering: Mapping[str, _Covering]) -> bool:
    """Whether the class's negative label prevails over it."""
    own, denial = covering.get(class_name), covering.get(negative_of(class_name))
    return denial is not None and (own is None or denial[:3] > own[:3])
