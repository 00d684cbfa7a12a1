"""What an extraction is to do, and doing it: read, encode, store, label."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.format_file import is_for_questions
from ..bank.head_changes import labels_in
from ..bank.label_conflicts import contradicting, names_alike, stretch_of
from ..bank.labels import label_row
from ..core.errors import BankError, UsageError
from ..core.limits import Limits
from ..core.notebook import table_html
from ..core.recipe import Recipe
from ..core.results import Report
from ..core.storage import storage_of
from ..core.types import Device, Keep, Moment, Precision, Source, Status, VideoRow
from ..decoders import DEFAULT_DECODER
from ..encoders import Encoder, encoder_class
from ..sources.sampling import ClipPlan
from .encode_loop import EncodingRun, Progress
from .notebook_progress import notebook_progress
from .reader import Reader
from .resume import ResumeState

# Failures that a notebook spells out.
_SHOWN_REASONS = 10


@dataclasses.dataclass(frozen=True)
class Extraction(Report):
    """What an extraction did.

    Attributes:
        inputs: the videos that the sources named.
        rows: one outcome for each input, in the same order.
        recipe: how the vectors were made.
        encoded_clips: clips that went through the encoder.
        seconds: from start to end, loading the encoder included.
        caution: what users of the vectors should know, if anything; limits of the encoder only with the first vectors
            of a recipe in the bank.
        profile: where the time went; see ``Profile``.
        label_notes: sentences on labels that were not stored, as they contradict others, and on new classes whose name
            differs from another one only in case or blanks.

    Example:
        >>> done = extract("videos/", encoder="lite", window_seconds=1.0)
        >>> done.count("unchanged"), done.failed
        (6, False)
    """

    inputs: tuple[Source, ...]
    rows: tuple[VideoRow, ...]
    recipe: Recipe
    encoded_clips: int
    seconds: float
    caution: str | None = None
    profile: Mapping[str, float] = dataclasses.field(default_factory=dict)
    label_notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What users of the vectors should know, if any were encoded, and what is wrong with the labels."""
        return (*((self.caution,) if self.caution and self.encoded_clips else ()), *self.label_notes)

    def to_row(self) -> dict[str, Any]:
        """Inputs by how they ended, and what was encoded."""
        ended = {status: count for status in get_args(Status) if (count := self.count(status))}
        return {"inputs": ended, "clips": self.encoded_clips, "seconds": self.seconds, "recipe": self.recipe.id}

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each input, as ``--json`` prints it."""
        return [row.to_row() for row in self.rows]

    def _repr_html_(self) -> str:
        counts = {status: self.count(status) for status in get_args(Status) if self.count(status)}
        facts = {"videos": len(self.rows), **counts, "encoded clips": self.encoded_clips, "seconds": self.seconds}
        reasons = [f"{row.video}: {row.reason}" for row in self.rows if row.status in ("failed", "partial")]
        title = f"Extraction with {self.recipe.encoder}"
        return table_html([facts], title=title, warnings=(*self.warnings, *reasons[:_SHOWN_REASONS]))

    def count(self, status: Status) -> int:
        """How many inputs ended like this."""
        return sum(row.status == status for row in self.rows)

    @property
    def failed(self) -> bool:
        """Whether anything could not be stored whole."""
        return bool(self.count("failed") or self.count("partial"))


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """An encoder that is not loaded yet, by what ``load_encoder`` needs. None stands for the encoder's own."""

    name: str
    num_frames: int | None = None
    pooling: str | None = None
    precision: Precision | None = None


@dataclasses.dataclass(frozen=True)
class ExtractionJob:
    """What is to be read, and how: plain data that can be sent to another process, once ``bank`` is a path and
    ``encoder`` is not loaded.

    Attributes:
        encoder: one to load, one that is loaded, or the recipe of stored vectors, whose encoder is loaded.
        decoder: for an encoder; a recipe names its own.
        batch_size: clips that go through the encoder together; by default as many as pay on its device.
        num_workers: reading processes; by default one for each core, at most 8.
        requires_kept: whether stored clips that lack something of ``keep`` are encoded again for it.
        trust_partial: whether a video that is stored in part is left as it is.
        allow_slow_precision: whether an encoder may run in half precision that is slower here than float32.

    Raises:
        UsageError: no workers, or empty batches.
    """

    bank: BankLike
    inputs: Sequence[Source]
    cut: ClipPlan
    encoder: EncoderSpec | Encoder | Recipe
    decoder: str = DEFAULT_DECODER
    device: Device = "auto"
    keep: Collection[Keep] = ()
    limits: Limits = dataclasses.field(default_factory=Limits)
    batch_size: int | None = None
    num_workers: int | None = None
    requires_kept: bool = True
    trust_partial: bool = True
    allow_slow_precision: bool = False

    def __post_init__(self) -> None:
        if any(number is not None and number < 1 for number in (self.batch_size, self.num_workers)):
            raise UsageError(f"batch size and workers must be at least 1, not {self.batch_size} and {self.num_workers}")


def is_stored(job: ExtractionJob) -> bool:
    """Whether the bank seems to hold all inputs of a job, as far as their size and date show. Nothing is loaded for it:
    whoever gets True still has to run the job, which then probably has nothing to encode. What only the loaded encoder
    could tell counts as not stored.
    """
    keep = job.keep if job.requires_kept else ()
    try:
        store = open_bank(job.bank)
        stored = [
            ResumeState(store, recipe.id, keep=keep, trust_partial=job.trust_partial)
            for recipe in store.recipes().values()
            if may_be_of(recipe, job)
        ]
    except BankError:  # there is none yet, or extracting tells what is wrong with it
        return not job.inputs
    return not job.inputs or any(
        all(one.seen(source.path, job.cut.name(source.span)) is not None for source in job.inputs) for one in stored
    )


def may_be_of(recipe: Recipe, job: ExtractionJob) -> bool:
    """Whether a job may store vectors of a recipe, as far as is known before its encoder is loaded."""
    spec = job.encoder
    if isinstance(spec, Recipe):
        return recipe.id == spec.id
    if isinstance(spec, Encoder):
        return recipe.id == spec.recipe(decoder=job.decoder).id
    return (
        (spec.name in (recipe.encoder, recipe.checkpoint) or str(Path(spec.name).resolve()) == recipe.checkpoint)
        and (recipe.decoder, recipe.precision) == (job.decoder, spec.precision or "float32")
        and spec.num_frames in (None, recipe.num_frames)
        and (spec.pooling is None or encoder_class(spec.name).poolings.get(spec.pooling) == recipe.pooling)
    )


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
        max((part.caution for part in parts if part.caution), key=len, default=None),
        {name: sum(part.profile[name] for part in parts) for name in parts[0].profile},
        tuple(dict.fromkeys(note for part in parts for note in part.label_notes)),
    )


def run_job(
    plan: ExtractionJob,
    *,
    store: Bank,
    encoder: Encoder,
    recipe: Recipe,
    reader: Reader,
    caution: str | None,
    started: float,
    on_progress: Callable[[Progress], None] | None,
) -> Extraction:
    """Encode and store what the reader reads; the labels of the inputs are added to the bank.

    Args:
        started: when the run began to load the encoder, by ``time.monotonic``.
    """
    storage_of(store.folder).sweep(store.folder)
    run = EncodingRun(
        store,
        encoder,
        recipe,
        batch_size=plan.batch_size,
        keep=plan.keep,
        encoded_ids=reader.stored.encoded_ids,
        profile=reader.profile,
        on_progress=on_progress or notebook_progress(),
    )
    rows = run.over(reader)
    notes = _store_labels(store, plan.inputs, rows)
    return Extraction(
        tuple(plan.inputs),
        tuple(rows),
        recipe,
        run.encoded_clips,
        time.monotonic() - started,
        caution,
        reader.profile.seconds,
        tuple(notes),
    )


def _store_labels(store: Bank, inputs: Sequence[Source], rows: Sequence[VideoRow]) -> list[str]:
    """Add the labels of the inputs to the bank, but none that contradicts another one; gives what is wrong with those
    that are new.
    """
    if is_for_questions(store.folder):
        return []
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
    stored = labels_in(store.folder)
    new = stored.unknown(labels)
    wrong = contradicting(new, store)
    left_out = {row for row, _ in wrong}
    stored.add(row for row in labels if row not in left_out)
    notes = names_alike([row for row in new if row not in left_out], store)
    if wrong:
        row, other = wrong[0]
        notes.append(
            f"{len(wrong)} of the labels contradict others and were not stored, for example {stretch_of(row)}: it is "
            f"labelled {other.label!r}, and now {row.label!r}. Remove the label that is wrong and extract again, or "
            "keep both with label add --also"
        )
    return notes
