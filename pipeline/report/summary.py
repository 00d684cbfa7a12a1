"""Comparisons in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluation.compare_encoders import Comparison


def comparison_summary(done: Comparison) -> str:
    """What was compared, and on what."""
    sides = (f"{name}: {recipe.encoder} ({recipe.checkpoint})" for name, recipe in (("A", done.a), ("B", done.b)))
    return (
        f"{'; '.join(sides)}. {done.clips} clips of {done.classes} classes in {done.groups} groups or videos, "
        f"{done.protocol}"
    )
