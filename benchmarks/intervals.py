"""Whether the stated intervals hold the truth, and what calibration does, with few labels.

    python benchmarks/intervals.py [--draws 200] [--heads prototype linear] [--bank DIR] [--write]

Draws labelled clips again and again, trains and validates a head on them as ``train-head`` does, and measures it on
many clips that it has not seen, which is the truth. The clips are drawn from normal distributions, or, with ``--bank``,
from the labelled clips of a bank, whole groups or videos at a time; there the other clips are the truth, which is then
itself measured on few clips. Prints a table and writes ``benchmarks/results/intervals.json``; ``--write`` puts the
table into docs/heads.md. Takes an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from pages import put, table

from pipeline import dataset
from pipeline.classification.calibrate import validate
from pipeline.classification.cross_validation import fit
from pipeline.classification.dataset import LabelledClips
from pipeline.classification.figures import above_chance
from pipeline.classification.train import build_head
from pipeline.core.metrics import expected_calibration_error

HEADS_PAGE = Path(__file__).resolve().parent.parent / "docs" / "heads.md"
SIZES = (5, 10, 20, 40)
TESTED = 2000

COLUMNS = (
    "clips",
    "head",
    "labels of each class",
    "truth",
    "width",
    "holds",
    "told",
    "told wrongly",
    "ece before",
    "ece after",
)

Clips = tuple[np.ndarray, np.ndarray, np.ndarray]  # X (n, dim), y (n,), groups (n,)
World = Callable[[int, int], tuple[Clips, Clips]]


def normal(classes: int, dim: int, apart: float, *, a_group: int = 1) -> World:
    """Class means ``apart`` from each other in units of the spread, along directions of falling variance.

    Args:
        a_group: clips of a group, which share as much as half of the variance.
    """
    scale = np.arange(1, dim + 1) ** -0.5
    scale /= np.sqrt(np.square(scale).sum())

    def draw(seed: int, each: int) -> tuple[Clips, Clips]:
        random = np.random.default_rng(seed)
        means = (2 * random.normal(size=dim) + apart * random.normal(size=(classes, dim))) * scale

        def clips(number: int, together: int) -> Clips:
            codes = np.repeat(np.arange(classes), number)
            groups = np.concatenate([code * number + np.arange(number) // together for code in range(classes)])
            shared = random.normal(size=(classes * number, dim))[groups] if a_group > 1 else 0.0
            X = means[codes] + (random.normal(size=(len(codes), dim)) + shared) * scale
            return X.astype(np.float32), np.array([f"class {code:02d}" for code in codes]), groups.astype(str)

        return clips(each, a_group), clips(TESTED // classes, 1)

    return draw


def stored(bank: str) -> World:
    """Labelled clips of a bank."""
    data = dataset(bank)

    def draw(seed: int, each: int) -> tuple[Clips, Clips]:
        random = np.random.default_rng(seed)
        rank = {name: place for place, name in enumerate(random.permutation(np.unique(data.groups)))}
        order = np.argsort([rank[name] for name in data.groups], kind="stable")
        chosen = np.concatenate([order[data.y[order] == name][:each] for name in np.unique(data.y)])
        others = ~np.isin(data.groups, data.groups[chosen])
        return tuple((data.X[rows], data.y[rows], data.groups[rows]) for rows in (chosen, np.flatnonzero(others)))

    return draw


WORLDS = {
    "2 classes, no difference": normal(2, 64, 0.0),
    "2 classes, hard": normal(2, 256, 0.12),
    "2 classes, easy": normal(2, 256, 0.5),
    "5 classes": normal(5, 128, 0.2),
    "2 classes, 4 clips a group": normal(2, 128, 0.3, a_group=4),
}


def measured(kind: str, world: World, each: int, draws: int) -> dict[str, Any] | None:
    """Over all draws; None if there are not so many clips."""
    rows = []
    for seed in range(draws):
        (X, y, groups), (fresh, truth, _) = world(seed, each)
        if not set(y.tolist()) <= set(truth.tolist()) or len(y) < each * len(set(y.tolist())):
            return None
        model = build_head(kind, seed=0)
        names = tuple(map(str, range(len(y))))
        clips = LabelledClips(X, y, groups, names, np.zeros(len(y), np.bool_), named_groups=False, vectors=X)
        found = validate(model, clips)
        shares = fit(model, clips).predict_proba(fresh)
        codes = np.searchsorted(np.unique(y), truth)
        if found.figures is None:
            continue
        figures = found.figures
        true = float((shares.argmax(axis=1) == codes).mean())
        low, high = figures["top1_interval"]
        rows.append(
            {
                "truth": true,
                "error": abs(figures["top1"] - true),
                "width": high - low,
                "holds": low <= true <= high,
                "told": above_chance(figures),
                "told wrongly": above_chance(figures) and true <= figures["chance"] + 0.02,
                "ece before": expected_calibration_error(codes, shares),
                "ece after": expected_calibration_error(codes, found.calibration.apply(shares)),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {"draws": len(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--heads", nargs="+", default=["linear", "prototype"])
    parser.add_argument("--bank", default=None)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    worlds = {name: WORLDS[name] for name in given.worlds}
    if given.bank:
        worlds = {Path(given.bank).name: stored(given.bank)}
    results = []
    for name, world in worlds.items():
        for kind in given.heads:
            for each in SIZES:
                found = measured(kind, world, each, given.draws)
                if found is not None:
                    results.append({"clips": name, "head": kind, "labels of each class": each, **found})
                    print(json.dumps(results[-1]), flush=True)
    folder = Path(__file__).resolve().parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "intervals.json").write_text(json.dumps(results, indent=1) + "\n")
    page = table(COLUMNS, ([_cell(row[name]) for name in COLUMNS] for row in results))
    print(page)
    if given.write:
        put(HEADS_PAGE, "intervals", page, script="intervals")


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
