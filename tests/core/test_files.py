"""Sizes of folders that others change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pipeline.core.files import bytes_in


def test_a_folder_that_vanishes_while_its_size_is_taken_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("a", 3), ("b", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(bytes(size))
    assert bytes_in(tmp_path) == 8
    honest = os.scandir

    def scandir(path: object) -> object:
        if str(path).endswith("b"):  # swept by another process after it was listed
            shutil.rmtree(str(path), ignore_errors=True)
        return honest(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert bytes_in(tmp_path) == 3
