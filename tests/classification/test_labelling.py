"""Labels are checked when they are given, and what is odd about those that are stored is listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import clusters
from small_banks import fill, label

from pipeline import Bank, extract, review_labels, search
from pipeline.bank.last_hits import recall_hit, remember_hits
from pipeline.classification.labelling import add_label, add_labels, import_labels, list_labels
from pipeline.commands import main
from pipeline.core.errors import LabelError, SourceError, UsageError


@pytest.fixture
def bank(videos: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bank"
    extract([videos / "red", videos / "blue"], bank=folder, encoder="lite", clips="whole")
    return folder


class TestChecks:
    def test_a_second_class_for_a_stretch_is_refused_and_kept_on_request(self, bank: Path, videos: Path) -> None:
        red = videos / "red" / "0.mp4"
        add_label(str(red), "fight", bank=bank)
        with pytest.raises(LabelError, match=r"is labelled 'fight' already, and now 'calm'.*label remove.*also=True"):
            add_label(str(red), "calm", bank=bank)
        assert [row.label for row in list_labels(bank=bank)] == ["fight"]
        add_label(str(red), "calm", bank=bank, also=True)
        assert [row.label for row in list_labels(bank=bank)] == ["fight", "calm"]
        add_label(f"{red}@0-0.3", "start", bank=bank)  # a moment of it is another stretch
        with pytest.raises(LabelError, match="is labelled 'fight' already"):
            add_label(f"{red}@0-0.95", "most", bank=bank)
        with pytest.raises(LabelError, match="is labelled 'start' already"):
            add_label(f"{red}@0-0.31", "stop", bank=bank)

    def test_a_stretch_outside_of_the_video_is_refused(self, bank: Path, videos: Path, tmp_path: Path) -> None:
        red = videos / "red" / "0.mp4"
        with pytest.raises(LabelError, match=r"lasts \d\.\d\d s, so 100 to 200 s lies outside"):
            add_label(f"{red}@100-200", "fight", bank=bank)
        with pytest.raises(LabelError, match="lies outside"):  # also of a video that no bank has read
            add_label(f"{red}@100-200", "fight", bank=tmp_path / "new")
        assert not (bank / "questions").exists()
        length = Bank(bank).videos(Bank(bank).recipe().id).popitem()[1].duration_seconds
        assert length is not None
        add_label(f"{red}@0-{length + 0.1}", "fight", bank=bank)  # rounded up
        no_video = tmp_path / "notes.txt"
        no_video.write_text("words")
        add_label(f"{no_video}@100-200", "fight", bank=bank)  # extracting it will tell what is wrong

    def test_names_that_differ_by_case_or_blanks_are_refused(self, bank: Path, videos: Path) -> None:
        add_label(str(videos / "red" / "0.mp4"), "high  jump", bank=bank)
        with pytest.raises(LabelError, match="'High jump' differs from 'high  jump' only in case or blanks"):
            add_label(str(videos / "blue" / "2.mp4"), "High jump ", bank=bank)
        add_label(str(videos / "blue" / "2.mp4"), "High jump", bank=bank, also=True)
        add_label(str(videos / "red" / "1.mp4"), "walk", bank=bank)  # the pair that was accepted is no news

    def test_a_table_with_one_wrong_label_adds_none(self, bank: Path, videos: Path, tmp_path: Path) -> None:
        table = tmp_path / "labels.csv"
        red, blue = videos / "red" / "0.mp4", videos / "blue" / "2.mp4"
        table.write_text(f"path,label\n{red},fight\n{blue},calm\n{blue},fight\n")
        with pytest.raises(LabelError, match="is labelled 'calm' already, and now 'fight'"):
            import_labels(table, bank=bank)
        assert list_labels(bank=bank) == []
        assert import_labels(table, bank=bank, also=True).num_new == 3
        assert import_labels(table, bank=bank, also=True).num_new == 0


class TestWhatIsNamed:
    def test_several_moments_folders_and_patterns(self, bank: Path, videos: Path) -> None:
        rows = add_labels([videos / "red", f"{videos}/blue/*.mp4"], "colour", bank=bank)
        assert {Path(row.video).parent.name for row in rows} == {"red", "blue"}
        assert len(rows) == len(list_labels(bank=bank)) == 3

    def test_clip_ids_as_results_print_them(self, bank: Path, videos: Path) -> None:
        hit = search(clips=[videos / "red" / "0.mp4"], bank=bank, k=1)[0]
        (row,) = add_labels(hit.clip_id, "near", bank=bank)
        assert (row.video_id, row.start_seconds, row.stop_seconds) == (
            hit.video_id,
            hit.peak_start_seconds,
            hit.peak_stop_seconds,
        )
        with pytest.raises(UsageError, match="no stored clip has the id"):
            add_labels("0123456789abcdef@0.000-2.000", "near", bank=bank)

    def test_hits_of_the_last_search(self, bank: Path, videos: Path) -> None:
        with pytest.raises(UsageError, match="no hit 1: there was none"):
            add_labels("hit:1", "near", bank=bank)
        found = CliRunner().invoke(main, ["search", "--clip", str(videos / "red" / "0.mp4"), "--bank", str(bank)])
        second = json.loads(found.stdout.splitlines()[1])
        (row,) = add_labels("hit:2", "near", bank=bank)
        assert (row.video_id, row.start_seconds) == (second["video_id"], second["start_seconds"])
        remember_hits(bank, [second])
        assert recall_hit(bank, 2)["clip_id"] == second["clip_id"]
        with pytest.raises(UsageError, match="no hit 1: it had 1"):
            recall_hit(bank, 1)

    def test_one_wrong_moment_labels_none(self, bank: Path, videos: Path) -> None:
        with pytest.raises(SourceError, match=r"nothing\.mp4"):
            add_labels([videos / "red" / "0.mp4", videos / "nothing.mp4"], "colour", bank=bank)
        assert list_labels(bank=bank) == []

    def test_paths_are_stored_without_detours(self, bank: Path, videos: Path) -> None:
        (row,) = add_labels(videos / "blue" / ".." / "red" / "0.mp4", "red", bank=bank)
        assert row.video == str(videos / "red" / "0.mp4")

    def test_swapped_arguments_get_a_hint(self, bank: Path, videos: Path) -> None:
        swapped = CliRunner().invoke(
            main, ["label", "add", "fight", str(videos / "red" / "0.mp4"), "--bank", str(bank)]
        )
        assert swapped.exit_code == 2
        assert "the class comes last" in swapped.output
        alone = CliRunner().invoke(main, ["label", "add", "fight", "--bank", str(bank)])
        assert (alone.exit_code, "name moments and then their class" in alone.output) == (2, True)


class TestReview:
    def test_each_kind_is_found(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=12, spread=0.3)
        X[1] = X[13] + 1e-2  # of class 0, and nearly what a clip of class 1 shows
        y[30] = "class 1"  # in the middle of class 2
        rows = fill(tmp_path, X)
        label(tmp_path, rows, y)
        label(tmp_path, rows[5:6], np.array(["Class 0"]))
        found = review_labels(bank=tmp_path)
        by_kind = {why: [odd for odd in found if odd.why == why] for why in {odd.why for odd in found}}
        assert set(by_kind) == {"two classes", "similar names", "near-duplicate", "unlikely"}
        (two,) = by_kind["two classes"]
        assert {two.label, two.other} == {"class 0", "Class 0"}
        (similar,) = by_kind["similar names"]
        assert (similar.label, similar.other) == ("Class 0", "class 0")
        assert any("/1.mp4" in str(odd.moment) for odd in by_kind["near-duplicate"])
        assert any("/30.mp4" in str(odd.moment) and odd.other == "class 2" for odd in by_kind["unlikely"])
        assert len(review_labels(bank=tmp_path, limit=1)) == len(by_kind)
        with pytest.raises(UsageError, match="limit must be at least 1"):
            review_labels(bank=tmp_path, limit=0)

    def test_good_labels_have_nothing_to_review(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=12, spread=0.1)
        label(tmp_path, fill(tmp_path, X), y)
        assert review_labels(bank=tmp_path) == []

    def test_the_command_lists_them(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=6)
        rows = fill(tmp_path, X)
        label(tmp_path, rows, y)
        label(tmp_path, rows[:1], np.array(["class 1"]))
        shown = CliRunner().invoke(main, ["label", "review", "--bank", str(tmp_path)])
        assert shown.exit_code == 0
        assert json.loads(shown.stdout.splitlines()[0])["why"] == "two classes"
