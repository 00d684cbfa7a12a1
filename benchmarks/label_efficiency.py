"""How fast a class is learned from suggested clips, beside clips drawn at random.

    python benchmarks/label_efficiency.py BANK weizmann/manifest.csv --recipe motion --out efficiency.png

BANK holds the clips of labelled videos (extract them with --clips whole). The manifest has the columns path, label and
group. Each group is held out in turn. For each class, a simulated annotator starts with one clip of it and one that is
not of it, both drawn, and says of four clips at a time whether they are of the class: suggested ones of the feed mixed,
or drawn ones. After each four, a linear head on all clips labelled so far is measured on the group that was held out:
average precision of the ranking of its clips, and balanced accuracy at probability 0.5. Prints a Markdown table: means
over groups, classes and seeds, with 95% intervals from groups drawn anew (bootstrap), and writes a plot.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import Bank
from pipeline.bank.labels import Labels, label_row
from pipeline.bank.negative_labels import negative_of
from pipeline.classification.class_learner import ClassLearner
from pipeline.classification.suggest import suggestions
from pipeline.classification.suggest_options import SuggestOptions
from pipeline.core.metrics import average_precision
from pipeline.core.types import ClipRow, Moment, VideoRow
from pipeline.core.vectors import unit
from pipeline.heads import LinearHead

_AT_ONCE = 4
_STRATEGIES = ("suggested", "random")
_RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Clips:
    """All clips, (n, dim), with their classes and groups."""

    rows: list[ClipRow]
    vectors: np.ndarray
    classes: list[str]
    groups: list[str]


def read(bank: Path, manifest: Path, recipe_name: str | None) -> tuple[Clips, Bank]:
    opened = Bank(bank)
    table = opened.clips(opened.recipe(recipe_name).id)
    named = {(manifest.parent / row["path"]).resolve(): row for row in csv.DictReader(manifest.open())}
    rows, vectors = list(table.rows()), table.embeddings()
    known = [named[Path(row.video).resolve()] for row in rows]
    return Clips(rows, vectors, [row["label"] for row in known], [row["group"] for row in known]), opened


def of_group(bank: Path, manifest: Path, recipe_name: str | None, group: str, seeds: int, most: int) -> np.ndarray:
    """(strategies, measures, seeds x classes, steps) with this group held out."""
    clips, opened = read(bank, manifest, recipe_name)
    recipe = opened.recipe(recipe_name)
    held = np.array([one == group for one in clips.groups])
    rows = [row for row, out in zip(clips.rows, held, strict=True) if not out]
    with tempfile.TemporaryDirectory() as folder:
        store = Bank(folder, create=True)
        videos = [VideoRow(row.video, row.video_id, "ok", (row.clip_id,), plan=row.plan) for row in rows]
        store.add(recipe, rows, clips.vectors[~held], videos)
        learner = ClassLearner(store, recipe, text_cosines=lambda _: None)
        truth = {row.clip_id: name for row, name in zip(clips.rows, clips.classes, strict=True)}
        test = unit(clips.vectors[held]), [name for name, out in zip(clips.classes, held, strict=True) if out]
        found = [
            [
                run(store, learner, truth, test, name, strategy, seed, most)
                for seed in range(seeds)
                for name in sorted(set(truth.values()))
            ]
            for strategy in _STRATEGIES
        ]
    return np.array(found).transpose(0, 3, 1, 2)


def run(store, learner, truth, test, name: str, strategy: str, seed: int, most: int) -> list[tuple[float, float]]:
    """Average precision and balanced accuracy on the held-out clips after each step."""
    labels = Labels(store.folder)
    labels.remove(lambda _: False)
    random = np.random.default_rng(seed)
    ids = learner.clips.ids
    is_class = np.array([truth[one] == name for one in ids])
    first = [int(random.choice(np.flatnonzero(is_class))), int(random.choice(np.flatnonzero(~is_class)))]
    order = [int(number) for number in random.permutation(len(ids)) if number not in first]
    figures, chosen = [], first
    labelled: list[int] = []
    while True:
        labelled += chosen
        labels.add(
            label_row(
                Moment(Path(row.video), row.span),
                name if truth[row.clip_id] == name else negative_of(name),
                video_id=row.video_id,
            )
            for row in learner.clips.rows(chosen)
        )
        head = LinearHead().fit(learner.vectors(labelled), is_class[labelled])
        scores = head.predict_proba(test[0])[:, 1]
        wanted = np.array([one == name for one in test[1]])
        right = (scores >= 0.5) == wanted
        balanced = (right[wanted].mean() + right[~wanted].mean()) / 2 if wanted.any() else np.nan
        figures.append(
            (average_precision(wanted[np.argsort(-scores, kind="stable")]) if wanted.any() else np.nan, balanced)
        )
        if len(labelled) >= most:
            return figures
        if strategy == "random":
            chosen, order = order[:_AT_ONCE], order[_AT_ONCE:]
        else:
            options = SuggestOptions(count=_AT_ONCE, seed=seed)
            places = {one: number for number, one in enumerate(ids)}
            chosen = [places[one.clip_id] for one in suggestions(learner, name, options)]


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over groups and draws, (groups, draws), and the interval in which it falls when groups are drawn anew."""
    random = np.random.default_rng(0)
    means = np.nanmean(values, axis=1)
    drawn = [np.nanmean(means[random.integers(len(means), size=len(means))]) for _ in range(_RESAMPLES)]
    return float(np.nanmean(means)), *(float(end) for end in np.quantile(drawn, (0.025, 0.975)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--recipe")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--labels", type=int, default=42, help="how many clips are labelled at most")
    parser.add_argument("--out", type=Path, help="a PNG")
    given = parser.parse_args()
    groups = sorted(set(read(given.bank, given.manifest, given.recipe)[0].groups))
    jobs = [(given.bank, given.manifest, given.recipe, group, given.seeds, given.labels) for group in groups]
    with ProcessPoolExecutor(2) as pool:
        found = np.array(
            list(pool.map(of_group, *zip(*jobs, strict=True)))
        )  # (groups, strategies, measures, draws, steps)
    counts = 2 + _AT_ONCE * np.arange(found.shape[-1])
    print("| labels | AP, suggested | AP, random | difference | balanced accuracy, suggested | random | difference |")
    print("|---|---|---|---|---|---|---|")
    for step, count in enumerate(counts):
        cells = []
        for measure in (0, 1):
            one, other = found[:, 0, measure, :, step], found[:, 1, measure, :, step]
            for values in (one, other, one - other):
                mean, low, high = interval(values)
                cells.append(f"{mean:.3f} ({low:.3f} to {high:.3f})")
        print(f"| {count} | {' | '.join(cells)} |")
    if given.out is not None:
        draw(found, counts, given.out)


def draw(found: np.ndarray, counts: np.ndarray, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), dpi=100, layout="constrained")
    for number, name in enumerate(_STRATEGIES):
        mean, low, high = np.array([interval(found[:, number, 0, :, step]) for step in range(len(counts))]).T
        (line,) = axes.plot(counts, mean, marker="o", label=name)
        axes.fill_between(counts, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="labelled clips", ylabel="average precision, people not seen", ylim=(0, 1))
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path)


if __name__ == "__main__":
    main()
