"""What is read from a part is what was written, or the part is named: damage, strangers' files, earlier releases."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import make_recipe
from small_banks import RECIPE, add

from pipeline import Bank
from pipeline.bank.damaged import damaged_parts
from pipeline.bank.labels import Labels
from pipeline.bank.parquet import parts_in, read_columns, write_part
from pipeline.commands import main
from pipeline.core.errors import BankError
from pipeline.core.types import LabelRow
from pipeline.maintenance.compact_prune import compact
from pipeline.maintenance.doctor import doctor


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A bank with one part of each kind."""
    folder = tmp_path / "bank"
    add(folder, 1, keep=True)
    Labels(folder).add([LabelRow("a" * 64, "/a.mp4", "run", 0.0, 1.0, "Ann")])
    return folder


def everything(bank: Path) -> list[object]:
    store = Bank(bank)
    clips, kept = store.clips(RECIPE.id), store.features(RECIPE.id, "frames")
    rows = [list(clips.rows()), store.videos(RECIPE.id), Labels(bank).rows(), store.recipes()]
    return [*rows, clips.embeddings().tobytes(), clips.embeddings([1]).tobytes(), kept.read(clips.ids).tobytes()]


def as_earlier_release(part: Path) -> Path:
    """The same rows under the name that releases before this one gave: without checksums of blocks and footer."""
    table = read_columns(part)
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"clipdex.blocks"}
    temporary = part.with_name(".old")
    pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True)
    digest = hashlib.sha256(temporary.read_bytes()).hexdigest()[:16]
    part.unlink()
    return temporary.rename(part.with_name("-".join(part.stem.split("-")[:2]) + f"-{digest}.parquet"))


KINDS = (f"clips/{RECIPE.id}", f"frames/{RECIPE.id}", "videos", "labels")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_anywhere_is_named_by_whoever_reads(bank: Path, kind: str, old: bool) -> None:
    (part,) = parts_in(bank / kind)
    if old:
        part = as_earlier_release(part)
    whole = part.read_bytes()
    for place in [*range(0, len(whole), 61), *range(len(whole) - 8, len(whole))]:
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        part.write_bytes(content)
        with pytest.raises(BankError, match=part.name):
            everything(bank)


def test_checksums_can_be_compared_without_this_code(bank: Path) -> None:
    import zlib

    (part,) = parts_in(bank / KINDS[0])
    content = part.read_bytes()
    _, _, checksum, footer_checksum = part.stem.split("-")
    size = int.from_bytes(content[-8:-4], "little") + 8
    footer = content[-size:]
    assert hashlib.sha256(content).hexdigest().startswith(checksum)
    assert hashlib.sha256(footer).hexdigest().startswith(footer_checksum)
    facts = json.loads(pq.read_metadata(part).metadata[b"clipdex.blocks"])
    body = content[:-size]
    blocks = [body[start : start + facts["bytes"]] for start in range(0, len(body), facts["bytes"])]
    assert "".join(f"{zlib.crc32(block):08x}" for block in blocks) == facts["crc32"]


def test_parts_of_earlier_releases_are_read_and_compact_writes_them_anew(bank: Path) -> None:
    before = everything(bank)
    for kind in KINDS[:3]:
        as_earlier_release(parts_in(bank / kind)[0])
    assert everything(bank) == before
    compact(bank=bank)
    assert everything(bank) == before
    assert all(len(part.stem.split("-")) == 4 for kind in KINDS for part in parts_in(bank / kind))
    assert damaged_parts(bank) == []


def test_a_part_spanning_many_blocks_and_row_groups_is_read_in_pieces(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    part = write_part(tmp_path, pa.table({"a": values, "b": values[::-1]}), dictionary=[], row_group_size=7_000)
    assert np.array_equal(read_columns(part, ["b"])["b"].to_numpy(), values[::-1])
    content = bytearray(part.read_bytes())
    content[200] ^= 1  # in the column "a"
    part.write_bytes(content)
    with pytest.raises(BankError, match=f"{part.name} is damaged .bytes 0 and following"):
        read_columns(part, ["a"])


def _embedding(table: pa.Table, kind: pa.DataType, values: list[object]) -> pa.Table:
    return table.set_column(8, "embedding", pa.array(values, kind))


def _recipe(table: pa.Table, text: bytes) -> pa.Table:
    return table.replace_schema_metadata({b"clipdex.recipe": text})


def _text(table: pa.Table) -> pa.Table:
    broken = pa.Array.from_buffers(
        pa.string(), 2, [*pa.array(["ab", "cd"]).buffers()[:2], pa.py_buffer(b"\xff\xfe\xff\xfe")]
    )
    return table.set_column(2, "video", broken)


STRANGE: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "float64": (lambda t: _embedding(t, pa.list_(pa.float64(), 8), [[1.0] * 8] * 2), "is fixed_size_list<"),
    "null vectors": (lambda t: _embedding(t, pa.list_(pa.float32(), 8), [None, [1.0] * 8]), "lacks values"),
    "null numbers": (lambda t: _embedding(t, pa.list_(pa.float32(), 8), [[None] * 8, [1.0] * 8]), "lacks values"),
    "NaN": (lambda t: _embedding(t, pa.list_(pa.float32(), 8), [[np.nan] * 8] * 2), "2 of its vectors are not finite"),
    "list size": (lambda t: _embedding(t, pa.list_(pa.float32(), 4), [[1.0] * 4] * 2), r"\[4\], not fixed_size"),
    "no vectors": (lambda t: t.drop_columns("embedding"), "no column 'embedding'"),
    "no clip ids": (lambda t: t.drop_columns("clip_id"), "no column 'clip_id'"),
    "a column twice": (lambda t: t.append_column("video", t["video"]), "2 column 'video'"),
    "no metadata": (lambda t: t.replace_schema_metadata(None), "does not say how its vectors were made"),
    "a list as recipe": (lambda t: _recipe(t, b"[1]"), "does not say how its vectors were made"),
    "no JSON as recipe": (lambda t: _recipe(t, b"\xff{"), "does not say how its vectors were made"),
    "huge dim": (
        lambda t: _recipe(t, json.dumps(make_recipe(10**12).to_dict()).encode()),
        "its dim is 1000000000000",
    ),
    "not UTF-8": (_text, "UTF8|UTF-8"),
    "metadata that are no JSON": (lambda t: t.set_column(7, "metadata", pa.array(["{", "{}"])), "damaged"),
    "times": (lambda t: t.set_column(4, "stop_seconds", pc.multiply(t["stop_seconds"], float("nan"))), "to nan"),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strangers_part_is_named_by_every_command_and_by_doctor(bank: Path, strange: str) -> None:
    change, told = STRANGE[strange]
    (part,) = parts_in(bank / KINDS[0])
    table = change(read_columns(part))
    part.unlink()
    part = write_part(bank / KINDS[0], table, dictionary=[])
    with pytest.raises(BankError, match=f"(?s){part.name}.*({told})"):
        everything(bank)
    ((named, reason),) = damaged_parts(bank)
    assert named == part
    assert part.name in reason


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("strange", ["types", "nothing", "a folder"])
def test_other_strange_parts_are_named_too(bank: Path, kind: str, strange: str) -> None:
    (part,) = parts_in(bank / kind)
    table = read_columns(part)
    part.unlink()
    if strange == "a folder":
        part.mkdir()
    else:
        names = table.column_names if strange == "types" else ["other"]
        wrong = pa.table({name: pa.array([1.5]) for name in names}, metadata=table.schema.metadata)
        part = write_part(bank / kind, wrong, dictionary=[])
    with pytest.raises(BankError, match=part.name):
        everything(bank)
    assert [path for path, _ in damaged_parts(bank)] == [part]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_folder_with_another_recipes_name_is_named_by_info_and_doctor(bank: Path) -> None:
    folder = bank / KINDS[0]
    folder.rename(folder.with_name("0" * 12))
    status, output = run("info", "--bank", str(bank))
    assert status == 1
    assert "give the folder its name back" in output
    assert any(f"({'0' * 12})" in reason for _, reason in damaged_parts(bank))


@pytest.mark.parametrize("content", ["[1]", "{", "", None, '{"format": "clipdex-cank", "version": 1}'])
def test_a_bank_json_that_is_none_is_one_sentence(bank: Path, content: str | None) -> None:
    path = bank / "bank.json"
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(BankError, match="bank.json is damaged .*Nothing else depends on its content"):
        Bank(bank)


def test_repair_keeps_what_was_set_aside_before(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.maintenance.doctor._release_checks", list)
    monkeypatch.setattr("pipeline.maintenance.doctor.decoders.names", list)
    (part,) = parts_in(bank / "labels")
    for content in (b"first", b"second"):
        part.write_bytes(content)
        status, _ = run("doctor", "--repair", "--bank", str(bank))
        assert status == 1
    aside = sorted((bank / "damaged" / "labels").iterdir())
    assert [path.read_bytes() for path in aside] == [b"first", b"second"]
    assert len(Bank(bank).clips(RECIPE.id)) == 2
    shutil.rmtree(bank / "damaged")


def test_a_fault_of_the_system_is_not_called_damage_and_moves_nothing(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = sorted(bank.rglob("part-*.parquet"))

    def too_many_files(self: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", too_many_files)
        (check,) = [one for one in doctor(bank=bank, repair=True) if one.check == "bank parts"]
    assert not check.ok
    assert "Too many open files; nothing is known to be wrong with it" in check.detail
    assert sorted(bank.rglob("part-*.parquet")) == parts
