"""Stored heads: safetensors for arrays, JSON for the rest. Reading one cannot run anybody's code."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from ...core.errors import HeadError, UsageError
from ...core.file_rows import FileRows, Stored, in_memory
from ...core.storage import storage_of
from .._base import Head, heads
from .arrays_file import read_arrays, write_arrays
from .card import HeadCard, arrays_checksum, checksums_of, read_document, write_document
from .novelty import NoveltyDetector
from .sample import Sample
from .text_prior import TextPrior
from .trained_head import TrainedHead

_FAMILIARITY, _PRIOR, _SAMPLE = "familiarity.", "prior.", "sample."
_MOST_INPUTS = 1 << 24  # numbers that a head reads of one clip; more is a damaged file
_MOST_CHARACTERS = 300  # of a foreign error that are repeated
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def save_head(
    folder: Path,
    head: Head,
    card: HeadCard,
    *,
    familiarity: NoveltyDetector | None = None,
    prior: TextPrior | None = None,
    sample: Sample | None = None,
    staged: Path | None = None,
) -> None:
    """Write a head under ``folder``; one of the same name is replaced, whole or not at all.

    Args:
        staged: write it to this file instead, for a change that is committed later.

    Raises:
        UsageError: the name cannot be a file's.
    """
    path = head_path(folder, card.name) if staged is None else staged
    arrays = head.arrays()
    for prefix, part in ((_FAMILIARITY, familiarity), (_PRIOR, prior), (_SAMPLE, sample)):
        arrays |= {prefix + name: array for name, array in (part.arrays() if part is not None else {}).items()}
    arrays = {name: one if isinstance(one, FileRows) else np.ascontiguousarray(one) for name, one in arrays.items()}
    document = write_document(card)
    metadata = {"clipdex.head": document, "clipdex.checksums": checksums_of(document, arrays_checksum(arrays))}
    # The card travels in the file's own header: one object, written in one step, never half a head.
    write_arrays(path, arrays, metadata)


def save_trained(folder: Path, trained: TrainedHead, *, staged: Path | None = None) -> None:
    """``save_head`` with all that belongs to it."""
    parts = {"familiarity": trained.familiarity, "prior": trained.prior, "sample": trained.sample}
    save_head(folder, trained.head, trained.card, staged=staged, **parts)  # type: ignore[arg-type]


def load_trained(folder: Path, name: str) -> TrainedHead:
    """A stored head with what turns its scores into answers.

    Raises:
        HeadError: there is none of that name, or its file is damaged.
    """
    return read_head_file(head_path(folder, name))


def read_head_file(path: Path) -> TrainedHead:
    """A head from its file, every byte of it checked; the file's name is the head's.

    Raises:
        HeadError: there is no such file, or it is damaged.
    """
    card, checksum = _read_facts(path, path.parent)
    try:
        arrays = read_arrays(path, on_disk=heads.get(card.kind).on_disk)
        if checksum is not None and arrays_checksum(arrays) != checksum:
            raise ValueError("its arrays do not match their checksum")
        familiarity, prior, sample = (_part(arrays, prefix) for prefix in (_FAMILIARITY, _PRIOR, _SAMPLE))
        head = heads.get(card.kind)(**card.parameters)
        head.restore(arrays, classes=list(card.classes), dim=card.recipe.dim)
        if not all(size > 0 for size in head.input_shape) or math.prod(head.input_shape) > _MOST_INPUTS:
            raise ValueError(f"it reads arrays of shape {head.input_shape}")
        with np.errstate(all="ignore"):  # a flipped bit may make a number that overflows
            # Of no vector in particular: zeros would be as near to every clip of a kNN head, which compares those anew.
            tried = np.random.default_rng(0).standard_normal((1, *head.input_shape), np.float32)
            scores = head.predict_proba(tried)
        if scores.shape != (1, len(card.classes)):
            raise ValueError(f"its scores are of shape {scores.shape} for {len(card.classes)} classes")
        if not np.isfinite(scores).all():
            raise ValueError("its scores are not finite")
        sizes = {"classes": len(card.classes), "dim": card.recipe.dim}
        return TrainedHead(
            head,
            card,
            NoveltyDetector.restore(familiarity, sizes=sizes, classes=card.classes) if familiarity else None,
            TextPrior.restore(prior, sizes=sizes) if prior else None,
            Sample.restore(sample, sizes=sizes) if sample else None,
        )
    except Exception as error:  # arrays of any name, type and shape can make a head raise anything
        raise _damaged(path, error) from error


def _part(arrays: dict[str, Stored], prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names begin so, without the beginning, in memory; they are taken out."""
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): in_memory(arrays.pop(name)) for name in names}


def list_heads(folder: Path) -> list[HeadCard]:
    """The cards of all stored heads, by name."""
    return [_read_card(path, folder) for path in head_files(folder)]


def head_files(folder: Path) -> list[Path]:
    """The files of all stored heads, by name; a file whose name cannot be a head's is none."""
    return [path for path in storage_of(folder).objects(folder, "*.safetensors") if _NAME.fullmatch(path.stem)]


def read_cards(folder: Path) -> tuple[list[HeadCard], list[HeadError]]:
    """The cards of all stored heads, and an error for each file that is damaged."""
    cards, damaged = [], []
    for path in head_files(folder):
        try:
            cards.append(_read_card(path, folder))
        except HeadError as error:
            damaged.append(error)
    return cards, damaged


def remove_head(folder: Path, name: str) -> None:
    """Delete a head.

    Raises:
        HeadError: there is none of that name.
    """
    path = head_path(folder, name)
    if not storage_of(path).exists(path):
        raise _unknown(name, folder)
    storage_of(path).delete(path)


def head_path(folder: Path, name: str) -> Path:
    """The file of a head.

    Raises:
        UsageError: the name cannot be a file's.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a head: letters, digits, '.', '_' and '-' only")
    return folder / f"{name}.safetensors"


def _read_card(path: Path, folder: Path) -> HeadCard:
    return _read_facts(path, folder)[0]


def _read_facts(path: Path, folder: Path) -> tuple[HeadCard, str | None]:
    """The card, and the checksum of the arrays; None for a head of format 1."""
    storage = storage_of(path)
    if not storage.exists(path):
        raise _unknown(path.stem, folder)
    try:
        with safetensors.safe_open(storage.local(path), framework="numpy") as file:
            metadata = file.metadata() or {}
        if "clipdex.head" not in metadata:
            raise ValueError("it holds no head of Clipdex")
        return read_document(metadata["clipdex.head"], name=path.stem, checksums=metadata.get("clipdex.checksums"))
    except Exception as error:  # a damaged file can make the readers raise anything, RecursionError too
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> HeadError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return HeadError(f"the head file {path} is damaged ({reason[:_MOST_CHARACTERS]}); train it again")


def _unknown(name: str, folder: Path) -> HeadError:
    known = ", ".join(path.stem for path in head_files(folder)) or "none yet"
    return HeadError(f"there is no head {name!r}; there are: {known}. Train one with: clipdex train-head --name {name}")
