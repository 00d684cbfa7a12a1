"""What is in a bank, and what is at hand."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

from ._errors import ClipdexError, EncoderError
from .bank import Bank, damaged_parts
from .decoders import decoders
from .encoders import cards, encoders, load_for
from .encoders._checkpoint import is_cached
from .heads import list_heads
from .labels import Labels


def bank_info(*, bank: str | Path = "bank") -> dict[str, Any]:
    """Recipes, videos by status, clips, labels, heads, indexes and bytes of a bank."""
    store = Bank(Path(bank))
    recipes = [
        {
            "id": recipe.id,
            "encoder": recipe.encoder,
            "checkpoint": recipe.checkpoint,
            "frames": recipe.num_frames,
            "dim": recipe.dim,
            "clips": len(store.clips(recipe.id)),
            "videos": dict(Counter(row.status for row in store.videos(recipe.id).values())),
        }
        for recipe in store.recipes().values()
    ]
    labels = Counter(row.label for row in Labels(store.folder).rows())
    return {
        "bank": str(store.folder),
        "recipes": recipes,
        "labels": dict(sorted(labels.items())),
        "heads": [card.name for card in list_heads(store.folder / "heads")],
        "indexes": sorted(
            f"{path.parent.parent.name}/{path.parent.name}" for path in store.folder.glob("indexes/*/*/index.json")
        ),
        "bytes": sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file()),
    }


def encoder_list() -> list[dict[str, Any]]:
    """Every encoder, from its card; ``at_hand`` says whether its default weights are on this machine."""
    return [
        {
            "name": name,
            "checkpoint": card.default_checkpoint,
            "frames": card.num_frames,
            "size": card.image_size,
            "dim": card.dim,
            "span_seconds": round(card.span_seconds, 3),
            "text": card.text,
            "knows": card.knows,
            "licence": card.licence,
            "at_hand": encoders.get(name).packaged() is not None or is_cached(card.default_checkpoint),
        }
        for name, card in cards().items()
    ]


def doctor(*, bank: str | Path | None = None, repair: bool = False) -> list[dict[str, Any]]:
    """Checks of this installation and of a bank, each with what to do.

    Args:
        repair: move damaged parts into the bank's folder ``damaged``; the next extraction redoes their videos.
    """
    checks = [
        _check(
            f"decoder {name}",
            importlib.util.find_spec(_LIBRARY[name]) is not None,
            "not installed on this platform",
        )
        for name in decoders.names()
    ]
    if bank is None or not (Path(bank) / "bank.json").exists():
        return checks
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
        checks.append(_check("bank parts", True, ""))
    if not bad or repair:
        checks += [_recipe_check(recipe) for recipe in Bank(folder).recipes().values()]
    return checks


_LIBRARY = {"pyav": "av", "decord": "decord"}


def _check(name: str, ok: bool, problem: str) -> dict[str, Any]:
    return {"check": name, "ok": ok, "detail": "" if ok else problem}


def _recipe_check(recipe: Any) -> dict[str, Any]:
    """Whether the encoder that made the vectors can still be had, the same to the last weight."""
    name = f"recipe {recipe.id} ({recipe.encoder})"
    try:
        load_for(recipe, device="cpu")
    except (EncoderError, ClipdexError) as error:
        return {"check": name, "ok": False, "detail": str(error)}
    return {"check": name, "ok": True, "detail": "the same weights and settings are at hand"}
