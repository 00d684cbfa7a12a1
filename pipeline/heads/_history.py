"""What heads were before somebody changed their classes, so that it can be undone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._errors import HeadError
from .._files import replacing, same_file
from ._store import head_path


def remember(folder: Path, name: str, note: Mapping[str, Any]) -> None:
    """Keep a copy of a head, which is about to change, with what else will have changed along with it."""
    former = folder / "history" / name
    former.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.stem) for path in former.glob("*.json")), default=0)
    with replacing(former / f"{number:06d}.safetensors") as temporary:
        same_file(head_path(folder, name), temporary)
    with replacing(former / f"{number:06d}.json") as temporary:  # last: where it is missing there was no change
        temporary.write_text(json.dumps(note, ensure_ascii=False), encoding="utf-8")


def latest_change(folder: Path, name: str) -> dict[str, Any]:
    """What was noted of the latest change.

    Raises:
        HeadError: there is nothing to undo, or the note is damaged.
    """
    try:
        note: dict[str, Any] = json.loads(_latest(folder, name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HeadError(f"the history of the head {name!r} is damaged: {error}") from error
    return note


def take_back(folder: Path, name: str) -> None:
    """Put the head back as it was before its latest change.

    Raises:
        HeadError: there is nothing to undo.
    """
    note = _latest(folder, name)
    former = note.with_suffix(".safetensors")
    with replacing(head_path(folder, name)) as temporary:
        same_file(former, temporary)
    note.unlink()
    former.unlink(missing_ok=True)


def forget(folder: Path, name: str) -> None:
    """Drop what there was to undo: the head was trained anew, or removed."""
    shutil.rmtree(folder / "history" / name, ignore_errors=True)


def _latest(folder: Path, name: str) -> Path:
    notes = sorted((folder / "history" / head_path(folder, name).stem).glob("*.json"))
    if not notes:
        raise HeadError(
            f"there is no change of the head {name!r} to undo: add-class, remove-class and rename-class can be undone "
            "until it is trained anew"
        )
    return notes[-1]
