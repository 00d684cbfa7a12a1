"""What an evaluation leaves in a folder: figures as JSON, plots as PNG, and one page that holds them all."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import SourceError
from ..core.files import path_of
from .page import rendered
from .plots import draw_all, draw_k_shot
from .thumbnails import strip

if TYPE_CHECKING:
    from ..evaluation.evaluate_head import Evaluation
    from ..evaluation.k_shot import KShotReport

_WORST = 12
_HEADLINES = (
    ("top1", "top-1"),
    ("top5", "top-5"),
    ("balanced_accuracy", "balanced accuracy"),
    ("macro_f1", "macro F1"),
    ("map", "mAP"),
    ("ece", "ECE, calibrated"),
    ("ece_uncalibrated", "ECE before"),
    ("aurc", "area under risk-coverage"),
    ("retrieval_recall_at_1", "retrieval recall@1"),
    ("retrieval_recall_at_5", "retrieval recall@5"),
    ("retrieval_map", "retrieval mAP"),
)
_CHANCE = {"top1": "chance", "balanced_accuracy": "chance_uniform"}
_CAPTIONS = {
    "confusion": "Confusion: rows are true classes, columns predicted classes; colours are shares of a row.",
    "recall": "Recall of each class, with its 95% interval; the dashed line is uniform chance.",
    "precision_recall": "Precision against recall of each class.",
    "calibration": "Reliability: accuracy against confidence; dots are as large as their share of clips.",
    "risk_coverage": "Risk-coverage curve: the share of wrong answers if only the most confident clips are answered. "
    "The dashed line is chance.",
    "classes": "Clips of each class.",
}


def write_evaluation(folder: Path, done: Evaluation) -> None:
    """Write ``metrics.json``, the plots and ``report.html`` into a folder.

    Raises:
        SourceError: it cannot be written.
    """
    with _into(folder):
        _write_metrics(folder, done.figures)
        plots = draw_all(done, folder)
        unknown = done.figures["unknown_auroc"]
        headlines = [
            (_with_interval(title, name, done.figures), f"{done.figures[name]:.3f}")
            for name, title in _HEADLINES
            if done.figures.get(name) is not None
        ]
        if unknown is not None:
            headlines.append(("AUROC unknown classes", f"{unknown['mean']:.3f}"))
        page = rendered(
            "evaluation.html",
            title=f"{done.head}: {done.kind} head on {done.recipe.encoder}",
            facts=done.figures,
            headlines=headlines,
            notes=done.warnings,
            plots=[(_inline(path), _CAPTIONS[name]) for name, path in plots.items()],
            rows=done.figures["per_class"],
            curves=(),
            worst=list(_worst(done)),
        )
        (folder / "report.html").write_text(page, encoding="utf-8", errors="replace")


def write_k_shot(folder: Path, done: KShotReport) -> None:
    """Write ``metrics.json``, ``k_shot.png`` and ``report.html`` into a folder.

    Raises:
        SourceError: it cannot be written.
    """
    with _into(folder):
        figures = done.to_row()
        _write_metrics(folder, figures)
        plot = draw_k_shot(done.curves, folder / "k_shot.png", chance=done.chance)
        page = rendered(
            "evaluation.html",
            title=f"{done.head}: accuracy from few clips",
            facts=figures,
            headlines=[],
            notes=(),
            plots=[
                (_inline(plot), "Means over draws of the labelled clips; bands: 95% of the draws; dashed line: chance.")
            ],
            rows={},
            curves=done.curves,
            worst=[],
        )
        (folder / "report.html").write_text(page, encoding="utf-8", errors="replace")


def _with_interval(title: str, name: str, figures: Mapping[str, Any]) -> str:
    """The title of a figure, with its 95% interval and its chance level where it has them."""
    facts = []
    if f"{name}_interval" in figures:
        low, high = figures[f"{name}_interval"]
        facts.append(f"{low:.2f} to {high:.2f} at 95%")
    if name in _CHANCE:
        facts.append(f"chance {figures[_CHANCE[name]]:.2f}")
    return f"{title}: {', '.join(facts)}" if facts else title


@contextlib.contextmanager
def _into(folder: Path) -> Iterator[None]:
    """The folder, made if it is missing; an error if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SourceError(f"cannot write into {folder}: {error.strerror or error}") from error


def _write_metrics(folder: Path, figures: Any) -> None:
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _worst(done: Evaluation) -> Iterator[dict[str, Any]]:
    """The clips whose true class seemed least likely, with pictures."""
    own = done.scores[np.arange(len(done.truth)), done.truth]
    wrong = [
        number
        for number in np.argsort(own, kind="stable")
        if np.isfinite(done.scores[number]).any() and done.scores[number].argmax() != done.truth[number]
    ]
    for number in wrong[:_WORST]:
        predicted = int(done.scores[number].argmax())
        clip = done.clips[number]
        yield {
            "picture": strip(path_of(clip.video), clip.span),
            "name": Path(clip.video).name,
            "clip": clip,
            "true": done.classes[done.truth[number]],
            "predicted": done.classes[predicted],
            "true_score": max(0.0, float(own[number])),
            "predicted_score": float(done.scores[number, predicted]),
        }
