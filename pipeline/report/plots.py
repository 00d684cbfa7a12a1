"""Plots of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.metrics import average_precision, confusion_matrix, precision_recall, reliability, risk_coverage

if TYPE_CHECKING:
    from ..evaluation.evaluate_head import Evaluation
    from ..evaluation.k_shot import KShotCurve

_DPI = 110
_MOST_NAMED = 40  # classes; with more, a confusion matrix goes without numbers and names
_MOST_CURVES = 12
_FEWEST_ANSWERED = 10  # the share of errors among fewer clips is mostly chance
_WIDTH, _HEIGHT = 6.5, 4.6  # inches
_NOTHING = "#9a9a9a"

# Of colours on white, in OKLab.
_LIGHTNESS = (0.45, 0.8)
_RGB_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_CONES_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def draw_all(done: Evaluation, folder: Path) -> dict[str, Path]:
    """Every plot of an evaluation, by name."""
    knew = np.isfinite(done.scores).any(axis=1)
    right = knew & (done.scores.argmax(axis=1) == done.truth)
    sure = np.where(knew, done.scores.max(axis=1), 0.0)
    return {
        "confusion": _confusion(confusion_matrix(done.truth, done.scores), done.classes, folder / "confusion.png"),
        "precision_recall": _curves(done, folder / "precision_recall.png"),
        "calibration": _calibration(done, folder / "calibration.png"),
        "recall": _recall(done, folder / "recall.png"),
        "risk_coverage": _risk(risk_coverage(right, sure), folder / "risk_coverage.png", done.figures["chance"]),
        "classes": _classes(done, folder / "classes.png"),
    }


def draw_k_shot(curves: Sequence[KShotCurve], path: Path, *, chance: float) -> Path:
    """Accuracy against labelled clips of each class, and what chance would reach."""
    figure, axes = _figure(_WIDTH, _HEIGHT)
    _chance_line(axes, chance)
    for curve in curves:
        places = np.array(curve.shots)
        (line,) = axes.plot(places, curve.means, marker="o", label=curve.name)
        axes.fill_between(places, curve.lows, curve.highs, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xscale("symlog", base=2, linthresh=1)
    shots = sorted({shot for curve in curves for shot in curve.shots})
    axes.set_xticks(shots, [str(shot) for shot in shots])
    axes.set(xlabel="labelled clips of each class", ylabel="top-1 accuracy", ylim=(0, 1))
    axes.legend(loc="lower right")
    return _saved(figure, path)


def _confusion(counts: npt.NDArray[np.int64], classes: Sequence[str], path: Path) -> Path:
    size = float(np.clip(0.42 * len(classes) + 2.2, 4, 13))
    figure, axes = _figure(size, size * 0.9)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="true")
    if len(classes) <= _MOST_NAMED:
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
        for row, column in zip(*np.nonzero(counts), strict=True):
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=8)
    return _saved(figure, path)


def _curves(done: Evaluation, path: Path) -> Path:
    """Precision against recall of each class; with many, of those that are predicted worst."""
    figure, axes = _figure(_WIDTH, _HEIGHT)
    precisions = {name: facts["average_precision"] for name, facts in done.figures["per_class"].items()}
    worst = sorted(precisions, key=lambda name: precisions[name])[:_MOST_CURVES]
    for name in worst:
        code = done.classes.index(name)
        precision, recall = precision_recall(done.truth == code, done.scores[:, code])
        if len(recall):
            own = average_precision((done.truth == code)[np.argsort(-done.scores[:, code], kind="stable")])
            axes.plot(recall, precision, label=f"{name} ({own:.2f})")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    if len(done.classes) > _MOST_CURVES:
        axes.set_title(f"the {_MOST_CURVES} classes with the least average precision, of {len(done.classes)}")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), title="average precision")
    return _saved(figure, path)


def _calibration(done: Evaluation, path: Path) -> Path:
    figure, axes = _figure(_WIDTH, _HEIGHT)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    for name, scores, ece in (
        ("as trained", done.uncalibrated, done.figures["ece_uncalibrated"]),
        ("calibrated", done.scores, done.figures["ece"]),
    ):
        confidence, accuracy, weight = reliability(done.truth, scores)
        (line,) = axes.plot(confidence, accuracy, label=name if ece is None else f"{name}, ECE {ece:.3f}")
        axes.scatter(confidence, accuracy, s=8 + 300 * weight, color=line.get_color(), alpha=0.6)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")
    return _saved(figure, path)


def _risk(curve: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], path: Path, chance: float) -> Path:
    figure, axes = _figure(_WIDTH, _HEIGHT)
    coverage, risk = (values[min(_FEWEST_ANSWERED, len(values)) - 1 :] for values in curve)
    axes.plot(coverage, risk)
    _chance_line(axes, 1 - chance)
    axes.set(xlabel="coverage", ylabel="risk", xlim=(0, 1), ylim=(0, None))
    return _saved(figure, path)


def _recall(done: Evaluation, path: Path) -> Path:
    """Recall of each class, worst first; with many, of the worst."""
    rows: Mapping[str, Any] = done.figures["per_class"]
    names = sorted((name for name in rows if rows[name]["clips"]), key=lambda name: rows[name]["recall"])[:_MOST_NAMED]
    figure, axes = _figure(_WIDTH, _tall(len(names)))
    for place, name in enumerate(names):
        axes.plot(rows[name]["recall_interval"], [place, place], color="C0", linewidth=2, alpha=0.5)
        axes.plot(rows[name]["recall"], place, marker="o", color="C0")
    axes.axvline(done.figures["chance_uniform"], color="grey", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="recall", xlim=(0, 1.02))
    return _saved(figure, path)


def _classes(done: Evaluation, path: Path) -> Path:
    """Clips of each class that were trained on; and those that were tested, if they are others."""
    names = list(done.classes)
    figure, axes = _figure(_WIDTH, _tall(len(names)))
    places = np.arange(len(names))
    trained = [done.counts.get(name, 0) for name in names]
    tested = [done.figures["per_class"][name]["clips"] for name in names]
    if trained == tested:
        axes.barh(places, trained, 0.6)
    else:
        axes.barh(places - 0.2, trained, 0.4, label="trained on")
        axes.barh(places + 0.2, tested, 0.4, label="tested")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set(xlabel="clips")
    return _saved(figure, path)


def _tall(num_rows: int) -> float:
    """Height of a plot with one row for each class."""
    return float(np.clip(0.28 * num_rows + 1.2, _HEIGHT, 14))


def _chance_line(axes: Any, level: float) -> None:
    axes.axhline(level, color="grey", linewidth=1, linestyle="--", label="chance")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    axes.grid(alpha=0.3)
    return figure, axes


def _saved(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)
    return path


def draw_points(
    points: npt.NDArray[np.float64], kinds: Sequence[str], names: Sequence[str], path: Path, *, nothing: str
) -> list[str]:
    """Points of a plane, (n, 2), coloured by kind; gives the colour of each of ``names``, grey for ``nothing``."""
    colours = [
        _NOTHING if name == nothing else shade for name, shade in zip(names, different_colours(len(names)), strict=True)
    ]
    figure, axes = _figure(8.5, 6.0)
    for name, colour in zip(names, colours, strict=True):
        own = points[[kind == name for kind in kinds]]
        axes.scatter(own[:, 0], own[:, 1], s=14, color=colour, label=name, linewidths=0)
    axes.set_xticks([])
    axes.set_yticks([])
    if len(names) <= _MOST_NAMED:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    _saved(figure, path)
    return colours


def different_colours(count: int) -> list[str]:
    """So many colours as ``#rrggbb``, neither light nor dark: each is as far from grey and from all before it as can be
    had, as an eye sees it (OKLab, Ottosson 2020).
    """
    steps = np.linspace(0, 1, 18)
    rgb = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = _oklab(rgb)
    usable = (seen[:, 0] > _LIGHTNESS[0]) & (seen[:, 0] < _LIGHTNESS[1])
    rgb, seen = rgb[usable], seen[usable]
    nearest = np.linalg.norm(seen - _oklab(np.full((1, 3), 0.6)), axis=1)
    chosen = []
    for _ in range(count):
        best = int(nearest.argmax())
        chosen.append(best)
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[best], axis=1))
    return ["#" + bytes(np.rint(255 * rgb[place]).astype(np.uint8)).hex() for place in chosen]


def _oklab(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Colours (n, 3) of sRGB in a space where distances are differences that an eye sees."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(linear @ _RGB_TO_CONES.T)
    result: npt.NDArray[np.float64] = cones @ _CONES_TO_LAB.T
    return result
