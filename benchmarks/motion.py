"""Measure ``motion`` beside ``lite`` on labelled videos, by the commands of the product.

    python benchmarks/motion.py weizmann/manifest.csv --videos weizmann/video --out figures

The manifest has the columns path, label and group; each group is left out once. Prints, as Markdown: top-1 accuracy by
head, for both encoders and for each part of ``motion`` alone; recall on other groups' clips of a class added from five
clips; seconds of both extractions, turn by turn, and their ratio. Writes k-shot curves of both into one picture.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import Bank
from pipeline.commands import main as clipdex
from pipeline.encoders._families.motion_description import DIM
from pipeline.evaluation.k_shot import KShotCurve
from pipeline.report.plots import draw_k_shot

_HEADS = {
    "linear": ["--head", "linear"],
    "knn": ["--head", "knn"],
    "prototype": ["--head", "prototype"],
    "triplet": ["--loss", "triplet"],
    "temporal": ["--head", "temporal"],
}
_SEEDED = ("triplet", "temporal")
_ADDED_FROM = 5
_ENCODERS = ("lite", "motion")


def run(*arguments: object) -> list[dict]:
    """A command's JSON lines."""
    result = CliRunner().invoke(clipdex, [*(str(argument) for argument in arguments), "--json"], catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(result.output)
    return [json.loads(line) for line in result.stdout.splitlines()]


def extracted(videos: Path, bank: Path, encoder: str) -> float:
    """Seconds of an extraction."""
    started = time.perf_counter()
    run("extract", videos, "--encoder", encoder, "--clips", "whole", "--keep", "frames", "--bank", bank)
    return time.perf_counter() - started


def part_banks(bank: Path, manifest: Path, out: Path) -> Iterator[tuple[str, Path, Path]]:
    """Banks with one part of ``motion`` each, and the labels for them."""
    clips = Bank(bank).clips(Bank(bank).recipe("motion").id)
    vectors = clips.embeddings()
    table = out / "clips.csv"
    labels = {(manifest.parent / row["path"]).resolve(): row for row in csv.DictReader(manifest.open())}
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "start_seconds", "stop_seconds", "label", "group"])
        for clip in clips.rows():
            row = labels[Path(clip.video).resolve()]
            writer.writerow([clip.video, clip.start_seconds, clip.stop_seconds, row["label"], row["group"]])
    for name, part in (("appearance alone", vectors[:, :-DIM]), ("movement alone", vectors[:, -DIM:])):
        np.save(out / "part.npy", part + np.float32(1e-9))  # an imported vector may not be zero
        part_bank = out / name.replace(" ", "-")
        run("bank", "import", out / "part.npy", table, "--name", name, "--bank", part_bank)
        yield name, part_bank, table


def accuracy(bank: Path, labels: Path, head: str, *, recipe: str | None = None, seeds: int = 1) -> str:
    """Top-1 on groups that were left out; with several seeds the mean and the extremes."""
    chosen = [] if recipe is None else ["--recipe", recipe]
    found = [
        run("train-head", *_HEADS[head], *chosen, "--labels", labels, "--seed", seed, "--bank", bank)[0]["cv"]["top1"]
        for seed in range(seeds)
    ]
    spread = f" ({min(found):.3f} to {max(found):.3f})" if seeds > 1 else ""
    return f"{np.mean(found):.3f}{spread}"


def recall_of_added(bank: Path, manifest: Path, recipe: str, out: Path) -> list[float]:
    """Of each class in turn, added from clips of five groups: recall on its other clips."""
    rows = [{**row, "path": str((manifest.parent / row["path"]).resolve())} for row in csv.DictReader(manifest.open())]
    recalls = []
    for name in sorted({row["label"] for row in rows}):
        others = out / "others.csv"
        with others.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "group"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(row for row in rows if row["label"] != name)
        run("train-head", "--labels", others, "--recipe", recipe, "--name", "grown", "--bank", bank)
        paths = [row["path"] for row in sorted(rows, key=lambda row: row["group"]) if row["label"] == name]
        run("add-class", name, *paths[:_ADDED_FROM], "--head-name", "grown", "--bank", bank)
        found = run("predict", "--head-name", "grown", "--bank", bank)
        unseen = [row["label"] for row in found if str(Path(row["video"]).resolve()) in paths[_ADDED_FROM:]]
        recalls.append(unseen.count(name) / max(1, len(unseen)))
    return recalls


def curves(bank: Path, manifest: Path, picture: Path) -> None:
    """Draw the k-shot curves of linear heads of both."""
    drawn = []
    for encoder in _ENCODERS:
        run("train-head", "--labels", manifest, "--recipe", encoder, "--name", encoder, "--bank", bank)
        told = ["--labels", manifest, "--shots", "1,2,4,6", "--bank", bank]
        (figures,) = run("evaluate", "--protocol", "k-shot", "--head-name", encoder, *told)
        drawn.append(dataclasses.replace(KShotCurve(**figures["curves"][0]), name=encoder))
    draw_k_shot(drawn, picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="an empty folder, or a new one")
    parser.add_argument("--rounds", type=int, default=3, help="of the timing")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, list[float]] = {encoder: [] for encoder in _ENCODERS}
    for number in range(given.rounds):
        for encoder in _ENCODERS:
            seconds[encoder].append(extracted(given.videos, given.out / f"timed-{encoder}-{number}", encoder))
    for encoder, times in seconds.items():
        print(f"{encoder}: {min(times):.1f} s", flush=True)
    ratios = [motion / lite for lite, motion in zip(*seconds.values(), strict=True)]
    print(f"motion/lite, round by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}\n", flush=True)
    bank = given.out / "bank"
    for encoder in _ENCODERS:
        extracted(given.videos, bank, encoder)
    print(f"| vectors | {' | '.join(_HEADS)} |\n|---|{'---|' * len(_HEADS)}", flush=True)
    for encoder in _ENCODERS:
        cells = [
            accuracy(bank, given.manifest, head, recipe=encoder, seeds=given.seeds if head in _SEEDED else 1)
            for head in _HEADS
        ]
        print(f"| `{encoder}` | {' | '.join(cells)} |", flush=True)
    for name, part_bank, labels in part_banks(bank, given.manifest, given.out):
        cells = [
            "" if head == "temporal" else accuracy(part_bank, labels, head, seeds=given.seeds if head in _SEEDED else 1)
            for head in _HEADS
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for encoder in _ENCODERS:
        recalls = recall_of_added(bank, given.manifest, encoder, given.out)
        print(f"\n{encoder}: recall of an added class {np.mean(recalls):.2f}, by class {recalls}", flush=True)
    curves(bank, given.manifest, given.out / "k_shot.png")


if __name__ == "__main__":
    main()
