"""What users name becomes inputs, in one order; what is not there is said."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import SourceError
from pipeline.core.types import Span
from pipeline.sources.catalog import find_sources, is_missing
from pipeline.sources.tables import read_table


def never(_: Path) -> bool:
    return False


def by_mark(path: Path) -> bool:
    return b"VIDEO" in path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.mp4", "deep/er/c.MKV", ".hidden.mp4", ".cache/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("a.mp4 is nice")
    (tmp_path / "clip.bin").write_bytes(b"\0VIDEO")
    (tmp_path / "photo.jpg").write_bytes(b"\0JPEG")
    (tmp_path / "types.ts").write_text("const a = 1")
    return tmp_path


def names(sources: list, root: Path) -> list[str]:
    return [str(source.path.relative_to(root)) for source in sources]


def test_a_folder_gives_its_videos_at_any_depth_by_content_and_sorted(folder: Path) -> None:
    found = find_sources([str(folder)], is_video=by_mark)
    assert names(found, folder) == ["a.mp4", "b.mp4", "clip.bin", "deep/er/c.MKV"]


def test_files_globs_and_moments_are_taken_and_repeats_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = find_sources(["b.mp4", "*.mp4", "a.mp4@1-2.5", "**/*.MKV", "notes.txt"], is_video=never)
    assert names(found, folder) == ["b.mp4", "a.mp4", "a.mp4", "deep/er/c.MKV", "notes.txt"]
    assert [source.span for source in found] == [None, None, Span(1.0, 2.5), None, None]


def test_labels_come_from_the_folder_of_each_video(folder: Path) -> None:
    found = find_sources([folder / "deep"], is_video=never, labels_from_folders=True)
    assert [source.label for source in found] == ["er"]
    labels = {
        source.path.name: source.label for source in find_sources([folder], is_video=never, labels_from_folders=True)
    }
    assert labels == {"a.mp4": None, "b.mp4": None, "c.MKV": "er"}  # beside folders of classes lies no class
    single = find_sources([folder / "a.mp4"], is_video=never, labels_from_folders=True)
    assert [source.label for source in single] == [folder.name]


def test_an_input_named_twice_keeps_the_label_that_one_of_them_brings(folder: Path) -> None:
    table = folder / "list.csv"
    table.write_text("path,label\na.mp4,run\n")
    for order in ([folder / "a.mp4", table], [table, folder / "a.mp4"]):
        assert [source.label for source in find_sources(order, is_video=never)] == ["run"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_brings_times_labels_groups_and_metadata(folder: Path, kind: str) -> None:
    rows = [
        {"path": "a.mp4", "start_seconds": None, "stop_seconds": None, "label": "run", "group": "ann", "camera": "3"},
        {
            "path": "deep/er/c.MKV",
            "start_seconds": 1.5,
            "stop_seconds": 4.0,
            "label": None,
            "group": None,
            "camera": None,
        },
    ]
    table = folder / f"list.{kind}"
    if kind == "csv":
        lines = ["path,start_seconds,stop_seconds,label,group,camera", "a.mp4,,,run,ann,3", "deep/er/c.MKV,1.5,4,,,"]
        table.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), table)
    first, second = find_sources([table], is_video=never)
    assert (first.path, first.label, first.group) == (folder / "a.mp4", "run", "ann")
    assert first.metadata == {"group": "ann", "camera": "3"}
    assert (second.span, second.label, second.metadata) == (Span(1.5, 4.0), None, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na.mp4,run\n", r"list.csv has no column 'path'; its columns are file, label"),
        ("path,start_seconds\na.mp4,1\n", "a start_seconds or a stop_seconds but not both"),
        ("path,start_seconds,stop_seconds\na.mp4,4,1\n", "it starts at 4.0 s, stops at 1.0 s"),
        ("path,start_seconds,stop_seconds\na.mp4,soon,1\n", "start_seconds of a.mp4 is 'soon', not a number"),
        ("path\n", "has no rows"),
        ("path,label\n,run\n", "a row with an empty path"),
        ("", "has no column 'path'; its columns are none"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named_with_its_fault(folder: Path, content: str, message: str) -> None:
    table = folder / "list.csv"
    table.write_text(content)
    with pytest.raises(SourceError, match=message):
        find_sources([table], is_video=never)


def test_a_column_of_our_own_is_refused(folder: Path) -> None:
    (folder / "list.csv").write_text("path,lost_frames\na.mp4,3\n")
    with pytest.raises(SourceError, match="'lost_frames', which Clipdex writes itself; rename it"):
        find_sources([folder / "list.csv"], is_video=never)


def test_names_with_nothing_behind_them_are_errors(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "broken.parquet").write_bytes(b"PAR1 not really")
    for name, message in (
        ("nowhere", "there is no file or folder"),
        ("nowhere.mp4@1-2", "there is no file .*nowhere.mp4 "),
        ("*.webm", "nothing matches"),
        ("empty", "holds no video, at any depth"),
        ("broken.parquet", "cannot read the table .*broken.parquet"),
    ):
        with pytest.raises(SourceError, match=message):
            find_sources([folder / name], is_video=never)


def test_a_name_with_nothing_behind_it_among_others_is_an_input_with_the_reason(folder: Path) -> None:
    (folder / "broken.parquet").write_bytes(b"PAR1 not really")
    wrong = [folder / "nowhere.mp4", folder / "*.webm", folder / "broken.parquet"]
    found = find_sources([wrong[0], folder / "a.mp4", *wrong[1:]], is_video=never)
    assert names(found, folder) == ["nowhere.mp4", "a.mp4", "*.webm", "broken.parquet"]
    problems = [str(source.problem) for source in found if source.problem is not None]
    assert ["nowhere.mp4" in problems[0], "nothing matches" in problems[1], "broken.parquet" in problems[2]] == [
        True
    ] * 3
    with pytest.raises(SourceError, match="nowhere.mp4; nothing matches .*webm; cannot read the table"):
        find_sources(wrong, is_video=never)
    assert [is_missing(path) for path in (*wrong, folder / "a.mp4")] == [True, True, False, False]


def test_two_namings_of_one_input_are_put_together(folder: Path) -> None:
    table = folder / "deep" / "list.csv"
    table.write_text("path,camera\n../a.mp4,3\n")
    for order in ([table, folder], [folder, table]):
        (a, *_) = [one for one in find_sources(order, is_video=never) if one.path.name == "a.mp4"]
        assert (a.path, a.metadata) == (folder / "a.mp4", {"camera": "3"})


def test_hidden_folders_do_not_hide_the_label(tmp_path: Path) -> None:
    (tmp_path / "run" / ".thumbs").mkdir(parents=True)
    (tmp_path / "run" / "1.mp4").touch()
    (source,) = find_sources([tmp_path / "run"], is_video=never, labels_from_folders=True)
    assert source.label == "run"


def test_empty_cells_and_numbers_that_are_none_are_nothing(tmp_path: Path) -> None:
    rows = [{"path": "a.mp4", "label": " ", "heat": float("nan"), "place": "yard"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "LIST.PARQUET")
    (source,) = find_sources([tmp_path / "LIST.PARQUET"], is_video=never)
    assert (source.label, source.metadata) == (None, {"place": "yard"})


@pytest.mark.parametrize("damage", ["a column twice", "text that is not UTF-8", "a flipped bit"])
def test_a_strange_parquet_manifest_is_named(tmp_path: Path, damage: str) -> None:
    table = pa.table({"path": ["ab.mp4", "cd.mp4"]})
    if damage == "a column twice":
        table = table.append_column("path", table["path"])
    if damage == "text that is not UTF-8":
        buffers = [*table["path"].combine_chunks().buffers()[:2], pa.py_buffer(b"\xff" * 12)]
        table = pa.table({"path": pa.Array.from_buffers(pa.string(), 2, buffers)})
    path = tmp_path / "list.parquet"
    pq.write_table(table, path, write_page_checksum=True)
    if damage == "a flipped bit":
        content = bytearray(path.read_bytes())
        content[content.index(b"cd.mp4")] ^= 1
        path.write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read the table .*list\.parquet"):
        read_table(path, required=("path",))


class TestWhatCannotBeRead:
    """It is an input with a reason, and costs the others nothing."""

    def test_link_loops_and_dangling_videos_are_named_and_the_rest_is_found(self, folder: Path) -> None:
        (folder / "loop").symlink_to(folder / "loop")
        (folder / "lost.mp4").symlink_to(folder / "nowhere.mp4")
        (folder / "lost.txt").symlink_to(folder / "nowhere.txt")
        (folder / "up").symlink_to(folder)
        found = {source.path.name: source.problem for source in find_sources([folder], is_video=by_mark)}
        assert "symbolic links" in str(found.pop("loop"))
        assert "a link to something that is missing" in str(found.pop("lost.mp4"))
        assert found == {"a.mp4": None, "b.mp4": None, "clip.bin": None, "c.MKV": None}

    def test_a_folder_that_cannot_be_listed_is_one_input(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = os.scandir

        def scandir(path: object) -> object:
            if str(path).endswith("deep"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            if str(path).endswith("er"):
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            return honest(path)

        monkeypatch.setattr(os, "scandir", scandir)
        found = find_sources([folder], is_video=by_mark)
        assert names(found, folder) == ["a.mp4", "b.mp4", "clip.bin", "deep"]
        assert found[-1].problem == f"cannot read the folder {folder / 'deep'}: Permission denied"
        (gone,) = find_sources([folder / "deep" / "er"], is_video=by_mark)
        assert gone.problem == f"cannot read the folder {folder / 'deep' / 'er'}: No such file or directory"

    @pytest.mark.parametrize("name", ["loop", "x" * 300, "lost"])
    def test_a_name_of_its_own_is_one_too(self, folder: Path, name: str) -> None:
        if name == "loop":
            (folder / name).symlink_to(folder / name)
        elif name == "lost":
            (folder / name).symlink_to(folder / "nowhere")
        first, second = find_sources([folder / name, folder / "a.mp4"], is_video=never)
        assert str(first.problem).startswith(f"cannot read {folder / name}: ")
        assert second.problem is None

    def test_a_file_whose_state_may_not_be_asked_is_named(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = Path.stat

        def stat(self: Path, **options: bool) -> os.stat_result:
            if self.name == "b.mp4":
                raise PermissionError(errno.EACCES, "Permission denied")
            return honest(self, **options)

        monkeypatch.setattr(Path, "stat", stat)
        found = {source.path.name: source.problem for source in find_sources([folder], is_video=by_mark)}
        assert found["b.mp4"] == f"cannot read {folder / 'b.mp4'}: Permission denied"
        assert found["a.mp4"] is None
