"""Labels are checked when they are given, and what is odd about those that are stored is listed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import hard_videos
import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import clusters
from small_banks import fill, label

from pipeline import Bank, extract, review_labels, search, train_head
from pipeline.bank.label_conflicts import contradictions, same_stretch
from pipeline.bank.labels import Labels
from pipeline.bank.last_hits import recall_hit, remember_hits
from pipeline.bank.negative_labels import contradict
from pipeline.classification.labelling import add_label, add_labels, export_labels, import_labels, list_labels
from pipeline.commands import main
from pipeline.core.errors import LabelError, SourceError, UsageError
from pipeline.core.types import LabelRow


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
        with pytest.raises(LabelError, match=r"lasts from 0\.00 to \d\.\d\d s, so 100-200 s lies outside"):
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
        with pytest.raises(LabelError, match="is given two classes at once, 'calm' and 'fight'"):
            import_labels(table, bank=bank)
        assert list_labels(bank=bank) == []
        assert import_labels(table, bank=bank, also=True).num_new == 3
        assert import_labels(table, bank=bank).num_new == 0  # what is there is no news
        export_labels(tmp_path / "exported.csv", bank=bank)
        assert import_labels(tmp_path / "exported.csv", bank=bank).num_new == 0

    def test_times_of_a_video_that_does_not_start_at_0_are_its_own(
        self, bank: Path, hard: dict[str, hard_videos.HardVideo]
    ) -> None:
        late = hard["start-offset.mkv"].path
        for extracted in (False, True):
            if extracted:
                extract([late], bank=bank, encoder="lite", clips="whole")
            add_label(f"{late}@5.1-5.5", f"fight {extracted}", bank=bank, also=True)
            with pytest.raises(LabelError, match="lasts from 5.00 to"):
                add_label(f"{late}@100-101", "fight", bank=bank)

    def test_a_file_that_cannot_be_decoded_may_have_labels_that_are_compared(self, bank: Path, tmp_path: Path) -> None:
        junk = tmp_path / "junk.mp4"
        junk.write_bytes(b"no video")
        add_label(f"{junk}@1-2", "a", bank=bank)
        with pytest.raises(LabelError, match="is labelled 'a' already"):
            add_label(f"{junk}@1-2", "b", bank=bank)
        add_label(str(junk), "c", bank=bank)  # how long it is nobody knows

    def test_the_command_that_an_error_names_removes_that_label(self, bank: Path, tmp_path: Path) -> None:
        junk = tmp_path / "junk.mp4"
        junk.write_bytes(b"no video")
        add_label(f"{junk}@1234.5678912-1240.25", "a", bank=bank)
        with pytest.raises(LabelError) as said:
            add_label(f"{junk}@1234.5678912-1240.25", "b", bank=bank)
        command = shlex.split(str(said.value).partition("clipdex ")[2].partition(". Or keep")[0])
        done = CliRunner().invoke(main, [*command, "--bank", str(bank)], catch_exceptions=False)
        assert "1 label removed" in done.stderr

    def test_many_labels_of_one_video_are_compared_with_their_neighbours_only(self) -> None:
        random = np.random.default_rng(0)
        starts = random.uniform(0, 900, 400)
        rows = [
            LabelRow("v", "v.mp4", str(random.choice(["a", "b", "not:a"])), start, start + float(random.uniform(1, 20)))
            for start in starts.tolist()
        ]
        rows += [LabelRow("v", "v.mp4", "whole"), LabelRow("v", "v.mp4", "a", 0.0, 2900.0)]
        split = 150
        naive = [
            (row, other)
            for number, row in enumerate(rows[split:], start=split)
            for other in rows[:number]
            if contradict(row.label, other.label) and same_stretch(row, other, 3000.0)
        ]
        assert len(naive) > 20
        assert contradictions(rows[split:], rows[:split], {"v": 3000.0}) == naive


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


class TestMistakesOnTheCommandLine:
    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(main, [str(one) for one in arguments])

    def test_a_forgotten_class_does_not_make_one_of_a_file(self, bank: Path, videos: Path) -> None:
        files = sorted((videos / "red").iterdir())
        done = self.run("label", "add", *files, "--bank", bank)
        assert (done.exit_code, "is a file, and the class comes last" in done.stderr) == (2, True)
        done = self.run("add-class", files[0], "red", "--bank", bank)
        assert (done.exit_code, "is a file, and the class comes first" in done.stderr) == (2, True)
        assert list_labels(bank=bank) == []
        done = self.run("search", files[0], "--bank", bank)
        assert (done.exit_code, "--clip" in done.stderr) == (2, True)

    def test_a_search_without_hits_leaves_none_to_label(self, bank: Path) -> None:
        self.run("search", "a bar code", "--bank", bank)
        assert recall_hit(bank, 1)["clip_id"]
        self.run("search", "a bar code", "--where", "start_seconds>100", "--bank", bank)
        with pytest.raises(UsageError, match="no hit 1"):
            recall_hit(bank, 1)
        (bank / "last_hits.json").write_text("{")
        with pytest.raises(UsageError, match=r"last_hits\.json is damaged.*search again"):
            recall_hit(bank, 1)

    def test_removing_a_label_that_is_not_there_fails(self, bank: Path, videos: Path) -> None:
        red = videos / "red" / "0.mp4"
        add_label(f"{red}@0-0.5", "fight", bank=bank)
        for arguments in ((red,), ("--class", "fihgt")):
            done = self.run("label", "remove", *arguments, "--bank", bank)
            assert (done.exit_code, "0-0.5" in done.stderr or "fight" in done.stderr) == (1, True)
        assert len(list_labels(bank=bank)) == 1


def test_a_label_without_a_group_leaves_its_video_in_the_group(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=8)
    rows = fill(tmp_path, X)
    for number, (row, name) in enumerate(zip(rows, y, strict=True)):
        add = [LabelRow(row.video_id, row.video, name, group=f"person {number % 4}")]
        if number % 2:  # somebody labels the same stretch by hit:N, which has no group
            add.append(LabelRow(row.video_id, row.video, name, row.start_seconds, row.stop_seconds))
        Labels(tmp_path).add(add)
    assert train_head(bank=tmp_path).groups == 4


def test_replacing_a_head_names_the_classes_that_are_lost(tmp_path: Path) -> None:
    X, y = clusters(classes=3, each=6)
    rows = fill(tmp_path, X)
    label(tmp_path, rows, y)
    assert not any("was replaced" in text for text in train_head(bank=tmp_path).warnings)
    Labels(tmp_path).remove(lambda row: row.label != "class 2")
    (warning,) = [text for text in train_head(bank=tmp_path).warnings if "was replaced" in text]
    assert "knew class 2, which this one does not" in warning


def test_labels_of_videos_that_are_not_in_the_bank_are_counted(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=6)
    label(tmp_path, fill(tmp_path, X), y)
    Labels(tmp_path).add([LabelRow("f" * 64, "/elsewhere.mp4", "class 0")])
    (warning,) = [text for text in train_head(bank=tmp_path).warnings if "elsewhere" in text]
    assert "1 of 13 labels are of videos that have no labelled clip" in warning


def test_a_wrong_label_is_found_also_if_labels_have_a_split(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=12)
    rows = fill(tmp_path, X)
    given = [*y.tolist()]
    given[0] = "class 1"
    for number, (row, name) in enumerate(zip(rows, given, strict=True)):
        Labels(tmp_path).add([LabelRow(row.video_id, row.video, name, split="test" if number % 4 == 1 else "train")])
    assert [odd.moment for odd in review_labels(bank=tmp_path) if odd.why == "unlikely"] == [f"{rows[0].video}@0-2"]
