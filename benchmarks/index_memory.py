"""Memory that building an index takes, against the number of vectors.

    python benchmarks/index_memory.py [--vectors 1000000 10000000] [--kinds flat sq8] [--folder DIR] [--write]

The vectors are drawn block by block behind the interface of a bank's clip table, so that no bank has to be written.
Each index is built, stored and opened again in a process of its own. *Private memory* is what the process holds of its
own at most (``RssAnon``): pages of mapped files, which the system takes back when it needs them, do not count.
``--write`` puts the table into docs/scale.md. Needs twice the size of the vectors on disk. Linux: it reads /proc.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

import numpy as np
from conftest import make_recipe
from pages import SCALE, put, table
from processes import watched

from pipeline.core.recipe import IMPORTED
from pipeline.indexes import local_kind
from pipeline.retrieval.build_index import _build

_BLOCK = 1 << 16
_CENTRES = 2000
_QUERIES = 20


class DrawnClips:
    """Clips that are drawn when they are read: clusters of unit vectors.

    Attributes:
        ids: of the clips.
    """

    def __init__(self, count: int, dim: int) -> None:
        random = np.random.default_rng(0)
        self.ids = [f"{number:016x}@0.000-2.000" for number in range(count)]
        self._centres = random.standard_normal(size=(_CENTRES, dim), dtype=np.float32)
        self._noise = 0.8 * random.standard_normal(size=(_BLOCK, dim), dtype=np.float32)

    def blocks(self) -> Iterator[tuple[list[str], np.ndarray]]:
        for start in range(0, len(self.ids), _BLOCK):
            ids = self.ids[start : start + _BLOCK]
            random = np.random.default_rng(start)
            # The noise of one block in another order, of rows and of numbers: to draw it anew would take an hour.
            rows = np.roll(self._noise, int(random.integers(self._noise.shape[1])), axis=1)[: len(ids)]
            random.shuffle(rows, axis=0)
            rows += self._centres[random.integers(0, _CENTRES, size=len(ids))]
            yield ids, rows


def built(kind: str, count: int, dim: int, folder: Path) -> dict[str, Any]:
    """Build, store and open an index in this process; what that took."""
    clips = DrawnClips(count, dim)
    recipe = make_recipe(dim, encoder=IMPORTED)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        target = Path(name, kind)
        with watched() as building:
            started = time.perf_counter()
            index = _build(clips, recipe, None, kind=kind, folder=target)  # type: ignore[arg-type]
            index.save(target)
            seconds = time.perf_counter() - started
        index.close()
        del index
        with watched() as opening:
            loaded = local_kind(kind).load(target)
            assert loaded is not None
            ids, rows = next(clips.blocks())
            queries = rows[:_QUERIES] / np.linalg.norm(rows[:_QUERIES], axis=1, keepdims=True)
            hits = loaded.search(queries, k=10)
        assert [found[0][0] for found in hits] == ids[:_QUERIES], kind
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return {
        "kind": kind,
        "count": count,
        "dim": dim,
        "seconds": seconds,
        "before": building["before"],
        "build": building["most"],
        "open": opening["most"],
        "disk": size / 1e9,
    }


def as_row(facts: dict[str, Any]) -> list[str]:
    return [
        facts["kind"],
        f"{facts['count']:,}",
        f"{4 * facts['count'] * facts['dim'] / 1e6:,.0f}",
        f"{facts['before']:,.0f}",
        f"{facts['build']:,.0f}",
        f"{1e6 * (facts['build'] - facts['before']) / facts['count']:,.0f}",
        f"{facts['seconds']:.0f}",
        f"{facts['disk']:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--kinds", nargs="+", default=["flat", "sq8", "ivf", "ivfpq"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    target = Path(__file__).parent / "results" / "index_memory.json"
    target.parent.mkdir(exist_ok=True)
    found = json.loads(target.read_text()) if target.exists() else []
    spawn = multiprocessing.get_context("spawn")
    for kind in arguments.kinds:
        for count in arguments.vectors:
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
                facts = pool.submit(built, kind, count, arguments.dim, arguments.folder).result()
            found = [one for one in found if (one["kind"], one["count"]) != (kind, count)] + [facts]
            target.write_text(json.dumps(found, indent=1) + "\n")
            print(*as_row(facts), sep=" | ", flush=True)
    header = ["index", "vectors", "their size, MB", "private memory before, MB", "at most, MB", "bytes a vector"]
    if arguments.write:
        order = ["flat", "sq8", "ivf", "ivfpq", "hnsw"]
        rows = [as_row(one) for one in sorted(found, key=lambda one: (order.index(one["kind"]), one["count"]))]
        put(SCALE, "index_memory", table([*header, "seconds", "on disk, GB"], rows), script="index_memory")


if __name__ == "__main__":
    main()
