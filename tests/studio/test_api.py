"""The HTTP API does what the verbs do."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from pipeline import Bank, Searcher, extract
from pipeline.bank.labels import Labels
from pipeline.classification.labelling import add_label, remove_labels
from pipeline.classification.predict import ClipScores, score_clips
from pipeline.maintenance.compact_prune import prune
from pipeline.studio import jobs as jobs_module
from pipeline.studio import predictions
from pipeline.studio.api.clips import clip_page
from pipeline.studio.jobs import Job, JobCancelled, Jobs
from pipeline.studio.rankings import Query


def clips(studio: TestClient, **query: Any) -> list[dict[str, Any]]:
    return studio.get("/api/clips", params=query).json()["clips"]


def label(studio: TestClient, class_name: str | None, *ids: str) -> dict[str, Any]:
    return studio.post("/api/labels", json={"class_name": class_name, "clips": list(ids)}).json()


def finished(studio: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(600):
        job = studio.get(f"/api/jobs/{job['id']}").json()
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(job)


class TestClips:
    def test_pages_hold_all_clips_once(self, studio: TestClient, bank: Path) -> None:
        total = studio.get("/api/bank").json()["clips"]
        assert total == len(Bank(bank)) >= 6
        pages = [studio.get("/api/clips", params={"start": start, "count": 2}).json() for start in range(0, total, 2)]
        assert {page["total"] for page in pages} == {total}
        ids = [clip["clip_id"] for page in pages for clip in page["clips"]]
        table = Bank(bank).clips(Bank(bank).recipe().id)
        assert ids == table.ids

    def test_a_text_ranks_as_search_does(self, studio: TestClient, bank: Path) -> None:
        found = studio.get("/api/clips", params={"text": "a bar code"}).json()
        hits = Searcher(bank, exact=True).search("a bar code", k=100, each_clip=True)
        assert [clip["clip_id"] for clip in found["clips"]] == [hit.clip_id for hit in hits]
        assert [clip["score"] for clip in found["clips"]] == pytest.approx([hit.score for hit in hits], abs=1e-5)

    def test_examples_conditions_and_selections(self, studio: TestClient) -> None:
        everything = clips(studio)
        one = everything[0]
        like = studio.get("/api/clips", params={"like": one["clip_id"]}).json()
        assert one["clip_id"] not in [clip["clip_id"] for clip in like["clips"]]
        early = clips(studio, where="start_seconds<0.5")
        assert [clip["clip_id"] for clip in early] == [
            clip["clip_id"] for clip in everything if clip["start_seconds"] < 0.5
        ]
        ids = [clip["clip_id"] for clip in everything[3:0:-1]]
        stored = studio.post("/api/selections", json={"clips": ids}).json()
        assert [clip["clip_id"] for clip in clips(studio, selection=stored["selection"])] == ids
        away = clips(studio, like=one["clip_id"], unlike=everything[-1]["clip_id"])
        assert away[-1]["clip_id"] == everything[-1]["clip_id"]

    def test_conditions_on_labels_follow_the_labels(self, studio: TestClient) -> None:
        one = clips(studio)[0]["clip_id"]
        label(studio, "walk", one)
        assert [clip["clip_id"] for clip in clips(studio, where="label = walk")] == [one]
        label(studio, "run", one)
        assert [clip["clip_id"] for clip in clips(studio, where="label = run")] == [one]

    @pytest.mark.parametrize(
        ("query", "status", "says"),
        [
            ({"where": "colour=red"}, 400, "colour"),
            ({"like": "0" * 16}, 404, "no clip of this bank"),
            ({"selection": "s0"}, 404, "select the clips again"),
            ({"upload": "0"}, 404, "drop it again"),
            ({"start": -1}, 422, "start"),
            ({"count": 10_000}, 422, "count"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, studio: TestClient, query: dict, status: int, says: str) -> None:
        answer = studio.get("/api/clips", params=query)
        assert answer.status_code == status
        assert says in answer.json()["error"]

    def test_clips_that_others_extract_appear(self, studio: TestClient, bank: Path, videos: Path) -> None:
        before = studio.get("/api/clips").json()["total"]
        extract([f"{videos / 'red' / '0.mp4'}@0.1-0.4"], bank=bank, encoder=Bank(bank).recipe())
        assert studio.get("/api/clips").json()["total"] == before + 1

    def test_an_empty_bank_is_no_error(self, tmp_path: Path, open_studio: Callable[..., TestClient]) -> None:
        studio = open_studio(tmp_path / "new")
        assert studio.get("/api/clips").json() == {"total": 0, "start": 0, "clips": [], "notes": []}
        assert studio.get("/api/bank").json()["encoder"] is None


class TestBanksThatChange:
    """A place in the clips is of another clip when the bank changed, so that no request mixes two states."""

    @staticmethod
    def without_red_0(bank: Path, videos: Path) -> None:
        (videos / "red" / "0.mp4").unlink()
        prune(bank=bank)

    def test_a_selection_holds_the_same_clips_after_others_went(
        self, studio: TestClient, bank: Path, videos: Path
    ) -> None:
        everything = clips(studio)
        ids = [clip["clip_id"] for clip in everything[::-1]]
        stored = studio.post("/api/selections", json={"clips": ids}).json()["selection"]
        self.without_red_0(bank, videos)
        gone = {clip["clip_id"] for clip in everything if clip["video"] == str(videos / "red" / "0.mp4")}
        assert gone
        page = studio.get("/api/clips", params={"selection": stored}).json()
        assert [clip["clip_id"] for clip in page["clips"]] == [name for name in ids if name not in gone]
        assert page["total"] == len(ids) - len(gone)
        assert page["notes"] == [f"{len(gone)} of the {len(ids)} selected clips are no longer in the bank"]

    @pytest.mark.parametrize("text", ["", "a bar code"])
    def test_a_page_is_cut_from_the_clips_that_were_ranked(
        self, studio: TestClient, bank: Path, videos: Path, text: str
    ) -> None:
        ids = [clip["clip_id"] for clip in clips(studio, text=text)]
        ranking = studio.app.state.studio.rankings.of(Query(text=text))
        self.without_red_0(bank, videos)
        assert studio.get("/api/bank").json()["clips"] < len(ids)
        page = clip_page(studio.app.state.studio, ranking, 0, 500)
        assert [clip.clip_id for clip in page.clips] == ids

    def test_predictions_are_of_the_clips_that_are_there(
        self, studio: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        everything = clips(studio)
        for name in ("red", "blue"):
            label(studio, name, *(clip["clip_id"] for clip in everything if f"/{name}/" in clip["video"]))
        finished(studio, studio.post("/api/trainings", json={}).json())

        def changed(*args: Any, **kwargs: Any) -> ClipScores:
            """The bank lost its first clip and got another one while the head was applied."""
            found = score_clips(*args, **kwargs)
            new = dataclasses.replace(found.clips[0], clip_id="f" * 16 + "@0.000-0.500")
            return dataclasses.replace(found, clips=[new, *found.clips[1:]])

        monkeypatch.setattr(predictions, "score_clips", changed)
        first, *others = [clip["clip_id"] for clip in everything]
        page = studio.get("/api/heads/default/clips").json()
        assert sorted(clip["clip_id"] for clip in page["clips"]) == sorted(others)
        assert page["total"] == len(others)
        video = everything[0]["video_id"]
        timeline = studio.get(f"/api/videos/{video}/timeline", params={"head": "default"})
        assert timeline.status_code == 200
        by_id = {clip["clip_id"]: clip for clip in timeline.json()["clips"]}
        assert (by_id[first]["predicted"], by_id[first]["score"]) == (None, None)
        assert all(clip["score"] is not None for name, clip in by_id.items() if name != first)


class TestPictures:
    def test_a_sprite_has_eight_frames_and_is_made_once(self, studio: TestClient, bank: Path) -> None:
        one = clips(studio)[0]
        answer = studio.get(f"/api/clips/{one['clip_id']}/sprite.webp")
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == (8 * 256, 144)
        assert "immutable" in answer.headers["cache-control"]
        (stored,) = (bank / "previews").glob("*.webp")
        stored.write_bytes(b"what was stored")
        assert studio.get(f"/api/clips/{one['clip_id']}/sprite.webp").content == b"what was stored"

    def test_an_excerpt_is_a_video_that_browsers_play(self, studio: TestClient, tmp_path: Path) -> None:
        from pipeline.decoders import open_video

        one = clips(studio)[0]
        times = {"start_seconds": 0.0, "stop_seconds": 0.5}
        answer = studio.get(f"/api/videos/{one['video_id']}/excerpt.mp4", params=times)
        (tmp_path / "excerpt.mp4").write_bytes(answer.content)
        with open_video(tmp_path / "excerpt.mp4") as video:
            assert video.info.stop_seconds == pytest.approx(0.5, abs=0.15)

    def test_a_file_that_is_gone_or_another_one_is_not_served(self, studio: TestClient) -> None:
        one = clips(studio)[0]
        address = f"/api/videos/{one['video_id']}"
        content = Path(one["video"]).read_bytes()
        assert studio.get(address).content == content
        Path(one["video"]).write_bytes(b"a secret that replaced the video")
        assert "holds another video" in studio.get(address).json()["error"]
        Path(one["video"]).unlink()
        for path in (address, f"/api/clips/{one['clip_id']}/sprite.webp"):
            answer = studio.get(path)
            assert (answer.status_code, "cannot be read" in answer.json()["error"]) == (404, True)

    def test_uploads_are_searched_with_and_never_stored(self, studio: TestClient, bank: Path) -> None:
        one = clips(studio)[0]
        content = Path(one["video"]).read_bytes() + b"another content"
        stored = studio.post("/api/uploads", files={"file": ("query.mp4", content)})
        assert stored.status_code == 201
        found = studio.get("/api/clips", params={"upload": stored.json()["upload"]}).json()
        assert found["total"] == len(Bank(bank))
        assert found["clips"][0]["score"] > 0.8
        pixels = io.BytesIO()
        Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(pixels, "PNG")
        picture = studio.post("/api/uploads", files={"file": ("../../a.png", pixels.getvalue())}).json()
        assert picture["name"] == "a.png"
        assert clips(studio, upload=picture["upload"])
        refused = studio.post("/api/uploads", files={"file": ("notes.mp4", b"no video")})
        assert (refused.status_code, "neither a video nor a picture" in refused.json()["error"]) == (400, True)


class TestLabels:
    def test_a_label_is_in_the_bank_at_once_and_undone(self, studio: TestClient, bank: Path) -> None:
        one, other = (clip["clip_id"] for clip in clips(studio)[:2])
        assert label(studio, "walk", one, other)["added"] == 2
        assert [row.label for row in Labels(bank).rows()] == ["walk", "walk"]
        changed = label(studio, "run", one)  # in the place of the other class
        assert (changed["added"], changed["removed"]) == (1, 1)
        assert sorted(row.label for row in Labels(bank).rows()) == ["run", "walk"]
        studio.post("/api/labels/undo")
        assert [row.label for row in Labels(bank).rows()] == ["walk", "walk"]
        studio.post("/api/labels/undo")
        assert Labels(bank).rows() == []
        nothing = studio.post("/api/labels/undo").json()
        assert (nothing["added"], nothing["removed"]) == (0, 0)

    def test_a_label_on_the_whole_video_gives_way_to_that_of_its_only_clip(
        self, studio: TestClient, bank: Path, videos: Path
    ) -> None:
        extract([videos], bank=bank, encoder=Bank(bank).recipe(), clips="whole")
        add_label(str(videos / "red" / "0.mp4"), "calm", bank=bank)
        whole = next(
            one for one in clips(studio) if one["name"] == "0.mp4" and one["stop_seconds"] > 0.9 + one["start_seconds"]
        )
        assert whole["label"] == "calm"
        label(studio, "fight", whole["clip_id"])
        assert [row.label for row in Labels(bank).rows()] == ["fight"]
        studio.post("/api/labels/undo")
        assert [(row.label, row.span) for row in Labels(bank).rows()] == [("calm", None)]

    def test_a_negative_label_stands_beside_other_classes(self, studio: TestClient, bank: Path) -> None:
        one = clips(studio)[0]["clip_id"]
        label(studio, "walk", one)
        label(studio, "not:run", one)
        assert [row.label for row in Labels(bank).rows()] == ["walk", "not:run"]
        assert clips(studio)[0]["label"] == "walk"
        label(studio, "not:walk", one)
        assert [row.label for row in Labels(bank).rows()] == ["not:run", "not:walk"]

    def test_negative_labels_are_counted_with_their_class(self, studio: TestClient) -> None:
        one, other = (clip["clip_id"] for clip in clips(studio)[:2])
        label(studio, "run", one)
        changed = label(studio, "not:walk", one, other)
        assert changed["classes"] == [
            {"name": "run", "labels": 1, "negatives": 0},
            {"name": "walk", "labels": 0, "negatives": 2},
        ]
        assert [(clip["label"], clip["not_of"]) for clip in changed["clips"]] == [("run", ["walk"]), (None, ["walk"])]
        now = studio.post("/api/labels/of-clips", json={"clips": [other, "gone"]}).json()
        assert [(clip["clip_id"], clip["not_of"]) for clip in now] == [(other, ["walk"])]
        assert studio.get("/api/bank").json()["classes"] == studio.get("/api/classes").json()
        tasks = studio.get("/api/exports/labels.labelstudio").json()
        named = [one["value"]["timelinelabels"] for task in tasks for one in task["predictions"][0]["result"]]
        assert named == [["run"]]
        archive = zipfile.ZipFile(io.BytesIO(studio.get("/api/exports/labels.fiftyone").content))
        assert json.loads(archive.read("labels.json"))["classes"] == ["run"]
        assert len(studio.get("/api/exports/labels.json").json()) == 3  # which clipdex reads back

    @pytest.mark.parametrize("name", ["", "  "])
    def test_a_class_needs_a_name(self, studio: TestClient, bank: Path, name: str) -> None:
        answer = studio.post("/api/labels", json={"class_name": name, "clips": [clips(studio)[0]["clip_id"]]})
        assert (answer.status_code, "has no name" in answer.json()["error"]) == (400, True)
        assert Labels(bank).rows() == []

    def test_undo_says_what_it_took_back(self, studio: TestClient) -> None:
        one, other = (clip["clip_id"] for clip in clips(studio)[:2])
        label(studio, "wave", one, other)
        label(studio, None, one)
        answers = [studio.post("/api/labels/undo").json()["undone"] for _ in range(3)]
        assert answers == ["1 stretch: wave removed", "2 stretches: wave", None]

    def test_each_page_undoes_its_own_changes(self, studio: TestClient, bank: Path) -> None:
        one, other, third = (clip["clip_id"] for clip in clips(studio)[:3])
        for page, name, clip in (("a", "walk", one), ("b", "run", other), (None, "jump", third)):
            headers = {} if page is None else {"X-Clipdex-Page": page}
            studio.post("/api/labels", json={"class_name": name, "clips": [clip]}, headers=headers)
        undone = studio.post("/api/labels/undo", headers={"X-Clipdex-Page": "a"}).json()
        assert (undone["undone"], undone["removed"]) == ("1 stretch: walk", 1)
        assert studio.post("/api/labels/undo", headers={"X-Clipdex-Page": "a"}).json()["undone"] is None
        assert sorted(row.label for row in Labels(bank).rows()) == ["jump", "run"]
        assert studio.post("/api/labels/undo").json()["undone"] == "1 stretch: jump"

    def test_undo_does_not_bring_back_what_was_contradicted_since(self, studio: TestClient, bank: Path) -> None:
        one = clips(studio)[0]["clip_id"]
        label(studio, "run", one)
        label(studio, "walk", one)
        Labels(bank).change(lambda row: dataclasses.replace(row, label="stroll"))  # as rename-class does
        refused = studio.post("/api/labels/undo")
        assert refused.status_code == 400
        assert "is labelled 'stroll' by now, so that 'run' cannot be brought back" in refused.json()["error"]
        assert [row.label for row in Labels(bank).rows()] == ["stroll"]
        remove_labels(class_name="stroll", bank=bank)
        assert studio.post("/api/labels/undo").json()["undone"] == "1 stretch: walk"  # it was not forgotten
        assert [row.label for row in Labels(bank).rows()] == ["run"]

    def test_undo_says_if_nothing_was_left_of_a_change(self, studio: TestClient, bank: Path) -> None:
        label(studio, "walk", clips(studio)[0]["clip_id"])
        Labels(bank).change(lambda row: dataclasses.replace(row, label="stroll"))
        undone = studio.post("/api/labels/undo").json()
        assert (undone["added"], undone["removed"], undone["undone"].startswith("nothing: ")) == (0, 0, True)
        assert [row.label for row in Labels(bank).rows()] == ["stroll"]

    def test_a_second_class_that_was_there_before_does_not_stop_undo(self, studio: TestClient, bank: Path) -> None:
        one = clips(studio)[0]
        moment = f"{one['video']}@{one['start_seconds']}-{one['stop_seconds']}"
        add_label(moment, "calm", bank=bank)
        add_label(moment, "slow", bank=bank, also=True)
        label(studio, "fast", one["clip_id"])
        studio.post("/api/labels/undo")
        assert sorted(row.label for row in Labels(bank).rows()) == ["calm", "slow"]

    def test_a_stretch_between_clips_can_be_labelled(self, studio: TestClient, bank: Path) -> None:
        one = clips(studio)[0]
        stretch = {"video_id": one["video_id"], "start_seconds": 0.2, "stop_seconds": 0.7}
        studio.post("/api/labels", json={"class_name": "walk", "stretches": [stretch]})
        (row,) = Labels(bank).rows()
        assert (row.video_id, row.start_seconds, row.stop_seconds) == (one["video_id"], 0.2, 0.7)
        bad = studio.post("/api/labels", json={"class_name": "walk", "stretches": [{**stretch, "stop_seconds": 0.1}]})
        assert (bad.status_code, "must end after it starts" in bad.json()["error"]) == (400, True)

    def test_names_that_differ_in_case_only_are_refused(self, studio: TestClient) -> None:
        one, other = (clip["clip_id"] for clip in clips(studio)[:2])
        label(studio, "walk", one)
        assert "only in case or blanks" in label(studio, "Walk", other)["error"]

    def test_several_pages_at_once_lose_no_label(self, studio: TestClient, bank: Path) -> None:
        ids = [clip["clip_id"] for clip in clips(studio)]
        names = [f"class {number}" for number in range(len(ids))]
        threads = [threading.Thread(target=label, args=(studio, *pair)) for pair in zip(names, ids, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(row.label for row in Labels(bank).rows()) == sorted(names)


class TestHeads:
    @pytest.fixture
    def taught(self, studio: TestClient) -> TestClient:
        everything = clips(studio)
        for name in ("red", "blue"):
            label(studio, name, *(clip["clip_id"] for clip in everything if f"/{name}/" in clip["video"]))
        return studio

    def test_a_head_is_trained_shown_and_evaluated(self, taught: TestClient) -> None:
        job = finished(taught, taught.post("/api/trainings", json={"name": "new"}).json())
        assert (job["state"], job["result"]["classes"]) == ("done", ["blue", "red"])
        assert taught.get("/api/bank").json()["heads"] == ["new"]
        assert taught.get("/api/heads/new").json()["counts"] == {"blue": 3, "red": 5}
        page = taught.get("/api/heads/new/clips", params={"class_name": "red"}).json()
        assert [clip["score"] for clip in page["clips"]] == sorted(
            (clip["score"] for clip in page["clips"]), reverse=True
        )
        assert page["clips"][0]["predicted"] in ("red", None)
        evaluated = finished(taught, taught.post("/api/heads/new/evaluations").json())
        assert evaluated["state"] == "failed"  # one video of blue: nothing can be held out
        assert "held out" in evaluated["error"] or "hold out" in evaluated["error"]

    def test_the_timeline_of_a_video_has_its_clips_and_segments(self, taught: TestClient) -> None:
        finished(taught, taught.post("/api/trainings", json={}).json())
        video = clips(taught)[0]["video_id"]
        found = taught.get(f"/api/videos/{video}/timeline", params={"head": "default", "min_score": 0.0}).json()
        starts = [clip["start_seconds"] for clip in found["clips"]]
        assert starts == sorted(starts)
        assert len(starts) >= 2
        assert all(0 <= one["start_seconds"] < one["stop_seconds"] for one in found["segments"])
        assert taught.get(f"/api/videos/{video}/timeline").json()["segments"] == []

    def test_what_does_not_exist_is_named(self, studio: TestClient) -> None:
        assert "no head" in studio.get("/api/heads/none").json()["error"]
        assert studio.post("/api/heads/none/evaluations").status_code == 400
        assert studio.get("/api/videos/none/timeline").status_code == 404
        assert studio.get("/api/jobs/none").status_code == 404
        failed = finished(studio, studio.post("/api/trainings", json={}).json())
        assert (failed["state"], "no labels" in failed["error"]) == ("failed", True)

    def test_suggestions_leave_out_what_is_labelled(self, taught: TestClient) -> None:
        everything = clips(taught)
        label(taught, None, *(clip["clip_id"] for clip in everything[:2]))
        found = taught.get("/api/suggestions", params={"class_name": "red", "count": 5}).json()
        assert {clip["clip_id"] for clip in found["clips"]} == {clip["clip_id"] for clip in everything[:2]}
        assert (found["positives"] + found["negatives"], found["enough"]) == (len(everything) - 2, False)

    def test_the_cosines_of_few_class_names_are_held(self, taught: TestClient) -> None:
        for number in range(12):
            taught.get("/api/suggestions", params={"class_name": f"class {number}", "count": 1})
        (learner,) = taught.app.state.studio.learners.values()
        assert learner._text_cosines.cache_info().currsize <= 8

    def test_labels_to_check_and_the_map(self, taught: TestClient, bank: Path) -> None:
        one = clips(taught)[0]
        moment = f"{one['video']}@{one['start_seconds']}-{one['stop_seconds']}"
        add_label(moment, "green", bank=bank, also=True)
        (odd,) = [found for found in taught.get("/api/labels/review").json() if found["why"] == "two classes"]
        assert ({odd["label"], odd["other"]}, odd["clips"]) == ({one["label"], "green"}, [one["clip_id"]])
        remove_labels(class_name="green", bank=bank)
        points = taught.get("/api/map").json()
        assert sorted(points["clips"]) == sorted(clip["clip_id"] for clip in clips(taught))
        assert min(points["x"]) == 0
        assert max(points["y"]) == 1
        assert set(points["labels"]) == {"red", "blue"}


class TestExports:
    def test_each_format_is_what_the_commands_write(self, studio: TestClient) -> None:
        everything = clips(studio)
        for name in ("red", "blue"):
            label(studio, name, *(clip["clip_id"] for clip in everything if f"/{name}/" in clip["video"]))
        finished(studio, studio.post("/api/trainings", json={}).json())
        rows = list(csv.DictReader(io.StringIO(studio.get("/api/exports/labels.csv").text)))
        assert len(rows) == len(studio.get("/api/exports/labels.json").json()) == len(everything)
        predictions = studio.get("/api/exports/predictions.json", params={"head": "default"}).json()
        assert [row["clip_id"] for row in predictions] == [clip["clip_id"] for clip in everything]
        subtitles = studio.get("/api/exports/segments.vtt", params={"head": "default"})
        assert subtitles.text.startswith("WEBVTT") or zipfile.ZipFile(io.BytesIO(subtitles.content)).namelist()
        hits = studio.get("/api/exports/hits.csv", params={"text": "a bar code", "count": 2}).text
        assert len(list(csv.DictReader(io.StringIO(hits)))) == 2
        tasks = studio.get("/api/exports/hits.labelstudio", params={"text": "a bar code", "count": 2}).json()
        assert tasks[0]["predictions"][0]["result"]
        archive = zipfile.ZipFile(io.BytesIO(studio.get("/api/exports/hits.fiftyone").content))
        assert sorted(archive.namelist()) == ["data.json", "labels.json"]
        for what in ("labels", "predictions", "segments"):
            query = {} if what == "labels" else {"head": "default"}
            tasks = studio.get(f"/api/exports/{what}.labelstudio", params=query).json()
            named = {
                result["value"]["timelinelabels"][0] for task in tasks for result in task["predictions"][0]["result"]
            }
            assert named <= {"red", "blue"}
            archive = zipfile.ZipFile(io.BytesIO(studio.get(f"/api/exports/{what}.fiftyone", params=query).content))
            detections = json.loads(archive.read("labels.json"))
            if what == "labels":
                assert named == set(detections["classes"]) == {"red", "blue"}
                assert sum(map(len, detections["labels"].values())) == len(everything)
                paths = json.loads(archive.read("data.json"))
                for video, found in detections["labels"].items():
                    folder = Path(paths[video]).parent.name
                    assert {detections["classes"][one["label"]] for one in found} == {folder}
        head = zipfile.ZipFile(io.BytesIO(studio.get("/api/exports/heads/default.zip").content))
        assert json.loads(head.read("card.json"))["classes"] == ["blue", "red"]


class TestJobs:
    def test_a_folder_is_extracted_with_its_failures(self, studio: TestClient, tmp_path: Path, videos: Path) -> None:
        more = tmp_path / "more"
        more.mkdir()
        (more / "good.mp4").write_bytes((videos / "red" / "0.mp4").read_bytes() + b"another content")
        (more / "broken.mp4").write_bytes(b"")
        job = finished(studio, studio.post("/api/extractions", json={"source": str(more)}).json())
        assert (job["state"], job["done"], job["total"]) == ("done", 2, 2)
        assert job["result"]["inputs"] == {"ok": 1, "failed": 1}
        (failure,) = job["failures"]
        assert failure.startswith("broken.mp4: ")
        assert any(clip["name"] == "good.mp4" for clip in clips(studio))
        nothing = finished(studio, studio.post("/api/extractions", json={"source": str(tmp_path / "none")}).json())
        assert nothing["state"] == "failed"
        assert studio.post("/api/extractions", json={"source": " "}).status_code == 400

    def test_a_job_that_is_cancelled_ends_at_its_next_report(self) -> None:
        jobs, started = Jobs(), threading.Event()

        def work(job: Job) -> None:
            started.set()
            while True:
                job.advance(1, 2)
                time.sleep(0.01)

        job = jobs.start("work", work)
        waiting = jobs.start("more work", work)
        started.wait(10)
        waiting.cancel()
        job.cancel()
        for _ in range(500):
            if job.is_over:
                break
            time.sleep(0.01)
        assert (job.state, waiting.state) == ("cancelled", "cancelled")
        jobs.close()

    def test_a_waiting_job_is_cancelled_at_once_and_never_runs(self) -> None:
        jobs, go, ran = Jobs(), threading.Event(), []
        running = jobs.start("work", lambda _: go.wait(10))
        waiting = jobs.start("more work", lambda _: ran.append(1))
        waiting.cancel()
        assert waiting.state == "cancelled"
        go.set()
        jobs.close()
        assert (running.is_over, waiting.state, ran) == (True, "cancelled", [])

    def test_the_studio_does_not_wait_long_for_a_job_that_never_reports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs_module, "_LAST_SECONDS", 0.1)
        jobs, started, go = Jobs(), threading.Event(), threading.Event()
        jobs.start("work", lambda _: (started.set(), go.wait(60)))
        started.wait(10)
        since = time.monotonic()
        jobs.close()
        assert time.monotonic() - since < 5
        go.set()

    def test_the_list_has_no_long_results_and_no_end_of_failures(self, studio: TestClient) -> None:
        def work(job: Job) -> dict[str, Any]:
            for number in range(250):
                job.fail(f"{number}.mp4: broken")
            return {"cells": ["clip"] * 1000, "warnings": ["a warning"], "inputs": {"failed": 250}}

        job = studio.app.state.studio.jobs.start("work", work)
        done = finished(studio, {"id": job.id})
        assert len(done["result"]["cells"]) == 1000
        assert (len(done["failures"]), done["failures"][0], done["more_failures"]) == (100, "0.mp4: broken", 150)
        (row,) = studio.get("/api/jobs").json()
        assert row["result"] == {"inputs": {"failed": 250}, "warnings": ["a warning"]}

    def test_few_ended_trainings_of_a_head_are_remembered(self, studio: TestClient) -> None:
        others = [finished(studio, studio.post("/api/extractions", json={"source": "/none"}).json())]
        for _ in range(6):
            job = finished(studio, studio.post("/api/trainings", json={}).json())  # without labels: fails at once
        rows = studio.get("/api/jobs").json()
        assert [row["what"] for row in rows] == ["Train default"] * 4 + ["Extract /none"]
        assert (rows[0]["id"], rows[-1]["id"]) == (job["id"], others[0]["id"])

    def test_a_fault_of_the_program_ends_one_job_only(self, caplog: pytest.LogCaptureFixture) -> None:
        jobs = Jobs()
        broken = jobs.start("broken", lambda _: 1 / 0)
        whole = jobs.start("whole", lambda _: {"a": 1})
        jobs._queue.put(None)
        jobs._worker.join(10)
        assert (broken.state, whole.state, whole.result) == ("failed", "done", {"a": 1})
        assert "ZeroDivisionError" in str(broken.error)
        assert "broken" in caplog.text
        jobs.close()
        with pytest.raises(JobCancelled):
            broken.advance(0, 1)
