"""Every local index against the exact answer, the exact answer against a loop, and what is stored of them."""

from __future__ import annotations

import errno
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from vector_indexes import Exact

from pipeline.core.errors import BankError
from pipeline.core.predicates import OneOf, Predicate
from pipeline.indexes import LocalIndex, VectorIndex, _rows, local_kind, local_kinds
from pipeline.indexes._checked import POINTER, DamagedIndex, pointer_to, signed, write_sums

KINDS = local_kinds()
APPROXIMATE = ("hnsw", "ivf", "ivfpq")
EXACT = [kind for kind in KINDS if kind not in APPROXIMATE]


def sum_up(folder: Path, data: Path) -> None:
    """Checksums that fit what is there now."""
    (folder / POINTER).write_bytes(pointer_to(data.name, sums=write_sums(data), dim=16))


def data(kind: str, *, num: int = 400, dim: int = 16) -> np.ndarray:
    random = np.random.default_rng(2)
    if kind == "clustered":
        rows = random.normal(size=(8, dim))[random.integers(8, size=num)] + 0.1 * random.normal(size=(num, dim))
    elif kind == "duplicates":
        rows = np.repeat(random.normal(size=(num // 10, dim)), 10, axis=0)
    else:
        rows = random.normal(size=(num, dim))
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def filled(kind: str, rows: np.ndarray) -> LocalIndex:
    index = local_kind(kind)(rows.shape[1])
    index.add([f"clip {number}" for number in range(len(rows))], rows)
    return index


def oracle(rows: np.ndarray) -> Exact:
    exact = Exact(rows.shape[1])
    exact.add([f"clip {number}" for number in range(len(rows))], rows)
    return exact


def only(mask: np.ndarray) -> Predicate:
    """The clips of these numbers."""
    return OneOf("clip_id", frozenset(f"clip {number}" for number in np.flatnonzero(mask)))


@pytest.mark.numeric
def test_the_exact_index_equals_a_loop() -> None:
    rows = data("random", num=50)
    (found,) = oracle(rows).search(rows[3:4], k=5)
    products = [float(sum(a * b for a, b in zip(rows[3], row, strict=True))) for row in rows]
    scores = {f"clip {number}": product for number, product in enumerate(products)}
    best = sorted(scores, key=lambda name: -scores[name])[:5]
    assert [name for name, _ in found] == best
    assert [score for _, score in found] == pytest.approx([scores[name] for name in best], abs=1e-6)


@pytest.mark.numeric
@pytest.mark.parametrize("content", ["random", "clustered", "duplicates"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_index_finds_what_the_exact_one_finds(kind: str, content: str) -> None:
    rows = data(content)
    truth, found = oracle(rows).search(rows[:40], k=10), filled(kind, rows).search(rows[:40], k=10)
    for exact, ours in zip(truth, found, strict=True):
        assert [score for _, score in ours] == pytest.approx([score for _, score in exact], abs=1e-5)
        assert [score for _, score in ours] == sorted((score for _, score in ours), reverse=True)
        for name, score in ours:  # equal scores may come in any order, but each id has its own score
            assert score == pytest.approx(float(rows[int(name.split()[1])] @ rows[truth.index(exact)]), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_and_go_and_keep_their_names(kind: str) -> None:
    rows = data("random")
    index = filled(kind, rows)
    gone = [f"clip {number}" for number in range(0, 400, 3)]
    index.remove([*gone, "never there"])
    assert len(index) == 400 - len(gone)
    index.add(["back"], rows[:1])
    (found,) = index.search(rows[:1], k=3)
    assert found[0][0] == "back"
    for number in (1, 200, 398):
        assert index.search(rows[number : number + 1], k=1)[0][0][0] == f"clip {number}"
    assert not set(gone) & {name for name, _ in index.search(rows[:1], k=500)[0]}


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_come_back_as_they_were_added(kind: str, tmp_path: Path) -> None:
    rows = data("random")
    index = filled(kind, rows)
    index.save(tmp_path)
    index = local_kind(kind).load(tmp_path)
    index.remove(["clip 5"])
    index.add(["back"], rows[5:6])
    assert np.array_equal(index.vectors(["clip 300", "back", "clip 6"]), rows[[300, 5, 6]])
    assert index.vectors([]).shape == (0, 16)
    with pytest.raises(KeyError, match="clip 5"):
        index.vectors(["clip 5"])


def test_a_question_that_is_no_number_finds_nothing_in_the_flat_index() -> None:
    assert filled("flat", data("random")).search(np.full((1, 16), np.nan, np.float32), k=3) == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_without_room_for_new_rows_the_error_says_so_and_a_stored_index_still_answers(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = data("random")
    filled(kind, rows).save(tmp_path)

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    index = local_kind(kind).load(tmp_path)
    assert index.search(rows[7:8], k=1)[0][0][0] == "clip 7"
    with pytest.raises(BankError, match="No space left on device.*TMPDIR"):
        index.add(["new"], rows[:1])


@pytest.mark.numeric
@pytest.mark.parametrize("questions", [3, 40])
def test_the_flat_index_looks_through_all_its_files_a_few_rows_at_a_time(
    questions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_rows, "BLOCK_ROWS", 64)
    rows = data("random")
    index, truth = filled("flat", rows[:250]), oracle(rows[:250])
    index.save(tmp_path)
    index = local_kind("flat").load(tmp_path)
    for one in (index, truth):
        one.remove([f"clip {number}" for number in (0, 63, 64, *range(128, 192))])  # edges, and all of a block
        one.add([f"clip {number}" for number in range(250, 400)], rows[250:])
    index.save(tmp_path)
    index = local_kind("flat").load(tmp_path)
    random = np.random.default_rng(0)
    for filter_ in (None, only(random.random(400) < 0.5), only(np.arange(400) > 380)):
        theirs = truth.search(rows[:questions], k=70, allowed=filter_)
        for exact, ours in zip(theirs, index.search(rows[:questions], k=70, allowed=filter_), strict=True):
            assert [name for name, _ in ours] == [name for name, _ in exact]
            assert [score for _, score in ours] == pytest.approx([score for _, score in exact], abs=1e-5)


@pytest.mark.numeric
@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_index_answers_the_same(kind: str, tmp_path: Path) -> None:
    rows = data("random")
    index = filled(kind, rows)
    index.save(tmp_path)
    index.remove(["clip 5"])
    index.save(tmp_path)
    again = local_kind(kind).load(tmp_path)
    assert again.search(rows[:9], k=7) == index.search(rows[:9], k=7)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("count", [1, 400])
@pytest.mark.parametrize("kind", KINDS)
def test_an_index_may_become_empty_and_grow_again(kind: str, count: int, tmp_path: Path) -> None:
    rows = data("random")
    index = filled(kind, rows)
    index.remove(index.ids)
    index.save(tmp_path)
    index = local_kind(kind).load(tmp_path)
    assert (len(index), index.search(rows[:1], k=3)) == (0, [[]])
    index.add([], np.empty((0, 16), np.float32))
    index.add([f"new {number}" for number in range(count)], rows[:count])  # also as many as there were
    index.save(tmp_path)
    again = local_kind(kind).load(tmp_path)
    assert again.search(rows[:1], k=1) == [[("new 0", pytest.approx(1.0, abs=1e-5))]]
    assert len(again) == count


@pytest.mark.parametrize("kind", KINDS)
def test_two_that_bring_one_index_up_to_date_at_once_both_answer_rightly(kind: str, tmp_path: Path) -> None:
    rows = data("random")
    filled(kind, rows[:300]).save(tmp_path)
    first, second = (local_kind(kind).load(tmp_path) for _ in range(2))
    for index in (first, second):
        index.add([f"clip {number}" for number in range(300, 400)], rows[300:])
        index.save(tmp_path)
    truth = oracle(rows).search(rows[:20], k=5)
    for index in (first, second, local_kind(kind).load(tmp_path)):
        for exact, ours in zip(truth, index.search(rows[:20], k=5), strict=True):
            assert [score for _, score in ours] == pytest.approx([score for _, score in exact], abs=1e-5)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_an_index_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = data("random")
    filled("flat", rows[:300]).save(tmp_path)
    kind = local_kind("flat")
    load = kind._load

    def late(self: LocalIndex, folder: Path) -> None:
        monkeypatch.setattr(kind, "_load", load)
        filled("flat", rows).save(tmp_path)  # which sweeps the folder away
        load(self, folder)

    monkeypatch.setattr(kind, "_load", late)
    found = kind.load(tmp_path)
    assert found is not None
    assert len(found) == len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_save_that_fails_leaves_the_index_as_it_was(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = data("random")
    index = filled(kind, rows[:300])
    index.save(tmp_path)
    index.add([f"clip {number}" for number in range(300, 400)], rows[300:])
    before = index.search(rows[:20], k=5)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(BankError, match="No space left"):
            index.save(tmp_path)
    assert index.search(rows[:20], k=5) == before
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
    index.save(tmp_path)
    assert local_kind(kind).load(tmp_path).search(rows[:20], k=5) == before


@pytest.mark.parametrize("kind", EXACT)
def test_an_index_that_grows_by_the_drop_is_as_good_as_one_built_at_once(kind: str, tmp_path: Path) -> None:
    rows = data("random", num=3000, dim=48)
    index, start = filled(kind, rows[:2] * 0.01), 2
    while start < len(rows):
        stop = min(len(rows), start + max(1, start // 2))
        index.add([f"clip {number}" for number in range(start, stop)], rows[start:stop])
        index.remove([f"clip {start}"])
        index.add([f"clip {start}"], rows[start : start + 1])
        index.save(tmp_path)
        index, start = local_kind(kind).load(tmp_path), stop
    truth, found = oracle(rows[2:]).search(rows[2:60], k=10), index.search(rows[2:60], k=10)
    for exact, ours in zip(truth, found, strict=True):
        assert [score for _, score in ours] == pytest.approx([score for _, score in exact], abs=1e-5)
    assert len(list(tmp_path.glob("*/*.f32"))) < 60


@pytest.mark.numeric
@pytest.mark.parametrize("kind", EXACT)
def test_thousands_of_nearly_equal_rows_are_told_apart(kind: str) -> None:
    random = np.random.default_rng(0)
    rows = (np.ones(64) + 1e-3 * random.normal(size=(4000, 64))).astype(np.float32)
    rows = np.concatenate([rows, random.normal(size=(100, 64)).astype(np.float32)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    (truth,), (found,) = oracle(rows).search(rows[:1], k=10), filled(kind, rows).search(rows[:1], k=10)
    assert [score for _, score in found] == pytest.approx([score for _, score in truth], abs=2e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_or_damaged_index_is_made_again_not_believed(kind: str, tmp_path: Path) -> None:
    assert local_kind(kind).load(tmp_path) is None
    index = filled(kind, data("random"))
    index.save(tmp_path)
    for name in [path.name for path in tmp_path.rglob("[!.]*") if path.is_file()]:
        for share in (0, 2):
            index.save(tmp_path)
            (path,) = tmp_path.rglob(name)
            content = path.read_bytes()
            path.unlink()  # it may be linked to one of an older state
            path.write_bytes(content[: share and len(content) // share])
            with pytest.raises(DamagedIndex):
                local_kind(kind).load(tmp_path)
            index = filled(kind, data("random"))


@pytest.fixture(scope="module", params=["random", "clustered", "duplicates"])
def many(request: pytest.FixtureRequest) -> np.ndarray:
    """More rows than an approximate index compares one by one."""
    return data(request.param, num=6000, dim=32)


def recall(index: VectorIndex, exact: Exact, queries: np.ndarray, **how: object) -> float:
    """Share of the ten best scores that were found; which of equal ones does not matter."""
    shares = []
    for truth, found in zip(exact.search(queries, k=10, **how), index.search(queries, k=10, **how), strict=True):
        assert len(found) == len(truth)
        shares.append(np.mean([score >= truth[-1][1] - 1e-5 for _, score in found]))
    return float(np.mean(shares))


@pytest.mark.numeric
@pytest.mark.parametrize("kind", APPROXIMATE)
def test_approximate_kinds_find_nearly_all_and_all_when_they_try_hard(kind: str, many: np.ndarray) -> None:
    index, exact = filled(kind, many), oracle(many)
    queries = many[::100]
    found = [recall(index, exact, queries)]
    assert index._structure is not None  # it did not compare with all
    while index.try_harder():
        found.append(recall(index, exact, queries))
    assert found[0] > 0.3
    assert found[-1] >= 0.98
    assert found[-1] >= found[0]


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_rows_come_and_go_without_making_it_anew(
    kind: str, many: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(kind, many[:5000])
    index.save(tmp_path)
    index = local_kind(kind).load(tmp_path)
    monkeypatch.setattr(type(index), "_fitted", None)  # nothing may be built
    index.remove([f"clip {number}" for number in range(0, 1000, 2)])
    index.add([f"clip {number}" for number in range(5000, 6000)], many[5000:])
    index.save(tmp_path)
    index = local_kind(kind).load(tmp_path)
    exact = oracle(many)
    exact.remove([f"clip {number}" for number in range(0, 1000, 2)])
    assert set(index.ids) == set(exact.ids)
    while index.try_harder():
        pass
    assert recall(index, exact, many[::150]) >= 0.97
    (found,) = index.search(many[5500:5501], k=10)
    assert found[0][1] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_when_much_is_gone_it_is_made_anew(kind: str, many: np.ndarray) -> None:
    index = filled(kind, many)
    index.search(many[:1], k=1)
    before = index._structure
    index.remove([f"clip {number}" for number in range(3000)])
    index.search(many[:1], k=1)
    assert index._structure is not before
    assert index._next == len(index) == 3000


@pytest.mark.parametrize("kind", APPROXIMATE)
@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_filter_on_many_rows_lets_as_many_through_as_are_asked_for(kind: str, share: float, many: np.ndarray) -> None:
    index, exact = filled(kind, many), oracle(many)
    while index.try_harder():
        pass
    allowed = np.random.default_rng(0).random(len(many)) < share
    assert recall(index, exact, many[:20], allowed=only(allowed)) >= 0.97
    names = {name for name, _ in index.search(many[:1], k=30, allowed=only(allowed))[0]}
    assert names <= {f"clip {number}" for number in np.flatnonzero(allowed)}


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_a_damaged_structure_is_not_read(kind: str, many: np.ndarray, tmp_path: Path) -> None:
    index = filled(kind, many)
    index.save(tmp_path)
    (path,) = tmp_path.glob("*/structure.faiss")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedIndex, match=r"structure\.faiss is damaged"):
        local_kind(kind).load(tmp_path)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.unlink()  # it may be linked to one of an older state
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_in_any_file_is_found(kind: str, place: int, tmp_path: Path) -> None:
    index = filled(kind, data("random"))
    index.save(tmp_path)
    for name in [path.name for path in tmp_path.rglob("[!.]*") if path.is_file()]:
        index.save(tmp_path)
        (path,) = tmp_path.rglob(name)
        flip(path, place)
        with pytest.raises(DamagedIndex):
            local_kind(kind).load(tmp_path).check()
        index = filled(kind, data("random"))


def test_a_damaged_block_is_found_after_its_segment_was_linked_into_a_newer_state(tmp_path: Path) -> None:
    index = filled("flat", data("random", num=3000))
    index.save(tmp_path)
    (path,) = tmp_path.rglob("*.f32")
    flip(path, -1)
    index = local_kind("flat").load(tmp_path)
    index.vectors(["clip 0"])  # another block
    index.add(["new"], data("random")[:1])
    index.save(tmp_path)
    index = local_kind("flat").load(tmp_path)
    index.vectors(["clip 0", "new"])
    with pytest.raises(DamagedIndex, match=r"0000\.f32 is damaged"):
        index.vectors(["clip 2999"])


@pytest.mark.parametrize("name", ["../elsewhere", "/tmp", "", "..", "0" * 31])
def test_a_pointer_to_a_folder_elsewhere_is_damage_even_if_its_checksum_is_right(name: str, tmp_path: Path) -> None:
    filled("flat", data("random")).save(tmp_path)
    facts = json.loads((tmp_path / "index.json").read_bytes())
    facts.pop("sum")
    (tmp_path / "index.json").write_text(signed({**facts, "data": name}))
    with pytest.raises(DamagedIndex, match="names the folder"):
        local_kind("flat").load(tmp_path)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "{}", "[1, 2]", '["a", "a"]', '{"data": 1e400}', "null", "10" * 10_000]
)
@pytest.mark.parametrize("name", ["ids.json", "segments.json", "sums.json", "index.json"])
def test_odd_json_is_damage_even_if_its_checksum_is_right(name: str, content: str, tmp_path: Path) -> None:
    filled("flat", data("random")).save(tmp_path)
    (path,) = tmp_path.rglob(name)
    path.write_text(content)
    (folder,) = (one for one in tmp_path.iterdir() if one.is_dir())
    if name in ("ids.json", "segments.json"):
        sum_up(tmp_path, folder)
    with pytest.raises(DamagedIndex):
        local_kind("flat").load(tmp_path)


@pytest.mark.parametrize("rows", [10**12, -1, 0, "many"])
def test_a_count_of_rows_that_cannot_be_is_damage(rows: object, tmp_path: Path) -> None:
    filled("flat", data("random")).save(tmp_path)
    (path,) = tmp_path.rglob("segments.json")
    path.write_text(json.dumps([{"name": "0000.f32", "rows": rows}]))
    sum_up(tmp_path, path.parent)
    with pytest.raises(DamagedIndex):
        local_kind("flat").load(tmp_path)
