"""The demo runs as a newcomer runs it, and its page has its pictures."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
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
    for words in ("3 videos: 3 ok", "20 videos: 20 ok", "15 videos: 15 ok", "triplet", "add-class jack"):
        assert words in result.stdout
    by_text = result.stdout.split("people riding bicycles")[1].split("\n")
    assert "bikes.mp4" in next(line for line in by_text if ".mp4" in line)
    figures = json.loads((tmp_path / "demo" / "report" / "metrics.json").read_text())
    assert figures["protocol"] == "stored head on videos it has not seen"
    assert (figures["clips"], figures["classes"], figures["groups"]) == (15, 5, 3)
    assert figures["top1"] > 0.8
    lines = result.stdout.split("clipdex predict")[1].splitlines()
    told = [line.split() for line in lines if line.rstrip().endswith(".mp4")]
    assert len(told) == 15
    assert sum(Path(line[-1]).name.startswith(f"{line[0]}_") for line in told) > 12
    page = (tmp_path / "demo" / "index.html").read_text()
    assert str(tmp_path) not in page
    for link in re.findall(r'href="([^"]+)"', page):
        assert (tmp_path / "demo" / link).is_file()
    pictures = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 17
    for picture in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        assert image.height == 160
        assert image.is_animated


def test_without_its_videos_the_demo_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'clipdex\[demo\]'"):
        demo.find_videos()
