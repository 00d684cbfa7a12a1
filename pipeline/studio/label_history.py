"""Labelling with undo: every change is in the bank at once, and the latest can be taken back."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ..bank.bank import Bank
from ..classification.labelling import LabelChange, assign_class, revert_labels
from ..core.files import path_of
from ..core.types import Moment
from .workspace import Stretch

_MOST_CHANGES = 1000


class LabelHistory:
    """The changes of labels that this studio made, of all its pages together.

    Labels that came from elsewhere since are left alone by ``undo``.
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._changes: list[LabelChange] = []
        self._lock = threading.Lock()

    def assign(self, stretches: Sequence[Stretch], class_name: str | None) -> LabelChange:
        """See ``assign_class``.

        Raises:
            LabelError: the class has no name, or nearly that of another one.
        """
        moments = [(one.video_id, Moment(path_of(one.video), one.span)) for one in stretches]
        with self._lock:
            change = assign_class(moments, class_name, bank=self._bank)
            if change.added or change.removed:
                self._changes = [*self._changes, change][-_MOST_CHANGES:]
        return change

    def undo(self) -> LabelChange | None:
        """Take the latest change back; None if there is none."""
        with self._lock:
            return revert_labels(self._changes.pop(), bank=self._bank) if self._changes else None
