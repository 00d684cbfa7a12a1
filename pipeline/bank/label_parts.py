"""Labels as parts that are only ever added: each holds changes, and replaying all in order gives the labels.

``docs/bank-format.md`` describes the format. A part that merges others names them in its metadata, so that readers
leave these out until they are removed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from ..core.errors import BankError
from ..core.storage import storage_of
from ..core.storage_contract import Facts
from ..core.types import LabelRow
from .parquet import columns_of, listed_again, named, next_stamp, open_part, parts_in, remove_part, stamp_of, write_part
from .schema import require_fields, require_values
from .verified import digest

LABELS = "labels"
# What earlier releases wrote, and replaced as a whole.
OLD_LABELS = "labels.parquet"

_MERGED_KEY = b"clipdex.merged"

_LABEL_FIELDS = [
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("video", pa.string(), nullable=False),
    pa.field("label", pa.string(), nullable=False),
    pa.field("start_seconds", pa.float64()),
    pa.field("stop_seconds", pa.float64()),
    pa.field("group", pa.string()),
    pa.field("split", pa.string()),
    pa.field("source", pa.string(), nullable=False),
]
_CHANGE = pa.field("change", pa.string(), nullable=False)
_NAMES = [field.name for field in _LABEL_FIELDS]

Kind = Literal["add", "remove", "move"]
Key = tuple[str, str, float | None, float | None]
State = dict[Key, LabelRow]


@dataclasses.dataclass(frozen=True)
class Change:
    """One step.

    Attributes:
        kind: ``add`` appends the label, or changes the one that says the same of the same stretch in its place,
            which keeps its group and split if the new one has none; ``remove`` removes it; ``move`` makes it the
            newest.
    """

    kind: Kind
    row: LabelRow


@dataclasses.dataclass(frozen=True)
class Listing:
    """The parts that were there, and the changes that they hold, oldest first.

    Attributes:
        names: what a part that merges all of them has to name.
    """

    parts: list[Path]
    names: list[str]
    changes: list[Change]


def key_of(row: LabelRow) -> Key:
    """What makes two labels the same: the video, the class and the stretch."""
    return (row.video_id, row.label, row.start_seconds, row.stop_seconds)


def replay(changes: Iterable[Change], state: State | None = None) -> State:
    """The labels after these changes, oldest first; ``state`` is what was there before, and is left as it is."""
    rows = dict(state or {})
    for change in changes:
        key, row = key_of(change.row), change.row
        if change.kind == "add":
            old = rows.get(key, row)
            rows[key] = dataclasses.replace(row, group=row.group or old.group, split=row.split or old.split)
        else:
            present = rows.pop(key, None)
            if present is not None and change.kind == "move":
                rows[key] = present
    return rows


def changes_between(before: State, after: State) -> list[Change]:
    """The changes that lead from one state to another, with the order of labels. Labels that stay as they are are not
    written again, so that what somebody else adds to them at the same time is not lost.
    """
    gone = [row for key, row in before.items() if after.get(key) != row]
    stays = [key for key, row in before.items() if after.get(key) == row]
    wanted = list(after)
    same = 0
    while same < len(stays) and stays[same] == wanted[same]:
        same += 1
    moved = set(stays[same:])
    rest = [Change("move" if key in moved else "add", after[key]) for key in wanted[same:]]
    return [*(Change("remove", row) for row in gone), *rest]


def append(folder: Path, changes: Sequence[Change], *, merged: Listing | None = None) -> None:
    """Add a part with these changes to a bank.

    Args:
        merged: the parts in whose place it stands.

    Raises:
        BankError: it cannot be written.
    """
    records = [{**dataclasses.asdict(change.row), _CHANGE.name: change.kind} for change in changes]
    schema = pa.schema([*_LABEL_FIELDS, _CHANGE])
    stamp = next_stamp(folder / LABELS)
    if merged is not None:
        schema = schema.with_metadata({_MERGED_KEY: json.dumps(merged.names).encode()})
        stamp = max([0, *(stamp_of(part) for part in merged.parts)])
    write_part(folder / LABELS, pa.Table.from_pylist(records, schema=schema), dictionary=schema.names, stamp_ns=stamp)


def read_labels(folder: Path) -> Listing:
    """All changes to the labels of the bank in ``folder``.

    Raises:
        BankError: a part is damaged.
    """
    return listed_again(lambda: _read(folder))


def _read(folder: Path) -> Listing:
    old = folder / OLD_LABELS
    parts = parts_in(folder / LABELS)
    read = [(part, *_remembered(part)) for part in parts]
    merged = {name for _, names, _ in read for name in names}
    names, changes = (
        [part.name for part in parts],
        [one for part, _, own in read if part.name not in merged for one in own],
    )
    if storage_of(old).exists(old):
        # By its content, because an earlier release beside this one may write another file of that name.
        name = f"{OLD_LABELS} {named(old, lambda: digest(storage_of(old).read(old)))}"
        names.append(name)
        parts = [old, *parts]
        changes = [*([] if name in merged else read_old(old)), *changes]
    return Listing(parts, names, changes)


def _remembered(part: Path) -> tuple[list[str], list[Change]]:
    """``read_changes``, once in a process for each part: a part never changes."""
    return _read_once(part, named(part, lambda: storage_of(part).facts(part)))


@functools.lru_cache(maxsize=4096)
def _read_once(part: Path, facts: Facts) -> tuple[list[str], list[Change]]:  # noqa: ARG001
    return read_changes(part)


def read_changes(part: Path) -> tuple[list[str], list[Change]]:
    """The names of the parts that a part merges, and its changes.

    Raises:
        BankError: it is damaged, or does not hold labels.
    """
    table = _table(part, [*_LABEL_FIELDS, _CHANGE])

    def read() -> tuple[list[str], list[Change]]:
        names = json.loads((table.schema.metadata or {}).get(_MERGED_KEY, b"[]"))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("it does not say which parts it merges")
        kinds = table[_CHANGE.name].to_pylist()
        if unknown := set(kinds) - {"add", "remove", "move"}:
            raise ValueError(f"it holds a change {min(unknown)!r}")
        rows = _rows(table)
        return names, [Change(kind, row) for kind, row in zip(kinds, rows, strict=True)]

    return named(part, read)


def read_old(path: Path) -> list[Change]:
    """The labels that an earlier release wrote.

    Raises:
        BankError: the file is damaged, or does not hold labels.
    """
    table = _table(path, _LABEL_FIELDS)
    return [Change("add", row) for row in named(path, lambda: _rows(table))]


def _rows(table: pa.Table) -> list[LabelRow]:
    rows = [LabelRow(**record) for record in table.select(_NAMES).to_pylist()]
    for row in rows:
        if row.span is None and (row.start_seconds, row.stop_seconds) != (None, None):
            raise ValueError(f"its label {row.label!r} has one of two times")
    return rows


def _table(path: Path, fields: Sequence[pa.Field]) -> pa.Table:
    file = open_part(path)
    named(path, lambda: require_fields(file.schema_arrow, fields))
    table = columns_of(path, file, [field.name for field in fields])
    named(path, lambda: require_values(table, fields))
    return table


def remove_merged(listing: Listing) -> None:
    """Remove the parts that another one merges by now.

    Raises:
        BankError: the folder cannot be written.
    """
    for part in listing.parts:
        try:
            remove_part(part)
        except OSError as error:
            raise BankError(
                f"cannot remove {part}: {error.strerror or error}; run clipdex bank compact again"
            ) from error
