"""Labelling with undo: every change is in the bank at once, and the latest of a page can be taken back."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from ..bank.bank import Bank
from ..classification.assign_class import LabelChange, assign_class, revert_labels
from ..core.files import path_of
from ..core.types import Moment
from .workspace import Stretch

_MOST_CHANGES = 1000
_MOST_PAGES = 64


class LabelHistory:
    """The changes of labels that one page made.

    Labels that came from elsewhere since are left alone by ``undo``.
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._changes: list[LabelChange] = []
        self._lock = threading.Lock()

    def assign(self, stretches: Sequence[Stretch], class_name: str | None) -> LabelChange:
        """Label stretches with a class in the place of other classes that they, or nearly the same ones, have.

        Args:
            class_name: None removes all labels of the stretches.

        Raises:
            LabelError: the class has no name, or nearly that of another one.
        """
        moments = [(one.video_id, Moment(path_of(one.video), one.span)) for one in stretches]
        with self._lock:
            change = assign_class(moments, class_name, bank=self._bank)
            if change.added or change.removed:
                self._changes = [*self._changes, change][-_MOST_CHANGES:]
        return change

    def undo(self) -> tuple[LabelChange, LabelChange] | None:
        """Take the latest change back: gives it, and what that changed in turn; None if there is none.

        Raises:
            LabelError: a label that came since contradicts one that would come back; the change can be undone later.
        """
        with self._lock:
            if not self._changes:
                return None
            latest = self._changes[-1]
            reverted = revert_labels(latest, bank=self._bank)
            self._changes.pop()
        return latest, reverted


class LabelHistories:
    """The histories of a studio's pages, by the id that a page sends; programs without one share a history."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._histories: OrderedDict[str, LabelHistory] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, page: str) -> LabelHistory:
        """The history of a page; of the pages that sent nothing for the longest time they are forgotten."""
        with self._lock:
            found = self._histories.setdefault(page, LabelHistory(self._bank))
            self._histories.move_to_end(page)
            while len(self._histories) > _MOST_PAGES:
                self._histories.popitem(last=False)
        return found
