"""The demo runs as a newcomer runs it, and its page has its pictures."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.commands import _demo_steps as demo
from pipeline.commands import main
from pipeline.core.errors import MissingExtra


@pytest.mark.skipif(importlib.util.find_spec("skvideo") is None, reason="the extra 'demo' is not installed")
def test_the_demo_tells_the_whole_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["demo"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for words in ("3 videos: 3 ok", "clipdex search", "triplet", "add-class talking", "clipdex predict"):
        assert words in result.stdout
    by_text = result.stdout.split("people riding bicycles")[1].split("\n")
    assert "bikes.mp4" in next(line for line in by_text if ".mp4" in line)
    lines = result.stdout.split("clipdex predict")[1].splitlines()
    told = [line.split() for line in lines if line.rstrip().endswith(".mp4")]
    truth = {"bikes.mp4": "cycling", "bigbuckbunny.mp4": "cartoon", "carphone_pristine.mp4": "talking"}
    right = [truth[Path(line[-1]).name] == line[0] for line in told]
    assert len(right) >= 17
    assert sum(right) / len(right) > 0.9
    page = (tmp_path / "demo" / "index.html").read_text()
    pictures = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 6
    for picture in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        assert image.height == 160
        assert image.is_animated


def test_without_its_videos_the_demo_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'clipdex\[demo\]'"):
        demo.find_videos()
