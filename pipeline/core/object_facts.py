"""What the packages of object stores tell of an object, and their errors, in our words."""

from __future__ import annotations

import contextlib
import datetime
import time
import zlib
from typing import Any

from .storage_contract import Facts

# Where the services' packages say what changes with the content, and when that was.
_VERSIONS = ("ETag", "etag", "generation", "content_md5", "md5Hash", "blob_id", "commit")
_DATES = ("LastModified", "last_modified", "updated", "mtime", "last_commit")


def facts_of(entry: dict[str, Any]) -> Facts:
    """The facts in what fsspec tells of an object; each service's package has its own names for them."""
    date = _date(entry)
    version = next((str(entry[name]) for name in _VERSIONS if entry.get(name)), str(date or ""))
    return Facts(int(entry.get("size") or 0), version, modified_ns=_modified_ns(date, version))


def _date(entry: dict[str, Any]) -> datetime.datetime | None:
    """When an object was written, as far as its service tells."""
    for name in _DATES:
        value = getattr(entry.get(name), "date", None) if name == "last_commit" else entry.get(name)
        if isinstance(value, datetime.datetime):
            return value
        if isinstance(value, int | float):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                return datetime.datetime.fromisoformat(value)
    return None


def _modified_ns(date: datetime.datetime | None, version: str) -> int:
    """Nanoseconds since 1970. Services tell seconds only; below them stands a checksum of the version, so that an
    object that is written twice in a second does not look unchanged. Of what has neither date nor version it is now, as
    nothing tells whether it was changed.
    """
    if not version:
        return time.time_ns()
    seconds = 0 if date is None else int(date.timestamp())
    return seconds * 10**9 + zlib.crc32(version.encode()) % 10**9


def as_os_error(error: Exception, address: str) -> OSError:
    """An error of a service's package as one that says what could not be reached."""
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    if "credential" in reason.lower():
        reason += "; sign in as the service's own tools do (for S3: aws configure, or AWS_PROFILE)"
    return OSError(getattr(error, "errno", None) or 5, f"{reason} ({address})")
