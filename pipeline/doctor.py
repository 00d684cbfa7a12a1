"""Is everything as it should be, here and in the bank, and what is to be done if not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._errors import ClipdexError
from ._recipe import Recipe
from .bank import Bank, damaged_parts
from .decoders import decoders
from .encoders import load_for


def doctor(*, bank: str | Path | None = None, repair: bool = False) -> list[dict[str, Any]]:
    """Checks of this installation and of a bank, each with what to do.

    Args:
        repair: move damaged parts into the bank's folder ``damaged``; the next extraction redoes their videos.
    """
    checks = [_check(f"decoder {name}", decoders.get(name).missing()) for name in decoders.names()]
    if bank is None or not Path(bank).exists():
        return [*checks, _check("bank", None, f"there is none at {bank}")]
    folder = Path(bank)
    bad = damaged_parts(folder)
    for part, problem in bad:
        moved = ""
        if repair:
            target = folder / "damaged" / part.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.rename(target)
            moved = f" It was moved to {target}; run the extraction again to redo its videos."
        checks.append({"check": "bank part", "ok": False, "detail": problem + moved})
    if not bad:
        checks.append(_check("bank parts", None, "all of them read back as they were written"))
    if not bad or repair:
        checks += [_recipe_check(recipe) for recipe in Bank(folder).recipes().values()]
    return checks


def _check(name: str, problem: str | None, detail: str = "") -> dict[str, Any]:
    return {"check": name, "ok": problem is None, "detail": problem or detail}


def _recipe_check(recipe: Recipe) -> dict[str, Any]:
    """Whether the encoder that made the vectors can still be had, the same to the last weight."""
    name = f"recipe {recipe.id} ({recipe.encoder})"
    try:
        load_for(recipe, device="cpu")
    except ClipdexError as error:
        return _check(name, str(error))
    return _check(name, None, "the same weights and settings are at hand")
