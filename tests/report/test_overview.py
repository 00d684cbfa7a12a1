"""A page that brings together what commands have found."""

from __future__ import annotations

from pathlib import Path

import hard_videos

from pipeline.core.types import Span
from pipeline.report.overview import Card, Section, write_overview


def test_it_has_pictures_figures_and_links_and_says_where_a_picture_is_missing(tmp_path: Path) -> None:
    video = hard_videos.write(tmp_path / "a <b>.mp4", hard_videos.steady(30), options=hard_videos.X264).path
    cards = [Card(str(video), Span(0, 1), "walk", 0.75), Card("/gone/away.mp4", Span(1, 2.5), "no class", 0.5)]
    section = Section("Predictions", "report.html", "The report", cards, {"top-1": "0.90"})
    write_overview(tmp_path / "index.html", [section], title="Try <this>")
    page = (tmp_path / "index.html").read_text()
    assert "<h1>Try &lt;this&gt;</h1>" in page
    assert '<a href="report.html">The report</a>' in page
    assert "<b>0.90</b><span>top-1</span>" in page
    assert page.count("data:image/webp;base64,") == 1
    assert page.count("no picture") == 1
    assert "a &lt;b&gt;.mp4, 0.0–1.0 s" in page
    assert "away.mp4, 1.0–2.5 s" in page
    assert str(tmp_path) not in page
