"""What arrives in a folder is extracted once it is complete, and once."""

from __future__ import annotations

from pathlib import Path

import hard_videos
import pytest

from pipeline import Bank, watch
from pipeline.core.errors import SourceError
from pipeline.extraction.watch import Arrivals


def arrivals(*sources: Path) -> Arrivals:
    return Arrivals(sources, labels_from_folders=False)


class TestArrivals:
    def test_a_file_is_given_when_two_looks_agree_and_only_once(self, videos: Path) -> None:
        looking = arrivals(videos)
        assert looking.look() == []
        assert len(looking.look()) == 3
        assert looking.look() == []

    def test_a_file_that_still_grows_has_to_wait_and_a_changed_one_comes_again(self, videos: Path) -> None:
        growing = videos / "red" / "0.mp4"
        content = growing.read_bytes()
        growing.write_bytes(content[:1000])
        looking = arrivals(videos / "red")
        looking.look()
        growing.write_bytes(content)
        assert [source.path.name for source in looking.look()] == ["1.mp4"]
        assert [source.path.name for source in looking.look()] == ["0.mp4"]
        growing.write_bytes(content + b"more")
        assert looking.look() == []
        assert [source.path.name for source in looking.look()] == ["0.mp4"]

    def test_what_cannot_be_read_is_given_once_for_each_reason(self, videos: Path) -> None:
        loop = videos / "loop.mp4"
        loop.symlink_to(loop)
        looking = arrivals(videos / "blue", loop)
        assert [source.path.name for source in looking.look()] == ["loop.mp4"]
        assert [source.path.name for source in looking.look()] == ["2.mp4"]
        loop.unlink()
        loop.symlink_to(videos / "nothing.mp4")
        (again,) = looking.look()
        assert "a link to something that is missing" in str(again.problem)

    def test_a_missing_source_among_others_is_given_once_and_then_waited_for(self, videos: Path) -> None:
        late = videos / "late.mp4"
        looking = arrivals(videos / "blue", late)
        (missing,) = looking.look()
        assert "there is no file or folder" in str(missing.problem)
        assert [source.path.name for source in looking.look()] == ["2.mp4"]
        late.write_bytes((videos / "red" / "0.mp4").read_bytes())
        assert looking.look() == []
        assert looking.look()[0].path == late

    def test_an_empty_folder_is_waited_for_and_a_missing_one_is_an_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "empty"
        folder.mkdir()
        assert arrivals(folder).look() == []
        (folder / "empty.mp4").touch()
        looking = arrivals(folder)
        assert (looking.look(), looking.look()) == ([], [])  # nothing was written yet
        with pytest.raises(SourceError, match="there is no file or folder"):
            arrivals(tmp_path / "nowhere").look()


def test_a_bank_follows_a_folder_that_grows(tmp_path: Path, videomae: Path) -> None:
    folder, bank = tmp_path / "camera", tmp_path / "bank"
    folder.mkdir()

    def arrive(count: int) -> None:
        hard_videos.write(folder / f"{count}.mp4", hard_videos.steady(count), options=hard_videos.X264)

    steps = iter((lambda: arrive(25), lambda: None, lambda: None, lambda: arrive(30), lambda: None))
    rounds = watch([folder], bank=bank, encoder=str(videomae), clips="whole", sleep=lambda _: next(steps)())
    assert [Path(row.video).name for row in next(rounds).rows] == ["25.mp4"]
    assert [Path(row.video).name for row in next(rounds).rows] == ["30.mp4"]
    assert len(Bank(bank).clips(Bank(bank).recipe().id)) == 2
    rounds.close()
