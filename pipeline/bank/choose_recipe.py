"""Which recipe of a bank a user means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.errors import BankError, UsageError
from ..core.recipe import Recipe


def choose_recipe(recipes: Mapping[str, Recipe], wanted: str | None, *, folder: Path) -> Recipe:
    """The only recipe, or the one whose id, encoder or checkpoint is ``wanted``.

    Args:
        recipes: by id.
        folder: of the bank, for messages.

    Raises:
        BankError: there is none.
        UsageError: none or several fit.
    """
    if not recipes:
        raise BankError(f"the bank {folder} holds no clips yet: clipdex extract VIDEOS --bank {folder}")
    fitting = [
        recipe
        for key, recipe in recipes.items()
        if wanted is None
        or wanted in (recipe.encoder, recipe.checkpoint)
        or key.startswith(wanted)
        or str(Path(wanted).resolve()) == recipe.checkpoint
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(
        f"{key} ({recipe.encoder}, {recipe.num_frames} frames, {recipe.pooling}, {recipe.checkpoint})"
        for key, recipe in recipes.items()
    )
    several = "several recipes" + (f" that {wanted!r} may mean" if wanted else "")
    problem = f"holds {several}" if fitting else f"has no recipe {wanted!r}"
    raise UsageError(f"the bank at {folder} {problem}; name one by its id. There are: {listed}")
