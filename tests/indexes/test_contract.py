"""What every index promises, whether it lies in a folder or in a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_indexes import Exact, InSqlite, Table, fulfils

from pipeline.core.errors import BankError, UsageError
from pipeline.core.predicates import AllOf, AnyOf, Compare, Like, Not, OneOf, Predicate, matching
from pipeline.indexes import VectorIndex, _rescored, indexes, local_kind, local_kinds
from pipeline.indexes._rescored import Rescored

ROWS, DIM = 600, 16  # twice as many as the codes of the product quantiser can be learned from
FEW = 20  # up to which no structure is built
APPROXIMATE = [kind for kind in local_kinds() if issubclass(local_kind(kind), Rescored)]
IDS = [f"clip {number}" for number in range(ROWS)]
FACTS: dict[str, dict[str, Any]] = {
    name: {
        "clip_id": name,
        "video_id": f"video {number // 10}",
        "start_seconds": float(number % 10),
        **({"camera": number % 4, "place": ("North Gate", "yard")[number % 2]} if number % 3 else {}),
    }
    for number, name in enumerate(IDS)
}
SOME = frozenset(IDS[::7])


@pytest.fixture(autouse=True)
def structures_of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that all these tests search the structures of approximate kinds; comparing all rows would be as quick."""
    monkeypatch.setattr(_rescored, "FEW", FEW)


@pytest.fixture(params=[*local_kinds(), "sqlite", "oracle"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    made = {"oracle": lambda: Exact(DIM), "sqlite": lambda: InSqlite(DIM, tmp_path / "vectors.db")}
    with made.get(request.param, lambda: local_kind(request.param)(DIM))() as index:
        yield index


@pytest.fixture
def rows() -> np.ndarray:
    drawn = np.random.default_rng(3).normal(size=(ROWS, DIM)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.fixture
def index(empty: VectorIndex, rows: np.ndarray) -> VectorIndex:
    empty.columns = Table(dict(reversed(FACTS.items())))  # in another order than the rows
    empty.add(IDS, rows)
    if isinstance(empty, Rescored):
        look_everywhere(empty)
    return empty


def look_everywhere(index: Rescored) -> None:
    """Let an approximate kind be exact: it looks into all lists, and scores every candidate again."""
    while index.try_harder():
        pass
    assert index._structure.ntotal == ROWS


@pytest.fixture
def oracle(rows: np.ndarray) -> Exact:
    exact = Exact(DIM)
    exact.columns = Table(FACTS)
    exact.add(IDS, rows)
    return exact


def same(found: list[list[tuple[str, float]]], expected: list[list[tuple[str, float]]]) -> bool:
    """Rows here are apart, so that their order is certain."""
    names = [[name for name, _ in hits] for hits in found]
    scores = [score for hits in found for _, score in hits]
    return names == [[name for name, _ in hits] for hits in expected] and scores == pytest.approx(
        [score for hits in expected for _, score in hits], abs=1e-5
    )


@pytest.mark.numeric
@pytest.mark.parametrize("k", [1, 10, ROWS, 10 * ROWS])
def test_the_nearest_rows_are_those_of_the_exact_answer(
    index: VectorIndex, oracle: Exact, rows: np.ndarray, k: int
) -> None:
    assert same(index.search(rows[:20], k=k), oracle.search(rows[:20], k=k))
    assert [len(hits) for hits in index.search(rows[:2], k=k)] == [min(k, ROWS)] * 2


@pytest.mark.parametrize(
    "allowed",
    [
        OneOf("clip_id", SOME),
        OneOf("clip_id", SOME | {"never there"}),
        Not(OneOf("clip_id", SOME)),
        OneOf("video_id", frozenset({"video 3", "video 29"})),
        Compare("camera", "=", "2"),
        Compare("camera", "!=", "2"),
        Compare("camera", ">=", "2"),
        Not(Compare("camera", "<", "2")),
        Compare("place", "=", "yard"),
        Like("place", "north%"),
        AnyOf((Compare("camera", "=", "1"), Compare("start_seconds", ">", "7.5"))),
        AllOf((Like("place", "_ard"), Not(OneOf("video_id", frozenset({"video 1"}))), OneOf("clip_id", SOME))),
        AllOf(()),
        AnyOf(()),
        Not(AllOf(())),
        OneOf("clip_id", frozenset()),
        Not(OneOf("clip_id", frozenset())),
    ],
)
def test_a_predicate_is_applied_before_ranking(
    index: VectorIndex, oracle: Exact, rows: np.ndarray, allowed: Predicate
) -> None:
    found = index.search(rows[:5], k=12, allowed=allowed)
    assert same(found, oracle.search(rows[:5], k=12, allowed=allowed))
    fitting = [name for name in IDS if fulfils(allowed, FACTS[name])]
    assert [len(hits) for hits in found] == [min(12, len(fitting))] * 5


def test_a_predicate_follows_rows_that_come_and_go(index: VectorIndex, oracle: Exact, rows: np.ndarray) -> None:
    allowed = Compare("camera", "=", "1")
    for one in (index, oracle):
        one.search(rows[:1], k=3, allowed=allowed)
        one.remove(IDS[100:200])
        one.add(IDS[150:160], rows[150:160])
    assert same(index.search(rows[:5], k=50, allowed=allowed), oracle.search(rows[:5], k=50, allowed=allowed))


def test_ids_survive_removals_and_additions(index: VectorIndex, rows: np.ndarray) -> None:
    index.remove([*IDS[::2], "never there"])
    index.remove([])
    assert sorted(index.ids) == sorted(IDS[1::2])
    assert len(index) == len(IDS[1::2])
    index.add(IDS[:1], rows[7:8])
    assert np.array_equal(index.vectors([IDS[299], IDS[0], IDS[1]]), rows[[299, 7, 1]])
    assert {name for name, _ in index.search(rows[7:8], k=2)[0]} == {IDS[0], IDS[7]}
    with pytest.raises(KeyError, match="clip 2"):
        index.vectors([IDS[2]])


def test_an_index_without_rows_finds_none_and_may_become_empty_again(empty: VectorIndex, rows: np.ndarray) -> None:
    assert (len(empty), empty.ids, empty.search(rows[:2], k=3)) == (0, [], [[], []])
    empty.add([], rows[:0])
    empty.add(IDS[:2], rows[:2])
    empty.remove(IDS[:2])
    assert (len(empty), empty.search(rows[:1], k=3, allowed=AllOf(()))) == (0, [[]])
    assert empty.search(rows[:0], k=3) == []
    assert empty.vectors([]).shape == (0, DIM)


def test_what_does_not_fit_is_refused_and_changes_nothing(index: VectorIndex, rows: np.ndarray) -> None:
    with pytest.raises(BankError, match="only once"):
        index.add(["new", IDS[3]], rows[:2])
    with pytest.raises(BankError, match="only once"):
        index.add(["new", "new"], rows[:2])
    with pytest.raises(BankError, match="rows of 16 numbers were expected"):
        index.add(["new"], np.ones((1, 15), np.float32))
    with pytest.raises(BankError, match="queries of 16 numbers were expected"):
        index.search(np.ones((1, 15), np.float32), k=1)
    assert sorted(index.ids) == sorted(IDS)


def test_a_closed_index_says_so_and_may_be_closed_again(index: VectorIndex, rows: np.ndarray) -> None:
    with index:
        assert index.search(rows[:1], k=1)[0][0][0] == IDS[0]
    index.close()
    for use in (
        lambda: index.search(rows[:1], k=1),
        lambda: index.add(["new"], rows[:1]),
        lambda: index.remove(["new"]),
        lambda: index.vectors(IDS[:1]),
    ):
        with pytest.raises(BankError, match="closed; open it again"):
            use()


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_an_approximate_kind_answers_from_the_structure_that_it_builds(
    kind: str, oracle: Exact, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = local_kind(kind)(DIM)
    index.columns = Table(FACTS)
    index.add(IDS, rows)
    assert index._structure is None
    few = OneOf("clip_id", frozenset(IDS[:FEW]))
    assert same(index.search(rows[:5], k=10, allowed=few), oracle.search(rows[:5], k=10, allowed=few))
    look_everywhere(index)
    index.save(tmp_path)
    monkeypatch.setattr(Rescored, "_all", lambda *_: pytest.fail("every row was compared"))
    stored = local_kind(kind).load(tmp_path)
    assert stored is not None
    stored.columns = index.columns
    for one in (index, stored):
        for allowed in (None, Compare("camera", "!=", "2"), Not(few)):
            found = one.search(rows[:20], k=10, allowed=allowed)
            assert same(found, oracle.search(rows[:20], k=10, allowed=allowed))


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_rows_that_come_and_go_are_put_into_the_structure_and_struck_out(
    kind: str, oracle: Exact, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = local_kind(kind)(DIM)
    index.add(IDS, rows)
    look_everywhere(index)
    built = index._structure
    for one in (index, oracle):
        one.remove(IDS[10:30])
        one.add(IDS[10:15], rows[10:15])
    monkeypatch.setattr(Rescored, "_all", lambda *_: pytest.fail("every row was compared"))
    assert same(index.search(rows[:30], k=10), oracle.search(rows[:30], k=10))
    assert index._structure is built
    assert (built.ntotal, len(index)) == (ROWS + 5, ROWS - 15)


@pytest.mark.parametrize("kind", local_kinds())
def test_a_closed_index_does_not_replace_the_one_that_is_stored(kind: str, rows: np.ndarray, tmp_path: Path) -> None:
    index = local_kind(kind)(DIM)
    index.add(IDS, rows)
    index.save(tmp_path)
    index.close()
    for use in (lambda: index.save(tmp_path), lambda: index.ids, lambda: len(index), index.check, index.try_harder):
        with pytest.raises(BankError, match="closed; open it again"):
            use()
    stored = local_kind(kind).load(tmp_path)
    assert stored is not None
    assert list(stored.ids) == list(IDS)
    with pytest.raises(UsageError, match="k cannot be below 0, as -1 is"):
        stored.search(rows[:1], k=-1)


@pytest.mark.parametrize("kind", local_kinds())
def test_a_local_index_without_columns_knows_conditions_on_ids_only(kind: str, rows: np.ndarray) -> None:
    index = local_kind(kind)(DIM)
    index.add(IDS, rows)
    assert len(index.search(rows[:1], k=400, allowed=OneOf("clip_id", SOME))[0]) == len(SOME)
    with pytest.raises(BankError, match="'camera' needs an index that was given the clips' columns"):
        index.search(rows[:1], k=1, allowed=Compare("camera", "=", "1"))


def test_a_kind_says_what_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [indexes.get(kind).missing() for kind in local_kinds()] == [None] * len(local_kinds())
    monkeypatch.setattr(Exact, "needs", ("json", "a_database_client"))
    assert Exact.missing() == "this index needs the packages a_database_client, which are not installed"


def test_a_kind_that_is_not_in_a_folder_is_no_local_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    get = indexes.get
    monkeypatch.setattr(indexes, "get", lambda name: Exact if name == "flat" else get(name))
    assert "flat" not in local_kinds()
    with pytest.raises(UsageError, match="'flat' is not kept in a folder beside the bank; these are: hnsw, ivf"):
        local_kind("flat")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_rows_become_the_smaller_set_of_ids(share: float) -> None:
    rows = np.arange(ROWS) < share * ROWS
    predicate = matching(rows, IDS)
    assert [fulfils(predicate, FACTS[name]) for name in IDS] == rows.tolist()
    assert len((predicate.predicate if isinstance(predicate, Not) else predicate).values) <= ROWS / 2
