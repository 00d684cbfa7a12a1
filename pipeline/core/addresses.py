"""Addresses such as ``s3://bucket/videos/match.mp4`` as paths, so that whatever takes a path takes them too.

``Path`` writes two slashes as one, so ``s3://bucket/key`` becomes the path ``s3:/bucket/key``; its first part says that
it is an address. Text, for people and in a bank, has both slashes again: ``files.name_of`` and every error spell it so.
A key with empty parts (``a//b``) or with ``.`` as a part cannot be named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

# The schemes, what fsspec needs to open them, and the extra that brings it (None: the package itself needs it too).
STORES: dict[str, tuple[str, str | None]] = {
    "s3": ("s3fs", "s3"),
    "gs": ("gcsfs", "gs"),
    "gcs": ("gcsfs", "gs"),
    "az": ("adlfs", "az"),
    "abfs": ("adlfs", "az"),
    "abfss": ("adlfs", "az"),
    "hf": ("huggingface_hub", None),
    "http": ("aiohttp", "http"),
    "https": ("aiohttp", "http"),
}

_ONE_SLASH = re.compile(rf"\b({'|'.join(STORES)}):/(?=[^/])")


def scheme_of(path: Path | str) -> str | None:
    """The scheme of an address, such as ``s3``; None for a path on this machine."""
    scheme, colon, _ = str(path).partition(":")
    return scheme if colon and scheme in STORES and Path(path).parts[0] == f"{scheme}:" else None


def is_address(path: Path | str) -> bool:
    """Whether a path names something in an object store or on the web."""
    return scheme_of(path) is not None


def address_of(path: Path) -> str:
    """A path as the address that it stands for: ``s3://bucket/key``. Others stay as they are."""
    return spelled(path.as_posix()) if is_address(path) else str(path)


def spelled(text: str) -> str:
    """A sentence with the addresses in it spelled as people write them."""
    return _ONE_SLASH.sub(r"\1://", text)


def absolute(path: Path) -> Path:
    """The path from the root on and without ``..``; links stay as they are."""
    if is_address(path):
        return Path(os.path.normpath(PurePosixPath(path.as_posix())))
    return Path(os.path.abspath(path))
