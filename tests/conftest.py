"""What every test shares."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

# No test may wait for a hub: what is not on this machine is not there.
os.environ["HF_HUB_OFFLINE"] = "1"
# Tensors here are tiny: OpenMP's threads would wait for each other and use a core each while they do. Set before torch
# and NumPy are imported, and inherited by every process that a test starts. Tests of several threads set their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import checkpoints
import hard_videos
import hypothesis
import numpy as np
import object_stores
import pytest

from pipeline.core.recipe import PreprocessSettings, Recipe
from pipeline.core.types import FloatArray
from pipeline.encoders import load_encoder
from pipeline.encoders._families.efficientnet import EfficientNetLite
from pipeline.encoders._runtime.torchvision import make_importable

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("clipdex", deadline=None)
hypothesis.settings.load_profile("clipdex")

# The oracles import transformers themselves, which a torchvision that does not fit torch would break.
make_importable()


@pytest.fixture(scope="session")
def hard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, hard_videos.HardVideo]:
    """The whole catalogue of hard videos."""
    folder = tmp_path_factory.mktemp("hard")
    return {name: hard_videos.build(name, folder) for name in hard_videos.CATALOGUE}


@pytest.fixture(scope="session", autouse=True)
def class_names_encoded_once() -> Iterator[None]:
    """Encode the 1,000 class names of the built-in encoder once: it takes 2 s, and they never change."""
    encode = EfficientNetLite._class_vectors.func
    stored: list[FloatArray] = []

    def class_vectors(encoder: EfficientNetLite) -> FloatArray:
        if not stored:
            stored.append(encode(encoder))
        return stored[0]

    once = functools.cached_property(class_vectors)
    once.__set_name__(EfficientNetLite, "_class_vectors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EfficientNetLite, "_class_vectors", once)
        yield


@pytest.fixture(scope="session")
def lite_recipe() -> Recipe:
    """The recipe of the built-in encoder."""
    return load_encoder("lite").recipe(decoder="pyav")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_stores.S3]:
    """A real S3 server."""
    with object_stores.s3_server(tmp_path_factory.mktemp("copies")) as server:
        yield server


@pytest.fixture(scope="session")
def videomae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny fine-tuned VideoMAE checkpoint."""
    return checkpoints.videomae(tmp_path_factory.mktemp("videomae"))


@pytest.fixture(scope="session")
def xclip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny X-CLIP checkpoint."""
    return checkpoints.xclip(tmp_path_factory.mktemp("xclip"))


# A child inherits an ignored SIGINT, so a run under nohup or in a CI job's background would pass it on.
_WITH_SIGINT = """
import os, signal, sys
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts commands in process groups of their own, with pipes and the given handling of SIGINT; kills what is left
    of each group at the end, whatever happens in the test.
    """
    with contextlib.ExitStack() as ends:

        def started(
            command: Sequence[str | Path], *, sigint: Literal["SIG_DFL", "SIG_IGN"] = "SIG_DFL", cwd: Path | None = None
        ) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", _WITH_SIGINT, sigint, *command],
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            ends.enter_context(process)  # closes the pipes and waits
            ends.callback(_kill_group, process.pid)
            return process

        yield started


def _kill_group(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with three short videos of different content, in two folders."""
    folder = tmp_path / "videos"
    for place, number in (("red", 0), ("red", 1), ("blue", 2)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        times = hard_videos.steady(25 + 5 * number)
        hard_videos.write(folder / place / f"{number}.mp4", times, options=hard_videos.X264)
    return folder


def make_recipe(dim: int = 8, *, encoder: str = "videomae") -> Recipe:
    """A recipe for tests that need no encoder."""
    settings = PreprocessSettings(32, (32, 32), "bilinear", 1 / 255, (0.5,) * 3, (0.5,) * 3)
    return Recipe(
        encoder, "tiny", None, "0" * 64, 4, "centres of equal parts", settings, "mean", dim, "float32", "pyav"
    )


def clusters(
    *, classes: int = 3, each: int = 12, dim: int = 8, spread: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, dim) around one random centre for each class, and the classes' names."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, dim))
    y = np.repeat(np.arange(classes), each)
    X = centres[y] + spread * random.normal(size=(len(y), dim))
    return X.astype(np.float32), np.array([f"class {code}" for code in y])
