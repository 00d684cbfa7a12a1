"""What verbs return: reports, and results in a row."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from .errors import UsageError
from .notebook import Shown, table_html
from .types import ClipRow


class Report(Shown):
    """A dataclass that says what a verb did. A notebook shows it as a table."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to keep in mind, a sentence each."""
        return ()

    def to_row(self) -> dict[str, Any]:
        """The fields as ``--json`` prints them."""
        row: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]
        return row


class _HasRow(Protocol):
    def to_row(self) -> dict[str, Any]: ...


One = TypeVar("One", bound=_HasRow)


class Results(list[One]):
    """Results in a row.

    Attributes:
        warnings: what to keep in mind, a sentence each.
        columns: what a notebook shows of each; all if empty.
    """

    columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, results: Iterable[One] = (), *, warnings: Iterable[str] = ()) -> None:
        super().__init__(results)
        self.warnings = tuple(warnings)

    def to_rows(self) -> list[dict[str, Any]]:
        """Each as ``--json`` prints it."""
        return [one.to_row() for one in self]

    def _repr_html_(self) -> str:
        rows = [{name: row[name] for name in self.columns or row} for row in self.to_rows()]
        return table_html(rows, title=f"{len(self)} {type(self).__name__.lower()}", warnings=self.warnings)

    def to_pandas(self) -> Any:
        """``to_rows`` as a pandas DataFrame.

        Raises:
            UsageError: pandas is not installed.
        """
        if importlib.util.find_spec("pandas") is None:
            raise UsageError("a DataFrame needs pandas, which is not installed: pip install pandas, or use to_rows()")
        import pandas as pd

        return pd.DataFrame(self.to_rows())


@dataclasses.dataclass(frozen=True)
class Hit(Shown):
    """A stretch of video that answers a query; larger ``score`` is closer.

    Attributes:
        clip_id: the best clip, which has the score.
        peak_start_seconds, peak_stop_seconds: of that clip, inside the stretch.
        clips: how many were joined into the stretch.
        near_duplicates: how many near-identical stretches were left out.
        why: the cosine of the best clip with each part of the query.

    Example:
        >>> hit = search(clips="videos/kick/0.mp4@0-1", k=1)[0]
        >>> hit.rank, hit.video.endswith("kick/0.mp4")
        (1, True)
    """

    rank: int
    score: float
    video: str
    video_id: str
    start_seconds: float
    stop_seconds: float
    clip_id: str
    metadata: Mapping[str, Any]
    peak_start_seconds: float
    peak_stop_seconds: float
    clips: int = 1
    near_duplicates: int = 0
    why: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_clip(cls, row: ClipRow, score: float, *, rank: int = 0) -> Hit:
        """A hit that is one stored clip."""
        return cls(
            rank=rank,
            score=score,
            video=row.video,
            video_id=row.video_id,
            start_seconds=row.start_seconds,
            stop_seconds=row.stop_seconds,
            clip_id=row.clip_id,
            metadata=row.metadata,
            peak_start_seconds=row.start_seconds,
            peak_stop_seconds=row.stop_seconds,
        )

    def to_row(self) -> dict[str, Any]:
        """The fields as ``--json`` prints them; metadata columns stand beside them and never replace them."""
        return {**self.metadata, **dataclasses.asdict(self)}


class Hits(Results[Hit]):
    """Hits, best first. A notebook shows them as a table.

    Example:
        >>> search("a red square", k=1).to_rows()[0]["rank"]
        1
    """

    columns = ("rank", "score", "video", "start_seconds", "stop_seconds", "clip_id")


@dataclasses.dataclass(frozen=True)
class Prediction(Shown):
    """A head's prediction for one clip; if it abstains, ``top`` still has its classes.

    ``known`` is the share of held-out clips of known classes that are no more familiar.

    Example:
        >>> predictions = predict(never_abstain=True)
        >>> predictions[0].label in ("kick", "wave"), predictions[0].abstained
        (True, None)
    """

    video: str
    video_id: str
    start_seconds: float
    stop_seconds: float
    clip_id: str
    label: str | None
    score: float
    top: tuple[tuple[str, float], ...]
    known: float | None = None
    abstained: Literal["unknown", "unsure"] | None = None

    def to_row(self) -> dict[str, Any]:
        """The fields as ``--json`` prints them."""
        return {**dataclasses.asdict(self), "top": [list(pair) for pair in self.top]}
