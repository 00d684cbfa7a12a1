"""What is in a bank, and what is at hand."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.format_file import is_bank
from ..bank.negative_labels import is_negative
from ..core.files import name_of
from ..core.results import Report, Results
from ..core.storage import storage_of
from ..core.types import VideoRow
from ..encoders import at_hand, cards, encoders
from ..heads import HeadCard, read_cards
from ..retrieval.index_store import stored_indexes


@dataclasses.dataclass(frozen=True)
class BankInfo(Report):
    """What a bank holds.

    Attributes:
        recipes: of each its id, encoder, checkpoint, frames, dim, clips, and videos by status.
        labels: how many there are of each class.
        negative_labels: how many there are that deny a class (``not:CLASS``), in all.
        damaged_heads: for each head whose file is damaged, a sentence that names it.
        bytes: that the bank takes.
    """

    bank: str
    recipes: tuple[dict[str, Any], ...]
    labels: dict[str, int]
    negative_labels: int
    heads: tuple[str, ...]
    damaged_heads: tuple[str, ...]
    indexes: tuple[str, ...]
    bytes: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """The damaged heads."""
        return self.damaged_heads

    @property
    def failed(self) -> bool:
        """Whether anything in the bank cannot be read."""
        return bool(self.damaged_heads)


class Heads(Results[HeadCard]):
    """The cards of a bank's heads, by name; ``warnings`` has a sentence for each head whose file is damaged."""

    columns = ("name", "kind", "loss", "classes", "clips", "recipe_id")

    @property
    def failed(self) -> bool:
        """Whether a head cannot be read."""
        return bool(self.warnings)


@dataclasses.dataclass(frozen=True)
class EncoderInfo(Report):
    """What is known of an encoder before it is loaded, of its default checkpoint.

    Attributes:
        frames: in a clip; for encoders that take ``frames_per_second``, the most.
        size: of a frame's side in pixels.
        span_seconds: the stretch that a clip of this encoder covers.
        text: whether text can be compared with its vectors.
        keeps: what ``extract`` can store beside the vectors.
        knows: what it was trained to tell apart.
        licence: of the weights.
        commercial: whether that allows commercial use; None where it is not known.
        extra: the optional dependencies it needs, if any.
        at_hand: whether its weights are on this machine.
        in_bank: whether the bank holds vectors of it.
    """

    name: str
    checkpoint: str
    frames: int
    frames_per_second: float | None
    size: int
    dim: int
    span_seconds: float
    text: bool
    keeps: tuple[str, ...]
    pooling: tuple[str, ...]
    knows: str
    licence: str
    commercial: bool | None
    extra: str | None
    at_hand: bool
    in_bank: bool


class EncoderInfos(Results[EncoderInfo]):
    """Every encoder; ``warnings`` has a sentence for each of another package that cannot be used."""

    columns = ("name", "frames", "size", "dim", "span_seconds", "text", "at_hand", "licence", "checkpoint", "knows")


def _by_state(rows: Iterable[VideoRow]) -> dict[str, int]:
    """How many videos are in each state: one that was found unchanged is as ok as before."""
    return dict(Counter("ok" if row.status == "unchanged" else row.status for row in rows))


def bank_info(*, bank: BankLike = "bank") -> BankInfo:
    """Recipes, videos by status, clips, labels, heads, indexes and bytes of a bank."""
    store = open_bank(bank)
    recipes = [
        {
            "id": recipe.id,
            "encoder": recipe.encoder,
            "checkpoint": recipe.checkpoint,
            "frames": recipe.num_frames,
            "dim": recipe.dim,
            "clips": len(store.clips(recipe.id)),
            "videos": _by_state(latest(store, recipe.id)),
        }
        for recipe in store.recipes().values()
    ]
    names = [row.label for row in store.labels()]
    labels = Counter(name for name in names if not is_negative(name))
    heads, damaged = read_cards(store.heads_folder)
    return BankInfo(
        bank=name_of(store.folder),
        recipes=tuple(recipes),
        labels=dict(sorted(labels.items())),
        negative_labels=len(names) - labels.total(),
        heads=tuple(card.name for card in heads),
        damaged_heads=tuple(str(error) for error in damaged),
        indexes=tuple(f"{folder.parent.name}/{folder.name}" for folder in stored_indexes(store.folder)),
        bytes=storage_of(store.folder).bytes_below(store.folder),
    )


def heads_folder(bank: BankLike) -> Path:
    """Where a bank keeps its heads, interrupted changes finished.

    Raises:
        BankError: there is no bank.
    """
    return open_bank(bank).heads_folder


def latest(store: Bank, recipe_id: str) -> list[VideoRow]:
    """One outcome for each video: the latest, whatever its path and cut. Files without content count by path."""
    return list({row.video_id or row.video: row for row in store.videos(recipe_id).values()}.values())


def head_list(*, bank: BankLike = "bank") -> Heads:
    """The cards of a bank's heads, interrupted changes finished.

    Raises:
        BankError: there is no bank.
    """
    cards, damaged = read_cards(heads_folder(bank))
    return Heads(cards, warnings=map(str, damaged))


def encoder_list(*, bank: BankLike | None = None) -> EncoderInfos:
    """Every encoder, from its card."""
    there = isinstance(bank, Bank) or (bank is not None and is_bank(Path(bank)))
    used = {recipe.encoder for recipe in open_bank(bank).recipes().values()} if bank is not None and there else set()
    return EncoderInfos(
        (
            EncoderInfo(
                name=name,
                checkpoint=card.default_checkpoint,
                frames=card.num_frames,
                frames_per_second=card.frames_per_second,
                size=card.image_size,
                dim=card.dim,
                span_seconds=round(card.span_seconds, 3),
                text=card.text,
                keeps=tuple(encoders.get(name).keeps),
                pooling=tuple(encoders.get(name).poolings),
                knows=card.knows,
                licence=card.licence,
                commercial=card.commercial,
                extra=card.extra,
                at_hand=at_hand(name),
                in_bank=name in used,
            )
            for name, card in cards().items()
        ),
        warnings=encoders.problems(),
    )
