"""The bank as a whole, and jobs that change it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from ...bank.head_changes import heads_in
from ...bank.negative_labels import class_denied
from ...core.errors import SourceError
from ...encoders import encoder_class_for
from ...extraction.encode_loop import Progress
from ...extraction.extract import extract
from ...extraction.extract_options import ExtractOptions
from ...heads import head_files
from ..jobs import Job
from ..state import Studio, StudioOf

router = APIRouter(tags=["bank"])


@dataclasses.dataclass(frozen=True)
class ClassCount:
    """A class, how many labels it has, and how many say that a stretch is not of it."""

    name: str
    labels: int
    negatives: int


@dataclasses.dataclass(frozen=True)
class BankFacts:
    """What the bank holds; ``encoder`` is None as long as nothing was extracted."""

    folder: str
    encoder: str | None
    reads_text: bool
    clips: int
    videos: int
    classes: list[ClassCount]
    heads: list[str]


@dataclasses.dataclass(frozen=True)
class Folder:
    """Videos to extract: a folder, file, glob pattern or manifest on the studio's machine."""

    source: str
    labels_from_folders: bool = False


@dataclasses.dataclass(frozen=True)
class JobState:
    """A job; ``state`` is waiting, running, done, failed or cancelled, ``total`` is 0 while it is unknown. ``failures``
    are the first inputs that failed, ``more_failures`` how many others did.
    """

    id: str
    what: str
    state: str
    done: float
    total: int
    seconds: float
    error: str | None
    result: Any
    failures: list[str]
    more_failures: int


@router.get("/bank")
def facts(studio: StudioOf) -> BankFacts:
    """Clips, classes and heads of the bank."""
    workspace = studio.workspace
    heads = [path.stem for path in head_files(heads_in(workspace.bank.folder))]
    folder = str(workspace.bank.folder.absolute())
    if workspace.is_empty:
        return BankFacts(folder, None, False, 0, 0, classes_of(studio), heads)
    recipe, clips = workspace.recipe, workspace.opened.clips
    return BankFacts(
        folder=folder,
        encoder=recipe.encoder,
        reads_text=not recipe.imported and encoder_class_for(recipe).card.text,
        clips=len(clips),
        videos=len(set(clips.cells("video_id").values)),
        classes=classes_of(studio),
        heads=heads,
    )


@router.get("/classes")
def classes_of(studio: StudioOf) -> list[ClassCount]:
    """All classes that have labels, in the order in which they were first used."""
    counts: dict[str, list[int]] = {}
    for row in studio.workspace.labels():
        denied = class_denied(row.label)
        count = counts.setdefault(row.label if denied is None else denied, [0, 0])
        count[denied is not None] += 1
    return [ClassCount(name, labels, negatives) for name, (labels, negatives) in counts.items()]


@router.get("/jobs")
def jobs(studio: StudioOf) -> list[JobState]:
    """All jobs, the latest first; of their results only ``inputs`` and ``warnings``, all of it is at each job's own
    address.
    """
    return [JobState(**job.to_row(in_list=True)) for job in studio.jobs.all()]


@router.get("/jobs/{job_id}")
def job_state(studio: StudioOf, job_id: str) -> JobState:
    """How far a job is."""
    return JobState(**studio.jobs.get(job_id).to_row())


@router.post("/jobs/{job_id}/cancel")
def cancel(studio: StudioOf, job_id: str) -> JobState:
    """End a job; what it has finished stays."""
    job = studio.jobs.get(job_id)
    job.cancel()
    return JobState(**job.to_row())


@router.post("/extractions", status_code=202)
def start_extraction(studio: StudioOf, folder: Folder) -> JobState:
    """Extract videos of this machine into the bank, as ``clipdex extract`` does."""
    if not folder.source.strip():
        raise SourceError("name a folder of videos")
    job = studio.jobs.start(f"Extract {folder.source}", lambda job: _extracted(studio, folder, job))
    return JobState(**job.to_row())


def _extracted(studio: Studio, folder: Folder, job: Job) -> dict[str, Any]:
    def report(progress: Progress) -> None:
        row = progress.row
        if row is not None and row.status in ("failed", "partial", "skipped"):
            job.fail(f"{Path(row.video).name}: {row.reason}")
        job.advance(progress.videos, progress.videos_total)

    workspace = studio.workspace
    options = ExtractOptions(
        encoder=None if workspace.is_empty else workspace.recipe,
        device=workspace.device,
        labels_from_folders=folder.labels_from_folders,
    )
    done = extract(folder.source, bank=workspace.bank, options=options, on_progress=report)
    return {**done.to_row(), "warnings": list(done.warnings)}
