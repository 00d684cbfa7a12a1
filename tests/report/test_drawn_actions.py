"""Drawn figures act: videos that can be read, alike in one frame and different in how they move."""

from __future__ import annotations

from pathlib import Path

import hard_videos
import numpy as np
import pytest

from pipeline.core.errors import SourceError
from pipeline.decoders import open_video
from pipeline.report.drawn_actions import ACTIONS, Performer, write_action, write_actions

GROUND = np.full((90, 120, 3), 128, np.uint8)
ANNA = Performer("anna", 180, 1.0, (200, 40, 40), (240, 200, 170))


def frames(path: Path) -> np.ndarray:
    """(t, h, w, 3)."""
    with open_video(path) as video:
        return np.stack([frame.pixels for frame in video.frames(range(len(video.info.frame_times)))]).astype(int)


def middle_of_what_moves(clip: np.ndarray) -> np.ndarray:
    """Of each frame, (t, 2): y and x."""
    drawn = np.abs(clip - 128).sum(axis=3) > 60
    return np.array([np.argwhere(one).mean(axis=0) for one in drawn])


def test_who_walks_gets_somewhere_who_jumps_goes_up_and_down_and_who_waves_stays(tmp_path: Path) -> None:
    travels = {}
    for action in ("walk", "jump", "wave"):
        write_action(tmp_path / f"{action}.mp4", action, ANNA, background=GROUND, start=0.0)
        travels[action] = np.ptp(middle_of_what_moves(frames(tmp_path / f"{action}.mp4")), axis=0)
    assert travels["walk"][1] > 150 > 20 > travels["jump"][1]
    assert travels["jump"][0] > 40 > 10 > travels["wave"][0]
    assert travels["wave"][1] < 10


def test_who_looks_left_is_the_mirror_image(tmp_path: Path) -> None:
    left = Performer("left", ANNA.size, ANNA.tempo, ANNA.clothes, ANNA.skin, looks_left=True)
    for name, performer in (("right", ANNA), ("left", left)):
        write_action(tmp_path / f"{name}.mp4", "bend", performer, background=GROUND, start=0.4)
    apart = np.abs(frames(tmp_path / "right.mp4") - frames(tmp_path / "left.mp4")[:, :, ::-1])
    assert (apart > 60).mean() < 0.02


def test_a_collection_has_known_actions_a_further_one_and_people_that_are_unseen(tmp_path: Path) -> None:
    video = hard_videos.write(tmp_path / "ground.mp4", hard_videos.steady(20), options=hard_videos.X264).path
    write_actions(tmp_path / "actions", backgrounds=[video])
    found = {
        part: [path.stem.split("_") for path in (tmp_path / "actions" / part).iterdir()]
        for part in ("known", "further", "unseen")
    }
    assert {action for action, _ in found["known"]} == set(ACTIONS[:-1])
    assert {action for action, _ in found["further"]} == {ACTIONS[-1]}
    assert {action for action, _ in found["unseen"]} == set(ACTIONS)
    seen = {performer for part in ("known", "further") for _, performer in found[part]}
    assert not seen & {performer for _, performer in found["unseen"]}
    assert [len(found[part]) for part in found] == [20, 3, 15]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot write .*nowhere"):
        write_action(tmp_path / "nowhere" / "walk.mp4", "walk", ANNA, background=GROUND, start=0.0)
