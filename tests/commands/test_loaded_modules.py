"""Commands load the libraries that they use, and no more: what a new process imports is most of a short command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import extract, search, train_head

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "tokenizers",
    "efficientnet_lite_pytorch",
    "sklearn",
    "faiss",
    "matplotlib",
)
PROGRAM = (
    "import sys, pipeline.commands as c\n"
    "try: c.main(sys.argv[1:])\nexcept SystemExit as done: assert not done.code, done.code\n"
    f"print('LOADED', *[name for name in {HEAVY} if name in sys.modules])"
)


@pytest.fixture
def bank(videos: Path) -> Path:
    folder = videos.parent / "bank"
    extract(videos, bank=folder, encoder="lite", clips="whole", labels_from_folders=True)
    search(next(videos.rglob("*.mp4")), bank=folder)  # makes the index
    return folder


def loaded(*words: str | Path) -> set[str]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_info_loads_neither_torch_nor_an_encoder(bank: Path) -> None:
    assert loaded("info", "--bank", bank) <= {"sklearn"}


def test_a_linear_head_predicts_stored_clips_without_torch_and_encoder(bank: Path) -> None:
    train_head(bank=bank)
    assert loaded("predict", "--bank", bank) <= {"sklearn"}


def test_a_query_by_a_stored_clip_loads_no_encoder(bank: Path, videos: Path) -> None:
    video = next(videos.rglob("*.mp4"))
    assert loaded("search", "--clip", video, "--bank", bank) == {"faiss"}


def test_a_query_by_another_clip_loads_no_text_tower(bank: Path, videos: Path) -> None:
    video = next(videos.rglob("*.mp4"))
    assert loaded("search", "--clip", f"{video}@0-0.5", "--bank", bank) == {
        "torch",
        "efficientnet_lite_pytorch",
        "faiss",
    }


def test_a_text_query_loads_no_library_of_models(bank: Path) -> None:
    found = loaded("search", "a dog", "--bank", bank)
    assert found == {"torch", "efficientnet_lite_pytorch", "tokenizers", "faiss"}
