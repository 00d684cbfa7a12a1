"""Indexes over many vectors, beside brute force in numpy, torch and scikit-learn on the same machine.

    python benchmarks/search.py [--vectors 1000000] [--dim 512] [--kinds flat sq8] [--write]

Clustered vectors of length 1, a thousand stored ones as queries. Prints the time to build, bytes in memory and on disk,
queries a second in one batch, milliseconds for one alone, recall@10 against brute force, and the time that 1,000 rows
going and 1,000 coming take with saving and asking; writes
``benchmarks/results/search.json``, and ``--write`` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import torch
from pages import PERFORMANCE, put, table
from processes import held_megabytes

from pipeline.core.vectors import unit
from pipeline.indexes import local_kind

_BLOCK = 50_000
_BATCH = 200
_ALONE = 20
_CHANGED = 1000


def drawn(vectors: int, dim: int) -> np.ndarray:
    random = np.random.default_rng(0)
    centres = random.normal(size=(2000, dim)).astype(np.float32)
    rows = np.empty((vectors, dim), np.float32)
    for start in range(0, vectors, _BLOCK):
        block = rows[start : start + _BLOCK]
        block[:] = centres[random.integers(0, len(centres), size=len(block))]
        block += 0.8 * random.standard_normal(size=block.shape, dtype=np.float32)
        block[:] = unit(block)
    return rows


def by_torch(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    stored = torch.from_numpy(rows)
    torch.set_float32_matmul_precision("medium")
    return lambda queries: (torch.from_numpy(queries) @ stored.T).topk(10, dim=1).indices.numpy()


def by_numpy(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def search(queries: np.ndarray) -> np.ndarray:
        scores = queries @ rows.T
        best = np.argpartition(-scores, 10, axis=1)[:, :10]
        return np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)

    return search


def by_scikit_learn(rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(rows)
    return lambda queries: found.kneighbors(queries, return_distance=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", default=["flat", "sq8", "ivf", "ivfpq", "hnsw"])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = drawn(arguments.vectors, arguments.dim)
    chosen = np.random.default_rng(1).permutation(len(rows))[: _BATCH * arguments.repeats]
    queries = rows[chosen].reshape(arguments.repeats, -1, arguments.dim)
    truth = [by_torch(rows)(batch) for batch in queries]
    found: list[dict[str, Any]] = []
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            before, started = held_megabytes(), time.perf_counter()
            index = local_kind(kind)(arguments.dim, scratch=folder)
            for start in range(0, len(rows), _BLOCK):
                block = rows[start : start + _BLOCK]
                index.add([f"{number:032x}" for number in range(start, start + len(block))], block)
            index.save(folder / "saved")
            built = time.perf_counter() - started
            del index
            started = time.perf_counter()
            loaded = local_kind(kind).load(folder / "saved")
            assert loaded is not None
            loading = time.perf_counter() - started

            def search(batch: np.ndarray, index: Any = loaded) -> np.ndarray:
                return np.array([[int(name, 16) for name, _ in hits] for hits in index.search(batch, k=10)])

            facts = measured(search, queries, truth)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            held = held_megabytes() - before
            changed = updated(loaded, rows, folder / "saved")
            facts = {"name": kind, "build": built, "load": loading, "disk": size / 1e9, "held": held, **facts}
            found.append({**facts, "update": changed})
            report(found[-1])
    brute = {"torch": by_torch, "numpy": by_numpy, "scikit-learn": by_scikit_learn}
    for name, make in brute.items():
        facts = measured(make(rows), queries if name == "torch" else queries[:, :50], [one[:50] for one in truth])
        found.append({"name": f"{name}, brute force", **facts})
        report(found[-1])
    target = Path(__file__).parent / "results" / "search.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"shape": rows.shape, "kinds": found}, indent=1) + "\n")
    if arguments.write:
        put(PERFORMANCE, "search", as_table(found), script="search")


def updated(index: Any, rows: np.ndarray, folder: Path) -> float:
    """Seconds to take a thousand rows out, put a thousand others in, save and ask."""
    started = time.perf_counter()
    index.remove([f"{number:032x}" for number in range(_CHANGED)])
    index.add([f"new {number}" for number in range(_CHANGED)], rows[:_CHANGED])
    index.save(folder)
    ((name, score), *_), *_ = index.search(rows[:1], k=10)
    seconds = time.perf_counter() - started
    assert name == "new 0", name
    assert abs(score - 1) < 1e-4, score
    return seconds


def measured(
    search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, truth: list[np.ndarray]
) -> dict[str, float]:
    """Medians over the batches, with the spread of the queries a second."""
    rates, alone, shares = [], [], []
    for batch, true in zip(queries, truth, strict=True):
        started = time.perf_counter()
        hits = search(batch)
        rates.append(len(batch) / (time.perf_counter() - started))
        count = min(len(hits), len(true))
        shares += [len(set(a) & set(b)) / 10 for a, b in zip(hits[:count].tolist(), true[:count].tolist(), strict=True)]
        for number in range(_ALONE // len(queries)):
            started = time.perf_counter()
            search(batch[number : number + 1])
            alone.append(1000 * (time.perf_counter() - started))
    return {
        "rate": statistics.median(rates),
        "slowest": min(rates),
        "fastest": max(rates),
        "alone": statistics.median(alone),
        "recall": float(np.mean(shares)),
    }


def as_row(facts: dict[str, Any]) -> list[str]:
    def shown(name: str, digits: int) -> str:
        return f"{facts[name]:.{digits}f}" if name in facts else ""

    rate = f"{facts['rate']:.0f} ({facts['slowest']:.0f} to {facts['fastest']:.0f})"
    return [
        facts["name"],
        shown("build", 1),
        shown("load", 1),
        shown("disk", 2),
        rate,
        shown("alone", 0),
        shown("recall", 4),
        shown("update", 1),
    ]


def report(facts: dict[str, Any]) -> None:
    print(*as_row(facts), sep=" | ", flush=True)


def as_table(found: list[dict[str, Any]]) -> str:
    header = [
        "index",
        "build, s",
        "load, s",
        "on disk, GB",
        "queries a second in a batch",
        "ms alone",
        "recall@10",
        "1,000 out, 1,000 in, s",
    ]
    return table(header, [as_row(facts) for facts in found])


if __name__ == "__main__":
    main()
