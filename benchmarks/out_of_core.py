"""Heads trained on a bank that is larger than the memory limit of the process, beside the same without a limit.

    python benchmarks/out_of_core.py [--clips 250000] [--dim 1024] [--limit 1000] [--kinds linear knn] [--write]

Makes a bank of drawn vectors with labels of whole videos, and trains each kind of head on it in a process of its own:
once under a limit of its private memory (``RLIMIT_DATA``, in MB) that is below the size of the vectors, with
cross-validation; once without a limit, in memory and without cross-validation.
Clips that no head has seen tell the accuracy of both. *Private memory* is the most that the process held of its own
(``RssAnon``). ``--write`` puts the table into docs/scale.md. Takes some minutes. Linux: it reads /proc.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import numpy as np
from pages import SCALE, put, table
from processes import watched

from pipeline import Bank, dataset, evaluate, predict, train_head
from pipeline.bank.labels import Labels
from pipeline.classification.train import build_head
from pipeline.core.recipe import IMPORTED
from pipeline.core.types import ClipRow, LabelRow, Span, clip_id
from pipeline.heads import load_trained

_CLIPS_EACH = 25  # of a video
_PART = 10_000
_TESTED = 5_000
_CLASSES = 10
# RLIMIT_DATA counts addresses that Arrow's own allocator reserves, a gigabyte, and buffers of each thread of BLAS.
_SETTINGS = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {}),
    "prototype": ("prototype", {}),
    "knn": ("knn", {}),
    "mlp, triplet": ("mlp", {"loss": "triplet"}),
}


def drawn(count: int, dim: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Vectors (part, dim) and classes of whole videos: a shared mean, strong common directions, weak classes."""
    random = np.random.default_rng(0)
    common, means = 1.5 * random.standard_normal(dim), 0.15 * random.standard_normal((_CLASSES, dim))
    directions = np.linspace(0.15, 0.06, 64)[:, None] * random.standard_normal((64, dim))
    for start in range(0, count, _PART):
        y = np.repeat(random.integers(_CLASSES, size=_PART // _CLIPS_EACH), _CLIPS_EACH)[: count - start]
        X = 1.5 * random.standard_normal((len(y), dim), dtype=np.float32)
        X += common + means[y] + random.standard_normal((len(y), 64)) @ directions
        yield X, y


def make_bank(folder: Path, count: int, dim: int) -> None:
    """A bank of so many clips, and clips to test on beside it."""
    from conftest import make_recipe  # loads torch, which would count in a child

    recipe, bank, number = make_recipe(dim, encoder=IMPORTED), Bank(folder, create=True), 0
    for X, y in drawn(count + _TESTED, dim):
        new = min(len(X), count - number)
        clips, labels = [], []
        for place in range(new):
            video = f"{(number + place) // _CLIPS_EACH:064x}"[::-1]
            start = 2.0 * ((number + place) % _CLIPS_EACH)
            span = Span(start, start + 2.0)
            name = f"/videos/{video[:8]}.mp4"
            clips.append(ClipRow(clip_id(video, span), video, name, start, start + 2.0, "windows 2/2", (0.5, 1.5), {}))
            if start == 0:
                labels.append(LabelRow(video, name, f"class {y[place]}", None, None))
        if clips:
            bank.add(recipe, clips, X[:new], [])
            Labels(folder).add(labels)
        if new < len(X):
            np.savez(folder / "tested.npz", X=X[new:][:_TESTED], y=y[new:][:_TESTED])
        number += new


def trained(folder: Path, kind: str, *, limit: int | None, whole: bool) -> dict[str, Any]:
    """Train in this process; seconds, memory and accuracies."""
    import resource

    if limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
    facts: dict[str, Any] = {"kind": kind, "limit": limit}
    with watched() as peak:
        started = time.perf_counter()
        if limit is None:  # once, in memory: cross-validation of kNN there compares all clips with all
            labelled = dataset(folder)
            model = build_head(*MODELS[kind], seed=0)
            classes = model.fit(labelled.X, labelled.y).classes_
            score = model.predict_proba
        else:
            facts["cv"] = train_head(bank=folder, name="tried", head=MODELS[kind][0], **MODELS[kind][1]).cv["top1"]
            head = load_trained(folder / "heads", "tried")
            classes, score = np.array(head.classes), head.predict_proba
        facts["seconds"] = time.perf_counter() - started
        tested = np.load(folder / "tested.npz")
        names = np.array([f"class {code}" for code in tested["y"]])
        facts["accuracy"] = float((classes[score(tested["X"]).argmax(axis=1)] == names).mean())
        if whole:
            started = time.perf_counter()
            facts["evaluated"] = evaluate(bank=folder, head_name="tried", protocol="cv").figures["top1"]
            facts["evaluate_seconds"] = time.perf_counter() - started
            started = time.perf_counter()
            facts["predictions"] = len(predict(bank=folder, head_name="tried", never_abstain=True))
            facts["predict_seconds"] = time.perf_counter() - started
    facts["memory"] = peak["most"]
    return facts


def in_a_process(folder: Path, kind: str, *, limit: int | None, whole: bool) -> dict[str, Any]:
    """``trained`` in a new process: a limit cannot be raised again, and libraries keep what they have."""
    command = [sys.executable, __file__, "--child", str(folder), kind, str(limit or 0), str(int(whole))]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **_SETTINGS})
    if done.returncode:
        return {"kind": kind, "limit": limit, "error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def as_row(facts: dict[str, Any]) -> list[str]:
    limit = "none" if facts["limit"] is None else f"{facts['limit']:,} MB"
    if "error" in facts:
        return [facts["kind"], limit, facts["error"], "", "", ""]
    accuracies = f"{facts['accuracy']:.4f}", f"{facts['cv']:.4f}" if "cv" in facts else ""
    return [facts["kind"], limit, *accuracies, f"{facts['seconds']:.0f}", f"{facts['memory']:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=250_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--kinds", nargs="+", default=list(MODELS))
    parser.add_argument("--whole", action="store_true", help="evaluate and predict as well")
    parser.add_argument("--unlimited", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the bank is made, or was by an earlier run")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        folder, kind, limit, whole = arguments.child
        print(json.dumps(trained(Path(folder), kind, limit=int(limit) or None, whole=bool(int(whole)))))
        return
    found: list[dict[str, Any]] = []
    target = Path(__file__).parent / "results" / "out_of_core.json"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name, "bank")
        if not folder.exists():
            make_bank(folder, arguments.clips, arguments.dim)
        size = 4 * arguments.clips * arguments.dim / 1e6
        print(f"{arguments.clips:,} clips, {size:,.0f} MB of vectors", flush=True)
        limits = (arguments.limit, None) if arguments.unlimited else (arguments.limit,)
        for limit, kind in itertools.product(limits, arguments.kinds):
            found.append(in_a_process(folder, kind, limit=limit, whole=arguments.whole))
            print(*as_row(found[-1]), sep=" | ", flush=True)
            target.write_text(json.dumps({"clips": arguments.clips, "dim": arguments.dim, "found": found}) + "\n")
    if arguments.write:
        header = ["head", "limit", "accuracy, unseen clips", "cross-validated", "seconds", "private memory, MB"]
        caption = f"{arguments.clips:,} clips, {size:,.0f} MB of vectors, {_CLASSES} classes:\n\n"
        put(
            SCALE,
            "out_of_core",
            caption + table(header, map(as_row, sorted(found, key=lambda one: arguments.kinds.index(one["kind"])))),
            script="out_of_core",
        )


if __name__ == "__main__":
    main()
