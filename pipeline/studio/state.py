"""What the requests of one studio share."""

from __future__ import annotations

import dataclasses
import threading
from typing import Annotated

from fastapi import Depends, Request

from ..classification.class_learner import ClassLearner
from ..retrieval.clusters import Map
from .jobs import Jobs
from .label_history import LabelHistories, LabelHistory
from .predictions import PredictionsOf
from .rankings import Rankings
from .uploads import Uploads
from .workspace import Workspace

# Pages send an id in this header, so that each undoes its own changes.
PAGE_HEADER = "X-Clipdex-Page"
_MOST_PAGE_LETTERS = 64


@dataclasses.dataclass(frozen=True)
class Studio:
    """An open bank and everything that is held beside it while the studio runs.

    Attributes:
        history: of the page that a request comes from.
    """

    workspace: Workspace
    rankings: Rankings
    uploads: Uploads
    jobs: Jobs
    histories: LabelHistories
    history: LabelHistory
    predictions: PredictionsOf
    learning: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    learners: dict[int, ClassLearner] = dataclasses.field(default_factory=dict)  # the latest, by version of the clips
    maps: dict[int, Map] = dataclasses.field(default_factory=dict)  # the latest, by the version of the clips

    @classmethod
    def of(cls, workspace: Workspace) -> Studio:
        """A studio for an open bank."""
        uploads, histories = Uploads(), LabelHistories(workspace.bank)
        return cls(
            workspace,
            Rankings(workspace, uploads),
            uploads,
            Jobs(),
            histories,
            histories.of(""),
            PredictionsOf(workspace),
        )

    def close(self) -> None:
        """Cancel jobs and remove uploaded files."""
        self.jobs.close()
        self.uploads.close()


def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    page = request.headers.get(PAGE_HEADER, "")[:_MOST_PAGE_LETTERS]
    return dataclasses.replace(studio, history=studio.histories.of(page)) if page else studio


StudioOf = Annotated[Studio, Depends(_studio)]
