"""In a notebook an extraction shows how far it is; elsewhere it shows nothing by itself."""

from __future__ import annotations

from pathlib import Path

import hard_videos
import nbformat
import pytest
from nbclient import NotebookClient

from pipeline.extraction.encode_loop import Progress
from pipeline.extraction.notebook_progress import _html, notebook_progress


def test_outside_of_a_notebook_there_is_no_bar() -> None:
    assert notebook_progress() is None


def test_a_bar_says_how_far_it_is_and_what_failed() -> None:
    assert _html(Progress(1, 3, 12), 0, 4.2) == '<progress value="1" max="3"></progress> 1 of 3 videos, 12 clips, 4 s'
    assert _html(Progress(3, 3, 12), 2, 4.2).endswith("3 of 3 videos, 12 clips, 4 s, 2 failed")


@pytest.mark.filterwarnings("default")  # of the kernel's own, which is not ours
def test_a_notebook_shows_one_bar_that_moves_to_the_end(tmp_path: Path) -> None:
    for number in range(2):
        hard_videos.write(tmp_path / f"{number}.mp4", hard_videos.steady(25 + number), options=hard_videos.X264)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    cells = [
        "from pipeline import extract\ndone = extract(['0.mp4', '1.mp4', 'broken.mp4'], encoder='lite')",
        "silent = extract('0.mp4', bank='other', encoder='lite', on_progress=lambda _: None)",
        "done",
        "shared = extract(['0.mp4', '1.mp4', 'broken.mp4'], bank='third', encoder='lite', runner='processes')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, silent, shown, shared = ([one["data"] for one in cell.outputs if "data" in one] for cell in notebook.cells)
    for (bar,) in (first, shared):  # the second one adds up what two processes report
        assert bar["text/html"].startswith('<progress value="3" max="3"></progress> 3 of 3 videos, 2 clips, ')
        assert bar["text/html"].endswith(", 1 failed")
    assert silent == []
    assert "<th>failed</th>" in shown[0]["text/html"]
