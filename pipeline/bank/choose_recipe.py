"""The recipes of a bank, and which of them a user means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.errors import BankError, UsageError
from ..core.notebook import table_html
from ..core.recipe import Recipe
from .parquet import folders_in, parts_in
from .schema import recipe_of


def read_recipes(folder: Path) -> dict[str, Recipe]:
    """The recipes of the parts in a bank's folder, by id; see ``Bank.recipes``."""
    found: dict[str, Recipe] = {}
    for parts in folders_in(folder / "clips"):
        for part in parts_in(parts):
            recipe = recipe_of(part)
            if recipe.id not in found or recipe.canary is not None:
                found[recipe.id] = recipe
            if recipe.canary is not None:
                break
    return found


def recipes_html(folder: Path, recipes: Sequence[tuple[Recipe, int]]) -> str:
    """A bank's recipes with their numbers of clips, for a notebook."""
    names = ("id", "encoder", "checkpoint", "num_frames", "dim")
    rows = [{**{name: getattr(recipe, name) for name in names}, "clips": clips} for recipe, clips in recipes]
    return table_html(rows, title=f"Bank {folder}")


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
