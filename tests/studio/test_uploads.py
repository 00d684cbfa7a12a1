"""Uploaded files take no more room than they may, and none stays without an id."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from pipeline.studio import uploads as module
from pipeline.studio.uploads import Uploads
from pipeline.studio.workspace import Unknown


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    found = Uploads()
    yield found
    found.close()


def picture(num_bytes: int) -> BinaryIO:
    """A PNG of that size: what comes after a picture is not read."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return io.BytesIO(file.getvalue().ljust(num_bytes, b"\0"))


def stored(uploads: Uploads) -> list[Path]:
    return list(Path(uploads._folder.name).iterdir())


def test_the_oldest_files_make_room(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 10_000)
    keys = [uploads.add(picture(4_000), "a.png") for _ in range(4)]
    assert sum(path.stat().st_size for path in stored(uploads)) == 8_000
    with pytest.raises(Unknown, match="drop it again"):
        uploads.part(keys[1])
    assert [uploads.part(key).kind for key in keys[2:]] == ["image", "image"]
    large = uploads.add(picture(20_000), "a.png")  # by itself more than all may have: it is what is searched with now
    assert len(stored(uploads)) == 1
    assert uploads.part(large).kind == "image"


def test_what_ends_early_leaves_no_file(uploads: Uploads) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("the disk is full")
            return super().read(min(10, size or 0))

    with pytest.raises(OSError, match="the disk is full"):
        uploads.add(Broken(bytes(100)), "a.mp4")
    assert stored(uploads) == []
