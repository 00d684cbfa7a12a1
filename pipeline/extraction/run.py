"""What an extraction is to do, and doing it: read, encode, store, label."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from ..bank.bank import Bank
from ..bank.head_changes import labels_in
from ..bank.labels import label_row
from ..core.errors import UsageError
from ..core.files import sweep
from ..core.recipe import Recipe
from ..core.timing import Profile
from ..core.types import Keep, Limits, Moment, Source, Status, VideoRow
from ..encoders import Encoder
from ..sources.sampling import ClipPlan, Sampling
from .encode_loop import EncodingRun, Progress
from .reader import Reader
from .resume import ResumeState

# So many batches may wait for the encoder: enough that it never waits for a slow video while others are fast.
_QUEUE_BATCHES = 4
_USUAL_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes:
        inputs: the videos that the sources named.
        rows: one outcome for each input, in the same order.
        recipe: how the vectors were made.
        encoded_clips: clips that went through the encoder.
        seconds: from start to end.
        caution: limits of the encoder that users of its vectors should know, if any.
        profile: where the time went; see ``Profile``.
    """

    inputs: tuple[Source, ...]
    rows: tuple[VideoRow, ...]
    recipe: Recipe
    encoded_clips: int
    seconds: float
    caution: str | None = None
    profile: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What users of the vectors should know; empty if nothing was encoded."""
        return (self.caution,) if self.caution and self.encoded_clips else ()

    def count(self, status: Status) -> int:
        """How many inputs ended like this."""
        return sum(row.status == status for row in self.rows)

    @property
    def failed(self) -> bool:
        """Whether anything could not be stored whole."""
        return bool(self.count("failed") or self.count("partial"))


@dataclasses.dataclass(frozen=True)
class ExtractionJob:
    """What is to be read, and how.

    Attributes:
        batch_size: clips that go through the encoder together; by default as many as pay on its device.
        num_workers: reading processes; by default one for each core, at most 8.

    Raises:
        UsageError: no workers, or empty batches.
    """

    inputs: Sequence[Source]
    cut: ClipPlan
    keep: Collection[Keep]
    limits: Limits
    batch_size: int | None = None
    num_workers: int | None = None

    def __post_init__(self) -> None:
        if any(number is not None and number < 1 for number in (self.batch_size, self.num_workers)):
            raise UsageError(f"batch size and workers must be at least 1, not {self.batch_size} and {self.num_workers}")


def together(
    parts: Sequence[Extraction], *, inputs: Sequence[Source], rows: Sequence[VideoRow], seconds: float
) -> Extraction:
    """Several extractions by one recipe as one; ``inputs`` and ``rows`` in the order that the whole is to have."""
    return Extraction(
        tuple(inputs),
        tuple(rows),
        parts[0].recipe,
        sum(part.encoded_clips for part in parts),
        seconds,
        parts[0].caution,
        {name: sum(part.profile[name] for part in parts) for name in parts[0].profile},
    )


def run_job(
    plan: ExtractionJob,
    *,
    store: Bank,
    encoder: Encoder,
    recipe: Recipe,
    stored: ResumeState,
    on_progress: Callable[[Progress], None] | None,
) -> Extraction:
    """Read, encode and store what ``stored`` lacks; the labels of the inputs are added to the bank."""
    started = time.monotonic()
    sweep(store.folder)
    profile = Profile()
    reader = Reader(
        plan.inputs,
        stored=stored,
        cut=plan.cut,
        sampling=Sampling.of_recipe(recipe),
        prepare=lambda frame: encoder.prepare(frame[None])[0],
        decoder=recipe.decoder,
        limits=plan.limits,
        num_workers=plan.num_workers or min(8, os.cpu_count() or 1),
        queue_clips=_QUEUE_BATCHES * (plan.batch_size or _USUAL_BATCH),
        profile=profile,
    )
    run = EncodingRun(
        store,
        encoder,
        recipe,
        plan.inputs,
        batch_size=plan.batch_size,
        keep=plan.keep,
        encoded_ids=stored.encoded_ids,
        profile=profile,
        on_progress=on_progress,
    )
    rows = run.over(reader)
    _store_labels(store, plan.inputs, rows)
    return Extraction(
        tuple(plan.inputs),
        tuple(rows),
        recipe,
        run.encoded_clips,
        time.monotonic() - started,
        encoder.notes,
        profile.seconds,
    )


def _store_labels(store: Bank, inputs: Sequence[Source], rows: Sequence[VideoRow]) -> None:
    labels = [
        label_row(
            Moment(source.path, source.span),
            source.label,
            video_id=str(row.video_id),
            group=source.group,
            split=source.metadata.get("split"),
            source="extraction",
        )
        for source, row in zip(inputs, rows, strict=True)
        if source.label is not None and row.clips
    ]
    labels_in(store.folder).add(labels)
