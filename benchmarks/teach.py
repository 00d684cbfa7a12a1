"""A class added to heads of a bank with many clips: seconds, and whether the scores of all other classes stay.

    python benchmarks/teach.py [--clips 100000] [--classes 100] [--write]

The bank is made of drawn vectors of 768 numbers, five clips to a small file; a new class is
taught by one of two files that are stored. Each head is trained once (not counted), then taught five classes in turn.
Prints a table; ``--write`` puts it into docs/performance.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from heads import drawn
from pages import PERFORMANCE, put, table

from pipeline import Bank, add_class, load_encoder
from pipeline.classification.cross_validation import fit
from pipeline.classification.dataset import LabelledClips, labelled_examples
from pipeline.classification.train import build_head
from pipeline.core.recipe import Recipe
from pipeline.core.types import ClipRow, LabelRow, Span, VideoRow, clip_id
from pipeline.extraction.resume import video_id_of
from pipeline.heads import HeadCard, NoveltyDetector, Sample, load_trained, save_head

_A_FILE = 5
_NEW = 5  # classes that are taught
_COMPARED = 10_000  # clips whose scores are compared bit by bit
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {}),
    "prototype": ("prototype", {}),
    "knn, each class": ("knn", {"vote": "each-class"}),
    "mlp, triplet": ("mlp", {"max_steps": 200}),
}


def fill(folder: Path, X: np.ndarray, recipe: Recipe, seconds: float) -> tuple[list[ClipRow], list[Path]]:
    clips: list[ClipRow] = []
    rows, paths = [], []
    for start in range(0, len(X), _A_FILE):
        path = folder / "videos" / f"{start // 1000:03d}" / f"{start:06d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % start)
        facts, identity = path.stat(), video_id_of(path)
        spans = [Span(seconds * number, seconds * (number + 1)) for number in range(_A_FILE)]
        kind = f"windows {seconds:g}/{seconds:g}"
        own = [
            ClipRow(clip_id(identity, one), identity, str(path), one.start_seconds, one.stop_seconds, kind, (0.5,), {})
            for one in spans
        ]
        clips += own
        ids = tuple(clip.clip_id for clip in own)
        size, mtime = facts.st_size, facts.st_mtime_ns
        rows.append(VideoRow(str(path), identity, "ok", ids, plan=kind, size_bytes=size, mtime_ns=mtime))
        paths.append(path)
    Bank(folder / "bank", create=True).add(recipe, clips, X, rows)
    return clips, paths


def store(
    bank: Path, name: str, kind: str, parameters: dict[str, Any], examples: LabelledClips, recipe: Recipe
) -> None:
    head = fit(build_head(kind, parameters, seed=0), examples)
    card = HeadCard(
        name=name,
        kind=kind,
        parameters=head.get_params(deep=False),
        classes=tuple(map(str, head.classes_)),
        recipe=recipe,
        examples=tuple(zip(examples.ids, examples.y.tolist(), examples.groups.tolist(), strict=True)),
        cv=None,
        labels=None,
        seed=0,
    )
    sample = Sample.of(examples.X, np.searchsorted(head.classes_, examples.y))
    familiarity = NoveltyDetector.fit(examples.vectors, examples.y)
    save_head(bank / "heads", head, card, familiarity=familiarity, sample=sample)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    encoder = load_encoder("lite")
    recipe, seconds = dataclasses.replace(encoder.recipe(decoder="pyav"), dim=768), encoder.card.span_seconds
    X, y = drawn(arguments.clips, recipe.dim, arguments.classes)
    strangers = arguments.clips - 2 * _NEW * _A_FILE  # the last files hold what will be taught
    rng = np.random.default_rng(1)
    for number in range(_NEW):
        own = slice(strangers + 2 * number * _A_FILE, strangers + 2 * (number + 1) * _A_FILE)
        X[own] += 3.0 * rng.normal(size=X.shape[1]).astype(np.float32)
    rows = []
    changed = False
    with tempfile.TemporaryDirectory() as name:
        clips, paths = fill(Path(name), X, recipe, seconds)
        bank = Path(name, "bank")
        labels = [
            LabelRow(clip.video_id, clip.video, f"class {code}", clip.start_seconds, clip.stop_seconds)
            for clip, code in zip(clips[:strangers], y, strict=False)
        ]
        examples = labelled_examples(Bank(bank), recipe, labels)
        for title, (kind, parameters) in _KINDS.items():
            store(bank, kind, kind, parameters, examples, recipe)
            before = load_trained(bank / "heads", kind).head
            times, found = [], []
            for number in range(_NEW):
                path = paths[strangers // _A_FILE + 2 * number]
                started = time.monotonic()
                report = add_class(f"new {number}", [path], bank=bank, head_name=kind)
                times.append(time.monotonic() - started)
                changed = changed or report.other_scores_changed
            after = load_trained(bank / "heads", kind).head
            seen = X[:: max(1, len(X) // _COMPARED)]
            same = np.array_equal(after.scores(seen)[:, : arguments.classes], before.scores(seen))
            changed = changed or not same
            for number in range(_NEW):
                first = strangers + (2 * number + 1) * _A_FILE
                unseen = X[first : first + _A_FILE]
                found += (after.predict(unseen) == f"new {number}").tolist()
            shown = [f"{statistics.median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}"]
            rows.append([title, *shown, "yes" if same else "NO", f"{np.mean(found):.2f}"])
            print(*rows[-1], sep=" | ", flush=True)
    header = [
        "head",
        "add-class, s",
        "spread",
        "all other scores bit-identical",
        "unseen clips of the new classes found",
    ]
    written = table(header, rows)
    print(f"\n{written}")
    if arguments.write:
        put(PERFORMANCE, "teach", written, script="teach")
    return int(changed)


if __name__ == "__main__":
    raise SystemExit(main())
