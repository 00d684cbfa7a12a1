"""What is in a bank, and what is at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ..bank.bank import Bank
from ..bank.head_changes import heads_in, labels_in
from ..core.types import VideoRow
from ..encoders import at_hand, cards, encoders
from ..heads import read_cards


def bank_info(*, bank: str | Path = "bank") -> dict[str, Any]:
    """Recipes, videos by status, clips, labels, heads, indexes and bytes of a bank; for each head whose file
    is damaged, a sentence that names it.
    """
    store = Bank(Path(bank))
    recipes = [
        {
            "id": recipe.id,
            "encoder": recipe.encoder,
            "checkpoint": recipe.checkpoint,
            "frames": recipe.num_frames,
            "dim": recipe.dim,
            "clips": len(store.clips(recipe.id)),
            "videos": dict(Counter(row.status for row in latest(store, recipe.id))),
        }
        for recipe in store.recipes().values()
    ]
    labels = Counter(row.label for row in labels_in(store.folder).rows())
    heads, damaged = read_cards(heads_in(store.folder))
    return {
        "bank": str(store.folder),
        "recipes": recipes,
        "labels": dict(sorted(labels.items())),
        "heads": [card.name for card in heads],
        "damaged_heads": [str(error) for error in damaged],
        "indexes": sorted(
            f"{path.parent.parent.name}/{path.parent.name}" for path in store.folder.glob("indexes/*/*/index.json")
        ),
        "bytes": sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file()),
    }


def heads_folder(bank: str | Path) -> Path:
    """Where a bank keeps its heads, interrupted changes finished.

    Raises:
        BankError: there is no bank.
    """
    return heads_in(Bank(Path(bank)).folder)


def latest(store: Bank, recipe_id: str) -> list[VideoRow]:
    """One outcome for each video: the latest, whatever its path and cut. Files without content count by path."""
    return list({row.video_id or row.video: row for row in store.videos(recipe_id).values()}.values())


def encoder_list(*, bank: str | Path | None = None) -> list[dict[str, Any]]:
    """Every encoder, from its card; ``at_hand`` says whether its default weights are on this machine, ``in_bank``
    whether the bank holds vectors of it.
    """
    there = bank is not None and Path(bank, "bank.json").exists()
    used = {recipe.encoder for recipe in Bank(Path(str(bank))).recipes().values()} if there else set()
    return [
        {
            "name": name,
            "checkpoint": card.default_checkpoint,
            "frames": card.num_frames,
            "size": card.image_size,
            "dim": card.dim,
            "span_seconds": round(card.span_seconds, 3),
            "text": card.text,
            "keeps": list(encoders.get(name).keeps),
            "pooling": list(encoders.get(name).poolings),
            "knows": card.knows,
            "licence": card.licence,
            "commercial": card.commercial,
            "extra": card.extra,
            "at_hand": at_hand(name),
            "in_bank": name in used,
        }
        for name, card in cards().items()
    ]
