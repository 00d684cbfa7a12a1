"""Which parts of a bank are not what was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from ..core.errors import BankError
from ..core.storage import storage_of
from ..core.types import Keep
from .features import check_features
from .format_file import QUESTIONS, is_bank
from .label_parts import LABELS, OLD_LABELS, read_changes, read_old
from .parquet import CannotRead, check_part, folders_in, parts_in, read_columns
from .schema import read_clips, vectors_of
from .video_log import VIDEOS, read_outcomes


def damaged_parts(folder: Path) -> list[tuple[Path, str]]:
    """Every part of the bank at ``folder`` that is not what was written, or is not what a bank holds, with the reason.
    Reads everything.

    Raises:
        CannotRead: the system cannot read one now, so nothing is known about it.
    """
    features = [part for name in get_args(Keep) for part in _parts_below(folder / name)]
    checks: list[tuple[Path, Callable[[Path], object]]] = [
        *((part, _check_clips) for part in _parts_below(folder / "clips")),
        *((part, check_features) for part in features),
        *((part, read_outcomes) for part in parts_in(folder / VIDEOS)),
        *((part, read_changes) for part in parts_in(folder / LABELS)),
    ]
    damaged = []
    for part, check in sorted(checks, key=lambda pair: pair[0]):
        try:
            check_part(part)
            check(part)
        except CannotRead:
            raise
        except BankError as error:
            damaged.append((part, str(error)))
    for labels in storage_of(folder).objects(folder, OLD_LABELS):
        try:
            read_old(labels)
        except CannotRead:
            raise
        except BankError as error:
            damaged.append((labels, str(error)))
    if is_bank(questions := folder / QUESTIONS):
        damaged += damaged_parts(questions)
    return damaged


def _parts_below(folder: Path) -> list[Path]:
    return [part for recipe in folders_in(folder) for part in parts_in(recipe)]


def _check_clips(part: Path) -> None:
    recipe, _ = read_clips(part)
    vectors_of(part, read_columns(part, ["embedding"])["embedding"], dim=recipe.dim)
