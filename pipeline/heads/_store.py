"""Heads on disk: safetensors for arrays, JSON for the rest. Reading one cannot run anybody's code."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from .._errors import HeadError, UsageError
from .._files import replacing
from .._recipe import Recipe
from .._types import FloatArray
from ..calibration import Calibration
from ._base import Head
from ._familiarity import Familiarity
from ._prior import Prior
from ._sample import Sample

_FORMAT = 1
_EXAMPLE = ("clip_id", "class", "group")
_FAMILIARITY, _PRIOR, _SAMPLE = "familiarity.", "prior.", "sample."
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
        calibration: of the probabilities, from held-out clips.
        thresholds: below this probability a class is not said; None: it never is. Classes without one always are.
        templates: sentences that class names are put into, where texts are blended in.
        fixed: parameters that were given, where the others were chosen on held-out groups; None where none were.
        familiar: quantiles, at equal steps from 0 to 1, of held-out clips' familiarity; none where none were held out.
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
    calibration: Calibration = dataclasses.field(default_factory=Calibration)
    thresholds: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    familiar: tuple[float, ...] = ()
    templates: tuple[str, ...] = ()
    fixed: tuple[str, ...] | None = None

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


@dataclasses.dataclass(frozen=True)
class JudgedHead:
    """A head with what turns its scores into an answer, or into none.

    Attributes:
        familiarity: what it was taught looks like, where clips enough were there to tell.
        prior: what texts say of its classes, where they have a say.
        sample: some of what it was trained on, where that is too much to read again for each class that is added.
    """

    head: Head
    card: HeadCard
    familiarity: Familiarity | None = None
    prior: Prior | None = None
    sample: Sample | None = None

    def shares(self, X: FloatArray, *, in_text_space: FloatArray | None = None) -> npt.NDArray[np.float64]:
        """(n, classes) probabilities before calibration.

        Args:
            X: what the head reads.
            in_text_space: (n, text dim), where there is a prior.
        """
        shares = self.head.predict_proba(X)
        if self.prior is not None and in_text_space is not None:
            shares = self.prior.blend(shares, in_text_space)
        return shares

    def probabilities(self, X: FloatArray, *, in_text_space: FloatArray | None = None) -> npt.NDArray[np.float64]:
        """``shares``, calibrated."""
        return self.card.calibration.apply(self.shares(X, in_text_space=in_text_space))

    def known(self, vectors: FloatArray) -> npt.NDArray[np.float64] | None:
        """For each clip the share of held-out clips of known classes that look no more familiar, in [0, 1]; None where
        no clips were held out to compare with.
        """
        if self.familiarity is None or not self.card.familiar:
            return None
        shares = np.linspace(0, 1, len(self.card.familiar))
        found: npt.NDArray[np.float64] = np.interp(self.familiarity.scores(vectors), self.card.familiar, shares)
        return found


def save_head(
    folder: Path,
    head: Head,
    card: HeadCard,
    *,
    familiarity: Familiarity | None = None,
    prior: Prior | None = None,
    sample: Sample | None = None,
) -> None:
    """Write a head under ``folder``; one of the same name is replaced, whole or not at all.

    Raises:
        UsageError: the name cannot be a file's.
    """
    path = head_path(folder, card.name)
    # Not ``asdict``, which copies every example on the way.
    facts = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
    facts |= {"recipe": card.recipe.to_dict(), "calibration": dataclasses.asdict(card.calibration)}
    facts["examples"] = {name: [one[place] for one in card.examples] for place, name in enumerate(_EXAMPLE)}
    document = json.dumps({"format": _FORMAT, **facts}, ensure_ascii=False)
    arrays = dict(head.arrays())
    for prefix, part in ((_FAMILIARITY, familiarity), (_PRIOR, prior), (_SAMPLE, sample)):
        arrays |= {prefix + name: array for name, array in (part.arrays() if part is not None else {}).items()}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary:
        # The card travels in the file's own header: one file, one rename, never half a head.
        safetensors.numpy.save_file(arrays, temporary, metadata={"clipdex.head": document})


def save_judged(folder: Path, judged: JudgedHead) -> None:
    """``save_head`` with all that belongs to it."""
    parts = {"familiarity": judged.familiarity, "prior": judged.prior, "sample": judged.sample}
    save_head(folder, judged.head, judged.card, **parts)  # type: ignore[arg-type]


def load_head(folder: Path, name: str) -> tuple[Head, HeadCard]:
    """A stored head and its card.

    Raises:
        HeadError: there is none of that name, or its file is damaged.
    """
    judged = load_judged(folder, name)
    return judged.head, judged.card


def load_judged(folder: Path, name: str) -> JudgedHead:
    """A stored head with what turns its scores into answers.

    Raises:
        HeadError: there is none of that name, or its file is damaged.
    """
    from . import heads

    path = head_path(folder, name)
    card = _read_card(path, folder)
    try:
        arrays = safetensors.numpy.load_file(path)
        familiarity, prior, sample = (_part(arrays, prefix) for prefix in (_FAMILIARITY, _PRIOR, _SAMPLE))
        head = heads.get(card.kind)(**card.parameters)
        head.restore(arrays, classes=list(card.classes), dim=card.recipe.dim)
        with np.errstate(all="ignore"):  # a flipped bit may make a number that overflows
            scores = head.predict_proba(np.zeros((1, *head.input_shape), np.float32))
        if not np.isfinite(scores).all():
            raise ValueError("its scores are not finite")
        return JudgedHead(
            head,
            card,
            Familiarity(**familiarity, classes=card.classes) if familiarity else None,
            Prior.restore(prior) if prior else None,
            Sample(**sample) if sample else None,
        )
    except (safetensors.SafetensorError, OSError, TypeError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _part(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names begin so, without the beginning; they are taken out."""
    return {name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)}


def list_heads(folder: Path) -> list[HeadCard]:
    """The cards of all stored heads, by name."""
    return [_read_card(path, folder) for path in sorted(folder.glob("*.safetensors"))]


def remove_head(folder: Path, name: str) -> None:
    """Delete a head.

    Raises:
        HeadError: there is none of that name.
    """
    path = head_path(folder, name)
    if not path.exists():
        raise _unknown(name, folder)
    path.unlink()


def head_path(folder: Path, name: str) -> Path:
    """The file of a head.

    Raises:
        UsageError: the name cannot be a file's.
    """
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
                "examples": _examples(document["examples"]),
                **_judgement(document),
            }
        )
    except (safetensors.SafetensorError, OSError, TypeError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _examples(columns: Mapping[str, Sequence[str]] | Sequence[Sequence[str]]) -> tuple[tuple[str, str, str], ...]:
    """Columns, which many examples are read from in half the time; the first heads had rows."""
    rows = zip(*(columns[name] for name in _EXAMPLE), strict=True) if isinstance(columns, Mapping) else columns
    return tuple((clip, label, group) for clip, label, group in rows)


def _judgement(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a card that older heads do not have."""
    calibration = dict(document.get("calibration") or {})
    if "knots" in calibration:
        calibration["knots"] = tuple(tuple(map(float, side)) for side in calibration["knots"])
    return {
        "calibration": Calibration(**calibration),
        "familiar": tuple(map(float, document.get("familiar", ()))),
        "templates": tuple(map(str, document.get("templates", ()))),
        "fixed": None if document.get("fixed") is None else tuple(map(str, document["fixed"])),
    }


def _damaged(path: Path, error: Exception) -> HeadError:
    return HeadError(f"the head file {path} is damaged ({error}); train it again")


def _unknown(name: str, folder: Path) -> HeadError:
    known = ", ".join(sorted(path.stem for path in folder.glob("*.safetensors"))) or "none yet"
    return HeadError(f"there is no head {name!r}; there are: {known}. Train one with: clipdex train-head --name {name}")
