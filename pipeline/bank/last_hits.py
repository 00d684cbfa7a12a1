"""The hits of the last search, so that they can be named by number: ``label add hit:3 jump``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.storage import storage_of

LAST_HITS = "last_hits.json"


def remember_hits(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the rows of hits (``Hit.to_row``) in the bank in this folder, in place of those before.

    Raises:
        OSError, BankError: it cannot be written.
    """
    names = ("rank", "video", "video_id", "start_seconds", "stop_seconds", "clip_id")
    content = json.dumps([{name: row[name] for name in names} for row in rows])
    storage_of(folder).replace(folder / LAST_HITS, content.encode())


def recall_hit(folder: Path, rank: int) -> dict[str, Any]:
    """The hit of this rank of the last search: its video, video_id, start_seconds, stop_seconds and clip_id.

    Raises:
        UsageError: there is no such hit.
    """
    path = folder / LAST_HITS
    storage = storage_of(folder)
    rows = json.loads(storage.read(path)) if storage.exists(path) else []
    found: dict[str, Any] | None = next((row for row in rows if row["rank"] == rank), None)
    if found is None:
        listed = f"it had {len(rows)}" if rows else "there was none in this bank"
        raise UsageError(f"the last search has no hit {rank}: {listed}")
    return found
