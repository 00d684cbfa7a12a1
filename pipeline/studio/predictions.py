"""What heads predict for all clips of the bank, worked out once for each state of head and clips."""

from __future__ import annotations

import dataclasses
import threading
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..bank.clip_table import ClipTable
from ..bank.head_changes import heads_in, stamp
from ..classification.predict import ClipScores, score_clips
from ..classification.predict_options import PredictOptions
from ..core.errors import HeadError
from .workspace import Workspace

Order = Literal["best", "unsure"]


@dataclasses.dataclass(frozen=True)
class Predicted:
    """Scores of all clips.

    Attributes:
        stamp: tells one state of head and clips from the next.
        clips: those of the bank when the head was applied.
        numbers: places of the scored clips in ``clips``, (n,); -1 for those that came while it was.
        labels: predicted classes, None where the head abstains, (n,).
    """

    stamp: object
    found: ClipScores
    clips: ClipTable
    numbers: npt.NDArray[np.int64]
    labels: list[str | None]

    def place(self, clip_id: str) -> int | None:
        """Where a clip stands in ``found``; None if it came since."""
        return self._place_of.get(clip_id)

    def label(self, clip_id: str) -> str | None:
        """The predicted class of a clip; None if the head abstains, or the clip came since."""
        place = self.place(clip_id)
        return None if place is None else self.labels[place]

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {clip.clip_id: place for place, clip in enumerate(self.found.clips)}

    def ranked(self, class_name: str | None, order: Order) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Places in ``clips`` and scores, (n,) each: best first, or least sure first.

        Args:
            class_name: whose score counts; by default each clip's best class.

        Raises:
            HeadError: the head has no such class.
        """
        scores = self.found.scores
        if class_name is not None and class_name not in self.found.classes:
            raise HeadError(f"this head has no class {class_name!r}; it has: {', '.join(self.found.classes)}")
        if class_name is None:
            own = scores.max(axis=1) if scores.size else np.zeros(len(scores))
        else:
            own = scores[:, list(self.found.classes).index(class_name)]
        margin = np.abs(own - 0.5) if class_name is not None else own
        places = np.argsort(margin if order == "unsure" else -own, kind="stable")
        places = places[self.numbers[places] >= 0]
        return self.numbers[places], own[places].astype(np.float32)


class PredictionsOf:
    """Predictions by head."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._held: dict[str, tuple[object, Predicted]] = {}

    def of(self, head_name: str) -> Predicted:
        """What a head predicts for the clips that the bank has now.

        Raises:
            HeadError: there is no such head, or it was trained on vectors of another recipe.
        """
        workspace = self._workspace
        with self._lock:
            opened = workspace.opened
            now = (stamp(heads_in(workspace.bank.folder), head_name), opened.version)
            held = self._held.get(head_name)
            if held is None or held[0] != now:
                options = PredictOptions(head_name=head_name, recipe=workspace.recipe.id, device=workspace.device)
                found = score_clips((), options, bank=workspace.bank)
                numbers = np.array([opened.numbers.get(clip.clip_id, -1) for clip in found.clips], np.int64)
                best = found.scores.argmax(axis=1) if found.scores.size else np.zeros(0, np.int64)
                labels = [
                    None if why else found.classes[place] for place, why in zip(best, found.abstains, strict=True)
                ]
                held = self._held[head_name] = (now, Predicted(now, found, opened.clips, numbers, labels))
            return held[1]
