"""Classes of a head removed, renamed, and the latest change undone. Nothing is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.head_changes import changing, commit_change, commit_undo, rows_from
from ..bank.labels import Labels
from ..bank.negative_labels import negative_of, renamed
from ..core.errors import HeadError, LabelError
from ..core.results import Report
from ..core.types import LabelRow
from ..heads import HeadCard, TrainedHead, latest_change, load_trained, read_head_file
from .label_checks import check_is_class
from .train import DEFAULT_NAME


@dataclasses.dataclass(frozen=True)
class ChangeReport(Report):
    """What was done to a head's classes.

    Attributes:
        change: "remove-class", "rename-class", or "undo" with what was undone.
        classes: that the head knows now.
        labels_changed: how many of the bank's labels were changed along.
    """

    change: str
    head: str
    classes: tuple[str, ...]
    labels_changed: int


def remove_class(
    class_name: str, *, bank: BankLike = "bank", head_name: str = DEFAULT_NAME, labels: bool = False
) -> ChangeReport:
    """Make a head forget a class; the scores of the others stay, but where neighbours vote: there the next move up.

    Args:
        labels: remove the bank's labels of that class too, and those that deny it (``not:CLASS``); else the next
            ``train-head`` learns it again.

    Raises:
        HeadError: there is no such head, it does not know the class, or would be left with fewer than two.

    Example:
        >>> report = add_class("jump", ["videos/kick/0.mp4@0-1", "videos/wave/0.mp4@0-1"])
        >>> change = remove_class("jump")
        >>> load_head("bank").classes
        ('kick', 'wave')
    """
    store = open_bank(bank)
    with changing(store.folder, head_name) as folder:
        return _remove(store, _opened(folder, head_name, class_name), class_name, head_name, labels=labels)


def _remove(store: Bank, before: TrainedHead, class_name: str, head_name: str, *, labels: bool) -> ChangeReport:
    try:
        after = before.head.without_class(class_name)
    except ValueError as error:
        raise HeadError(f"cannot remove {class_name!r} from the head {head_name!r}: {error}") from error
    table = Labels(store.folder)
    rows = table.rows()
    gone = [row for row in rows if labels and row.label in (class_name, negative_of(class_name))]
    remaining_labels = [row for row in rows if row not in gone]
    classes = [str(name) for name in after.classes_]
    remaining = [number for number, name in enumerate(before.card.classes) if name != class_name]
    now = _with_card(
        dataclasses.replace(
            before,
            head=after,
            familiarity=before.familiarity and before.familiarity.in_order(classes),
            prior=before.prior and dataclasses.replace(before.prior, texts=before.prior.texts[remaining]),
            sample=before.sample and before.sample.without(before.card.classes.index(class_name)),
        ),
        classes=tuple(classes),
        examples=tuple(one for one in before.card.examples if one[1] != class_name),
        thresholds={name: least for name, least in before.card.thresholds.items() if name != class_name},
        cv=None,
    )
    what = note("remove-class", class_name, before=rows if gone else None, after=remaining_labels)
    commit_change(store.folder, now, what, {"remove": [dataclasses.asdict(row) for row in gone]})
    return ChangeReport("remove-class", head_name, tuple(classes), len(gone))


def rename_class(
    class_name: str, new_name: str, *, bank: BankLike = "bank", head_name: str = DEFAULT_NAME
) -> ChangeReport:
    """Call a class of a head, and the bank's labels of it and against it (``not:CLASS``), by another name.

    Raises:
        HeadError: there is no such head, it does not know the class, or knows one of the new name.
        LabelError: the new name is empty, or that of a negative label.

    Example:
        >>> change = rename_class("wave", "greet")
        >>> load_head("bank").classes
        ('kick', 'greet')
    """
    new_name = new_name.strip()
    if not new_name:
        raise LabelError(f"the new name of {class_name!r} is empty")
    check_is_class(new_name)
    store = open_bank(bank)
    with changing(store.folder, head_name) as folder:
        return _rename(store, _opened(folder, head_name, class_name), class_name, new_name, head_name)


def _rename(store: Bank, before: TrainedHead, class_name: str, new_name: str, head_name: str) -> ChangeReport:
    if new_name in before.card.classes:
        raise HeadError(
            f"the head {head_name!r} knows a class {new_name!r} already; two classes become one by renaming their "
            "labels (label export, label import) and train-head"
        )

    def called(name: str) -> str:
        return new_name if name == class_name else name

    table = Labels(store.folder)
    rows = table.rows()
    new = [dataclasses.replace(row, label=renamed(row.label, class_name, new_name)) for row in rows]
    num_changed = sum(one != other for one, other in zip(rows, new, strict=True))
    classes = tuple(map(called, before.card.classes))
    before.head.classes_ = np.array(classes)
    now = _with_card(
        dataclasses.replace(before, familiarity=before.familiarity and before.familiarity.called(classes)),
        classes=classes,
        examples=tuple((name, called(label), group) for name, label, group in before.card.examples),
        thresholds={called(name): least for name, least in before.card.thresholds.items()},
    )
    what = note("rename-class", class_name, before=rows, after=new)
    commit_change(store.folder, now, what, {"rename": [class_name, new_name]})
    return ChangeReport("rename-class", head_name, classes, num_changed)


def undo(*, bank: BankLike = "bank", head_name: str = DEFAULT_NAME) -> ChangeReport:
    """Take back the latest ``add-class``, ``remove-class`` or ``rename-class`` of a head, with its labels.

    Raises:
        HeadError: there is no such head, or nothing to undo.

    Example:
        >>> change = rename_class("wave", "greet")
        >>> change = undo()
        >>> load_head("bank").classes
        ('kick', 'wave')
    """
    store = open_bank(bank)
    with changing(store.folder, head_name) as folder:
        return _undo(store, folder, head_name)


def _undo(store: Bank, folder: Path, head_name: str) -> ChangeReport:
    number, change, former = latest_change(folder, head_name)
    try:
        for field in ("labels_added", "labels_before", "labels_after"):
            rows_from(change[field] or ())
        classes = read_head_file(former).card.classes
    except (TypeError, KeyError) as error:
        raise HeadError(
            f"the history of the head {head_name!r} is damaged ({error}); nothing was changed. Train it again with "
            "train-head, which drops its history"
        ) from error
    table = Labels(store.folder)
    was = table.rows()
    commit_undo(store.folder, head_name, number=number, former=former, note=change)
    now = set(table.rows())
    changed = max(len(now.difference(was)), len(set(was).difference(now)))  # a label renamed is one, not two
    return ChangeReport(f"undo {change['verb']} {change['class']}", head_name, classes, changed)


def note(
    verb: str,
    class_name: str,
    *,
    added: Sequence[LabelRow] = (),
    before: Sequence[LabelRow] | None = None,
    after: Sequence[LabelRow] = (),
) -> dict[str, Any]:
    """What ``undo`` has to know of a change, as JSON.

    Args:
        added: labels that came new.
        before, after: all labels, where some were changed or removed.
    """
    return {
        "verb": verb,
        "class": class_name,
        "labels_added": [dataclasses.asdict(row) for row in added],
        "labels_before": None if before is None else [dataclasses.asdict(row) for row in before],
        "labels_after": [dataclasses.asdict(row) for row in after],
    }


def _opened(folder: Path, head_name: str, class_name: str) -> TrainedHead:
    trained = load_trained(folder, head_name)
    if class_name not in trained.card.classes:
        raise HeadError(
            f"the head {head_name!r} has no class {class_name!r}; it has: {', '.join(trained.card.classes)}"
        )
    return trained


def _with_card(trained: TrainedHead, **changes: Any) -> TrainedHead:
    card: HeadCard = dataclasses.replace(trained.card, **changes)
    return dataclasses.replace(trained, card=card)
