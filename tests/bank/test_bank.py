"""What is stored comes back, whole or with the damaged part named, and recipes never mix."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_recipe

from pipeline.bank.bank import Bank, open_bank
from pipeline.bank.damaged import damaged_parts
from pipeline.bank.parquet import write_part
from pipeline.classification.labelling import add_label
from pipeline.core.errors import BankError, RecipeMismatch, UsageError
from pipeline.core.files import replacing
from pipeline.core.recipe import Recipe
from pipeline.core.types import ClipRow, Span, VideoRow, clip_id

pytestmark = pytest.mark.versions

RECIPE = make_recipe()


def clip(video: str, start: float = 0.0, stop: float = 2.0, *, path: str = "/v.mp4", **metadata: object) -> ClipRow:
    name = clip_id(video, Span(start, stop))
    return ClipRow(name, video, path, start, stop, "whole", (start, stop - 0.1), metadata)


def rows_for(*clips: ClipRow) -> np.ndarray:
    return np.random.default_rng(len(clips)).normal(size=(len(clips), 8)).astype(np.float32)


def test_clips_vectors_and_outcomes_come_back_as_they_were(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank", create=True)
    clips = [clip("a" * 64, camera=3, name="ünï <b>"), clip("b" * 64, 1.0, 3.5)]
    vectors = rows_for(*clips)
    outcome = VideoRow(
        "/v.mp4", "a" * 64, "ok", tuple(one.clip_id for one in clips), plan="whole", size_bytes=5, mtime_ns=7, width=320
    )
    bank.add(RECIPE, clips, vectors, [outcome])
    again = Bank(tmp_path / "bank")
    assert list(again.clips(RECIPE.id).rows()) == clips
    assert np.array_equal(again.embeddings(RECIPE.id), vectors)
    assert again.videos(RECIPE.id) == {("/v.mp4", "whole"): outcome}
    assert again.recipes() == {RECIPE.id: RECIPE}


def test_plain_parquet_readers_see_the_same(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    clips = [clip("a" * 64), clip("b" * 64)]
    vectors = rows_for(*clips)
    bank.add(RECIPE, clips, vectors, [])
    table = pq.read_table(tmp_path / "clips" / RECIPE.id)
    assert table["clip_id"].to_pylist() == [one.clip_id for one in clips]
    assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), vectors)
    assert Recipe.from_dict(json.loads(table.schema.metadata[b"clipdex.recipe"])) == RECIPE


def test_a_clip_stored_twice_counts_once_and_the_first_stays(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    first, second = rows_for(clip("a")), rows_for(clip("a"), clip("b"))
    bank.add(RECIPE, [clip("a")], first, [])
    bank.add(RECIPE, [clip("a"), clip("b")], second, [])
    assert bank.clips(RECIPE.id).ids == [clip("a").clip_id, clip("b").clip_id]
    assert np.array_equal(bank.embeddings(RECIPE.id), np.stack([first[0], second[1]]))


def test_a_video_is_known_by_the_path_where_it_was_last_seen(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    bank.add(RECIPE, [clip("a" * 64, path="/old.mp4")], rows_for(clip("a")), [VideoRow("/old.mp4", "a" * 64, "ok")])
    bank.add(RECIPE, [], rows_for(), [VideoRow("/new.mp4", "a" * 64, "unchanged")])
    assert [row.video for row in bank.clips(RECIPE.id).rows()] == ["/new.mp4"]


def test_the_latest_outcome_of_an_input_counts(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    for status in ("failed", "ok"):
        bank.add(RECIPE, [], rows_for(), [VideoRow("/v.mp4", None, status, plan="whole")])
    assert [row.status for row in bank.videos(RECIPE.id).values()] == ["ok"]
    bank.add(RECIPE, [], rows_for(), [VideoRow("/w.mp4", None, "ok", plan="whole")])
    bank.add(RECIPE, [], rows_for(), [VideoRow("/v.mp4", None, "failed", plan="whole")])
    assert [row.video for row in bank.videos(RECIPE.id).values()] == ["/w.mp4", "/v.mp4"]


def test_outcomes_of_other_releases_are_read(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    bank.add(RECIPE, [], rows_for(), [VideoRow("/v.mp4", "a" * 64, "ok", ("x", "y"), plan="whole", width=64)])
    (part,) = (tmp_path / "videos").glob("part-*.parquet")
    table = pq.read_table(part)
    part.unlink()
    earlier = table.drop_columns(["width", "stage", "asked"])
    write_part(tmp_path / "videos", earlier, dictionary=[])
    later = table.set_column(0, "video", pa.array(["/w.mp4"])).append_column("unheard_of", pa.array([True]))
    write_part(tmp_path / "videos", later, dictionary=[])
    found = Bank(tmp_path).videos(RECIPE.id).values()
    assert [(row.video, row.width, row.clip_ids) for row in found] == [
        ("/v.mp4", None, ("x", "y")),
        ("/w.mp4", 64, ("x", "y")),
    ]


def test_two_recipes_live_apart_and_one_must_be_chosen(tmp_path: Path) -> None:
    bank, other = Bank(tmp_path, create=True), make_recipe(4, encoder="xclip")
    bank.add(RECIPE, [clip("a")], rows_for(clip("a")), [])
    assert bank.recipe() == RECIPE
    bank.add(other, [clip("a")], np.ones((1, 4), np.float32), [])
    with pytest.raises(UsageError, match="holds several recipes; name one by its id"):
        bank.recipe()
    assert bank.recipe("xclip") == bank.recipe(other.id[:6]) == other
    with pytest.raises(UsageError, match="has no recipe 'clap'"):
        bank.recipe("clap")
    assert bank.embeddings(RECIPE.id).shape == (1, 8)


def test_vectors_of_another_length_or_type_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    for vectors in (np.ones((1, 9), np.float32), np.ones((2, 8), np.float32), np.ones((1, 8))):
        with pytest.raises(RecipeMismatch, match="do not fit 1 clips of videomae with 8"):
            bank.add(RECIPE, [clip("a")], vectors, [])
    assert bank.parts(RECIPE.id) == []


def test_a_part_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    bank, other = Bank(tmp_path, create=True), make_recipe(4)
    bank.add(RECIPE, [clip("a")], rows_for(clip("a")), [])
    (tmp_path / "clips" / other.id).mkdir()
    part = bank.parts(RECIPE.id)[0]
    (tmp_path / "clips" / other.id / part.name).write_bytes(part.read_bytes())
    with pytest.raises(RecipeMismatch, match=f"another recipe \\({RECIPE.id}"):
        bank.clips(other.id)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "text"])
def test_a_damaged_part_is_named_and_the_others_stay_readable(tmp_path: Path, damage: str) -> None:
    bank = Bank(tmp_path, create=True)
    many = [clip(f"{number:064d}") for number in range(50)]
    bank.add(RECIPE, many, rows_for(*many), [])
    bank.add(RECIPE, [clip("b")], rows_for(clip("b")), [])
    part = bank.parts(RECIPE.id)[0]
    content = bytearray(part.read_bytes())
    if damage == "flipped":  # in the vectors: only a checksum can tell
        chunk = pq.ParquetFile(part).metadata.row_group(0).column(8)
        content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0x10
    part.write_bytes({"truncated": content[: len(content) // 2], "emptied": b"", "text": b"hello"}.get(damage, content))
    with pytest.raises(BankError, match=f"{part.name} is damaged .*clipdex doctor --repair"):
        bank.embeddings(RECIPE.id)
    ((named, reason),) = damaged_parts(tmp_path)
    assert named == part
    assert "is damaged" in reason
    part.unlink()
    assert damaged_parts(tmp_path) == []
    assert bank.clips(RECIPE.id).ids == [clip("b").clip_id]


def test_the_check_of_a_bank_notices_a_flipped_bit_anywhere(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    bank.add(RECIPE, [clip("a")], rows_for(clip("a")), [])
    part = bank.parts(RECIPE.id)[0]
    whole = part.read_bytes()
    for place in range(0, len(whole), 61):
        content = bytearray(whole)
        content[place] ^= 1
        part.write_bytes(content)
        assert [path for path, _ in damaged_parts(tmp_path)] == [part], place


def test_nothing_appears_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank(tmp_path, create=True)
    bank.add(RECIPE, [clip("a")], rows_for(clip("a")), [])

    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BankError, match="No space left on device. Nothing stored before was changed"):
        bank.add(RECIPE, [clip("b")], rows_for(clip("b")), [])
    assert [path.name for path in (tmp_path / "clips" / RECIPE.id).iterdir()] == [bank.parts(RECIPE.id)[0].name]


def test_what_is_no_bank_is_said(tmp_path: Path) -> None:
    with pytest.raises(BankError, match="there is no bank at .*clipdex extract VIDEOS"):
        Bank(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(BankError, match="is a file, so it cannot become a bank"):
        Bank(tmp_path / "file", create=True)
    bank = Bank(tmp_path / "bank", create=True)
    with pytest.raises(BankError, match="holds no clips yet"):
        bank.recipe()
    (tmp_path / "bank" / "bank.json").write_text('{"format": "clipdex-bank", "version": 99}')
    with pytest.raises(BankError, match="a bank of format 99, this is Clipdex for format 1"):
        Bank(tmp_path / "bank")
    (tmp_path / "bank" / "bank.json").write_text("{")
    with pytest.raises(BankError, match=r"bank.json is damaged"):
        Bank(tmp_path / "bank")


def test_each_folder_that_is_made_is_synced_in_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("pipeline.core.files.sync_folder", synced.append)
    with replacing(tmp_path / "a" / "b" / "file") as temporary:
        temporary.write_text("x")
    assert set(synced) == {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    assert synced[-1] == tmp_path / "a" / "b"  # after the rename


def test_a_bank_is_opened_by_a_string_a_path_or_an_open_bank(tmp_path: Path) -> None:
    bank = open_bank(str(tmp_path), create=True)
    assert open_bank(bank) is bank
    assert open_bank(tmp_path).folder == Bank(str(tmp_path)).folder == tmp_path


def test_a_bank_shows_its_recipes_and_counts_the_clips_of_all(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    assert (len(bank), repr(bank)) == (0, f"Bank('{tmp_path}', recipes: none)")
    other = make_recipe(encoder="xclip")
    bank.add(RECIPE, [clip("a"), clip("b")], rows_for(clip("a"), clip("b")), [])
    bank.add(other, [clip("a")], rows_for(clip("a")), [])
    assert len(bank) == 3
    assert f"videomae {RECIPE.id}" in repr(bank)
    assert f"xclip {other.id}" in repr(bank)


def test_a_damaged_bank_can_still_be_shown(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    bank.add(RECIPE, [clip("a")], rows_for(clip("a")), [])
    bank.parts(RECIPE.id)[0].write_bytes(b"PAR1")
    assert repr(bank) == f"Bank('{tmp_path}', recipes: unreadable)"


def test_a_bank_gives_clips_and_vectors_as_one_arrow_table(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    clips = [clip("a" * 64, path="/old.mp4", camera=3), clip("b" * 64)]
    bank.add(RECIPE, [*clips, clips[0]], rows_for(*clips, clips[0]), [VideoRow("/old.mp4", "a" * 64, "ok")])
    bank.add(RECIPE, [], rows_for(), [VideoRow("/new.mp4", "a" * 64, "unchanged")])
    table = bank.to_arrow("videomae")
    assert table["clip_id"].to_pylist() == [one.clip_id for one in clips]
    assert table["video"].to_pylist() == ["/new.mp4", "/v.mp4"]
    assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), bank.embeddings(RECIPE.id))
    stored = pq.read_table(tmp_path / "clips" / RECIPE.id)
    assert table.schema == stored.schema
    assert table.schema.metadata == stored.schema.metadata


def test_without_pandas_a_data_frame_is_refused_with_the_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = Bank(tmp_path, create=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install pandas"):
        bank.to_pandas()


def test_a_bank_knows_its_labels_and_heads(tmp_path: Path) -> None:
    bank = Bank(tmp_path, create=True)
    assert (bank.labels(), bank.heads()) == ([], [])
    row = add_label(str(Path(__file__)), "text", bank=bank)
    assert bank.labels() == [row]
    assert bank.heads_folder == tmp_path / "heads"
