"""Measure ``motion`` beside ``lite`` on labelled videos, by the commands of the product.

    python benchmarks/motion.py weizmann/manifest.csv --videos weizmann/video --out figures

The manifest has the columns path, label and group; each group is left out once. Prints, as Markdown: seconds of both
extractions, turn by turn, and their ratio; top-1 accuracy by head, for both encoders and for each part of ``motion``
alone; recall on other groups' clips of a class added from five clips. Writes k-shot curves of both into one picture.
What takes longest, the heads that depend on a seed, comes last.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
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


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Stored vectors, their labels, and the heads that can read them."""

    name: str
    bank: Path
    labels: Path
    recipe: str | None
    heads: Sequence[str]


def part_banks(bank: Path, manifest: Path, out: Path) -> Iterator[Vectors]:
    """One part of ``motion`` each, in a bank of its own."""
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
        yield Vectors(name, part_bank, table, None, [head for head in _HEADS if head != "temporal"])


def accuracy(vectors: Vectors, head: str, *, seeds: int = 1) -> str:
    """Top-1 on groups that were left out; with several seeds the mean and the extremes."""
    chosen = [] if vectors.recipe is None else ["--recipe", vectors.recipe]
    data = ["--labels", vectors.labels, "--bank", vectors.bank]
    found = [run("train-head", *_HEADS[head], *chosen, *data, "--seed", seed)[0]["cv"]["top1"] for seed in range(seeds)]
    spread = f" ({min(found):.3f} to {max(found):.3f})" if seeds > 1 else ""
    return f"{np.mean(found):.3f}{spread}"


def recall_of_added(bank: Path, manifest: Path, recipe: str, out: Path) -> dict[str, float]:
    """Of each class in turn, added from clips of five groups to a head that knows the other classes from the same
    groups: recall on its clips of the other groups.
    """
    rows = [{**row, "path": str((manifest.parent / row["path"]).resolve())} for row in csv.DictReader(manifest.open())]
    known = sorted({row["group"] for row in rows})[:_ADDED_FROM]
    recalls = {}
    for name in sorted({row["label"] for row in rows}):
        table = out / "others.csv"
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "group"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(row for row in rows if row["label"] != name and row["group"] in known)
        run("train-head", "--labels", table, "--recipe", recipe, "--name", "grown", "--bank", bank)
        added, others = (
            {row["path"] for row in rows if row["label"] == name and (row["group"] in known) is is_known}
            for is_known in (True, False)
        )
        run("add-class", name, *sorted(added), "--head-name", "grown", "--bank", bank)
        found = run("predict", "--head-name", "grown", "--bank", bank)
        unseen = [row["label"] for row in found if str(Path(row["video"]).resolve()) in others]
        recalls[name] = unseen.count(name) / max(1, len(unseen))
    return recalls


def curves(bank: Path, manifest: Path, picture: Path) -> None:
    """Draw the k-shot curves of linear heads of both."""
    drawn = []
    for encoder in _ENCODERS:
        run("train-head", "--labels", manifest, "--recipe", encoder, "--name", encoder, "--bank", bank)
        told = ["--labels", manifest, "--shots", "1,2,4,6", "--bank", bank]
        (figures,) = run("evaluate", "--protocol", "k-shot", "--head-name", encoder, *told)
        drawn.append(dataclasses.replace(KShotCurve(**figures["curves"][0]), name=encoder))
    draw_k_shot(drawn, picture, chance=figures["chance"])


def timed(videos: Path, out: Path, rounds: int) -> None:
    """Print the seconds of both extractions, turn by turn, and their ratio."""
    seconds: dict[str, list[float]] = {encoder: [] for encoder in _ENCODERS}
    for number in range(rounds):
        for encoder in _ENCODERS:
            seconds[encoder].append(extracted(videos, out / f"timed-{encoder}-{number}", encoder))
    for encoder, times in seconds.items():
        print(f"{encoder}: {min(times):.1f} s", flush=True)
    ratios = [motion / lite for lite, motion in zip(*seconds.values(), strict=True)]
    print(f"motion/lite, round by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}\n", flush=True)


def table(vectors: Sequence[Vectors], heads: Sequence[str], seeds: int) -> None:
    """Print the accuracy of each head on each kind of vectors, as soon as it is known."""
    print(f"| vectors | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}", flush=True)
    for one in vectors:
        print(f"| {one.name} |", end="", flush=True)
        for head in heads:
            found = accuracy(one, head, seeds=seeds if head in _SEEDED else 1) if head in one.heads else ""
            print(f" {found} |", end="", flush=True)
        print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the banks; what they hold is used again")
    parser.add_argument("--rounds", type=int, default=3, help="of the timing")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.rounds:
        timed(given.videos, given.out, given.rounds)
    bank = given.out / "bank"
    for encoder in _ENCODERS:
        extracted(given.videos, bank, encoder)
    vectors = [Vectors(f"`{encoder}`", bank, given.manifest, encoder, tuple(_HEADS)) for encoder in _ENCODERS]
    vectors += part_banks(bank, given.manifest, given.out)
    table(vectors, [head for head in _HEADS if head not in _SEEDED], given.seeds)
    for encoder in _ENCODERS:
        recalls = recall_of_added(bank, given.manifest, encoder, given.out)
        print(f"\n{encoder}: recall of an added class {np.mean(list(recalls.values())):.2f}; {recalls}", flush=True)
    curves(bank, given.manifest, given.out / "k_shot.png")
    table(vectors, _SEEDED, given.seeds)


if __name__ == "__main__":
    main()
