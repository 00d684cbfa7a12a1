"""Cards of heads and comparisons in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..evaluation.compare_encoders import Comparison
    from ..heads import HeadCard


def comparison_summary(done: Comparison) -> str:
    """What was compared, and on what."""
    sides = (f"{name}: {recipe.encoder} ({recipe.checkpoint})" for name, recipe in (("A", done.a), ("B", done.b)))
    return (
        f"{'; '.join(sides)}. {done.clips} clips of {done.classes} classes in {done.groups} groups or videos, "
        f"{done.protocol}"
    )


def head_row(card: HeadCard) -> dict[str, Any]:
    """A head's card without the list of what it was trained on."""
    return {
        "name": card.name,
        "kind": card.kind,
        "loss": card.loss,
        "classes": list(card.classes),
        "clips": len(card.examples),
        "recipe_id": card.recipe.id,
        "encoder": card.recipe.encoder,
        "labels": card.labels,
        "seed": card.seed,
        "parameters": dict(card.parameters),
        "cv": card.cv,
        "calibration": card.calibration.method,
        "thresholds": dict(card.thresholds),
    }
