"""The hits of the last search, so that they can be named by number: ``label add hit:3 jump``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.storage import storage_of

LAST_HITS = "last_hits.json"
_FIELDS = ("video", "video_id", "start_seconds", "stop_seconds", "clip_id")


def remember_hits(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the rows of hits (``Hit.to_row``) in the bank in this folder, in place of those before.

    Raises:
        OSError, BankError: it cannot be written.
    """
    content = json.dumps([{name: row[name] for name in ("rank", *_FIELDS)} for row in rows])
    storage_of(folder).replace(folder / LAST_HITS, content.encode())


def recall_hit(folder: Path, rank: int) -> dict[str, Any]:
    """The hit of this rank of the last search: its video, video_id, start_seconds, stop_seconds and clip_id.

    Raises:
        UsageError: there is no such hit, or the file of hits is damaged.
    """
    path = folder / LAST_HITS
    storage = storage_of(folder)
    try:
        rows = json.loads(storage.read(path)) if storage.exists(path) else []
        by_rank: dict[int, dict[str, Any]] = {int(row["rank"]): {name: row[name] for name in _FIELDS} for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged, so hit {rank} cannot be named; search again") from error
    found = by_rank.get(rank)
    if found is None:
        listed = f"it had {len(rows)}" if rows else "there was none in this bank"
        raise UsageError(f"the last search has no hit {rank}: {listed}")
    return found
