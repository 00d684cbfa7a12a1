"""Every public function and class shows an example, and the examples run.

They run in a folder with ``videos/`` (three short videos each in ``kick/`` and ``wave/``) and a bank ``bank`` of them,
made by the built-in encoder, with labels and a head; ``checkpoint/`` is a small fine-tuned one. All public names are
imported.
"""

from __future__ import annotations

import doctest
import inspect
import shutil
from pathlib import Path

import av
import checkpoints
import numpy as np
import pytest

import pipeline
from pipeline import extract, train_head

_PUBLIC = {name: getattr(pipeline, name) for name in pipeline.__all__}
_SHOWN = sorted(name for name, one in _PUBLIC.items() if inspect.isfunction(one) or inspect.isclass(one))
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def write_video(path: Path, *, hue: int, seed: int) -> None:
    """Two seconds of a square of one colour that drifts over a noisy ground."""
    random = np.random.default_rng(seed)
    ground = random.integers(0, 90, (96, 96, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for number in range(20):
            picture = ground.copy()
            at = 4 + (2 + seed % 3) * number
            picture[at : at + 30, 20:70, hue] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("story")
    for hue, name in ((0, "kick"), (2, "wave")):
        (folder / "videos" / name).mkdir(parents=True)
        for number in range(3):
            write_video(folder / "videos" / name / f"{number}.mp4", hue=hue, seed=10 * hue + number)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        extract("videos/", encoder="lite", window_seconds=1.0, labels_from_folders=True)
        train_head()
    checkpoints.videomae(folder / "checkpoint")
    return folder


@pytest.mark.parametrize("name", _SHOWN)
def test_the_example_of_a_public_name_runs(
    name: str, story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(story, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(_PUBLIC[name]) or "")
    assert examples, f"{name} has no example"
    report: list[str] = []
    test = doctest.DocTest(examples, dict(_PUBLIC), name, None, None, None)
    failed, _ = doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=report.append)
    assert failed == 0, "".join(report)
