"""Heads on disk: safetensors for arrays, JSON for the rest. Reading one cannot run anybody's code."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from .._errors import HeadError, UsageError
from .._files import replacing
from .._recipe import Recipe
from ._base import Head

_FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclasses.dataclass(frozen=True)
class HeadCard:
    """What is written down of a head.

    Attributes:
        kind: name of its file in ``heads/``.
        parameters: keyword arguments of its class.
        recipe: of the vectors it was trained on; it takes no others.
        examples: what it was trained on: (clip id, class, group) of each clip, in the order of training.
        cv: cross-validated figures, with the protocol.
        labels: where the labels came from: a file's name, or None for the bank's own.
    """

    name: str
    kind: str
    parameters: Mapping[str, Any]
    classes: tuple[str, ...]
    recipe: Recipe
    examples: tuple[tuple[str, str, str], ...]
    cv: Mapping[str, Any] | None
    labels: str | None
    seed: int

    @property
    def loss(self) -> str | None:
        """The loss it was trained with, where its kind offers a choice."""
        loss = self.parameters.get("loss")
        return None if loss is None else str(loss)

    def check_recipe(self, recipe: Recipe) -> None:
        """Refuse vectors made in another way.

        Raises:
            HeadError: with what differs.
        """
        if recipe.id != self.recipe.id:
            raise HeadError(
                f"the head {self.name!r} was trained on vectors of recipe {self.recipe.id} ({self.recipe.encoder}) "
                f"and refuses those of {recipe.id} ({recipe.encoder}): {'; '.join(self.recipe.differences(recipe))}"
            )


def save_head(folder: Path, head: Head, card: HeadCard) -> None:
    """Write a head under ``folder``; one of the same name is replaced, whole or not at all.

    Raises:
        UsageError: the name cannot be a file's.
    """
    path = _path(folder, card.name)
    facts = {**dataclasses.asdict(card), "recipe": card.recipe.to_dict()}
    document = json.dumps({"format": _FORMAT, **facts}, ensure_ascii=False)
    arrays = {name: np.ascontiguousarray(array) for name, array in head.arrays().items()}
    with replacing(path) as temporary:
        # The card travels in the file's own header: one file, one rename, never half a head.
        safetensors.numpy.save_file(arrays, temporary, metadata={"clipdex.head": document})


def load_head(folder: Path, name: str) -> tuple[Head, HeadCard]:
    """A stored head and its card.

    Raises:
        HeadError: there is none of that name, or its file is damaged.
    """
    from . import heads

    path = _path(folder, name)
    card = _read_card(path, folder)
    try:
        arrays = safetensors.numpy.load_file(path)
        head = heads.get(card.kind)(**card.parameters)
        head.restore(arrays, classes=list(card.classes), dim=card.recipe.dim)
        with np.errstate(all="ignore"):  # a flipped bit may make a number that overflows
            scores = head.predict_proba(np.zeros((1, card.recipe.dim), np.float32))
        if not np.isfinite(scores).all():
            raise ValueError("its scores are not finite")
    except (safetensors.SafetensorError, OSError, TypeError, ValueError, KeyError, IndexError) as error:
        raise _damaged(path, error) from error
    return head, card


def list_heads(folder: Path) -> list[HeadCard]:
    """The cards of all stored heads, by name."""
    return [_read_card(path, folder) for path in sorted(folder.glob("*.safetensors"))]


def remove_head(folder: Path, name: str) -> None:
    """Delete a head.

    Raises:
        HeadError: there is none of that name.
    """
    path = _path(folder, name)
    if not path.exists():
        raise _unknown(name, folder)
    path.unlink()


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a head: letters, digits, '.', '_' and '-' only")
    return folder / f"{name}.safetensors"


def _read_card(path: Path, folder: Path) -> HeadCard:
    if not path.exists():
        raise _unknown(path.stem, folder)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            document = json.loads(file.metadata()["clipdex.head"])
        if document.pop("format") != _FORMAT:
            raise ValueError("another format version")
        return HeadCard(
            **{
                **document,
                "recipe": Recipe.from_dict(document["recipe"]),
                "classes": tuple(document["classes"]),
                "examples": tuple((str(a), str(b), str(c)) for a, b, c in document["examples"]),
            }
        )
    except (safetensors.SafetensorError, OSError, TypeError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> HeadError:
    return HeadError(f"the head file {path} is damaged ({error}); train it again")


def _unknown(name: str, folder: Path) -> HeadError:
    known = ", ".join(sorted(path.stem for path in folder.glob("*.safetensors"))) or "none yet"
    return HeadError(f"there is no head {name!r}; there are: {known}. Train one with: clipdex train-head --name {name}")
