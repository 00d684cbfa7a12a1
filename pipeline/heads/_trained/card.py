"""What is written down of a head, as text that is checked before it is used."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from ...core.errors import HeadError
from ...core.file_rows import Stored
from ...core.recipe import Recipe
from ...core.results import Report
from .arrays_file import parts_of
from .calibration import Calibration, Method

_FORMAT = 2  # format 1 had no checksums
_EXAMPLE = ("clip_id", "class", "group")
_MOST_DIMENSIONS = 1 << 20


@dataclasses.dataclass(frozen=True)
class HeadCard(Report):
    """What is written down of a head.

    Attributes:
        kind: name of its file in ``heads/``.
        parameters: keyword arguments of its class.
        recipe: of the vectors it was trained on; it takes no others.
        examples: what it was trained on: (clip id, class, group) of each clip, in the order of training.
        cv: cross-validated figures, with the protocol.
        labels: where the labels came from: a file's name, or None for the bank's own.
        calibration: of the probabilities, from held-out clips.
        thresholds: below this probability the head abstains from a class; None: always. Without one it never does.
        templates: sentences that class names are put into, where texts are blended in.
        fixed: parameters that were given, where the others were chosen on held-out groups; None where none were.
        familiar: quantiles, at equal steps from 0 to 1, of held-out clips' familiarity; none where none were held out.
        held_out: how many clips those were; None if a version stored the head that did not count them.
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
    held_out: int | None = None
    templates: tuple[str, ...] = ()
    fixed: tuple[str, ...] | None = None

    @property
    def loss(self) -> str | None:
        """The loss it was trained with, where its kind offers a choice."""
        loss = self.parameters.get("loss")
        return None if loss is None else str(loss)

    def to_row(self) -> dict[str, Any]:
        """The card as ``--json`` prints it, without the list of what the head was trained on."""
        return {
            "name": self.name,
            "kind": self.kind,
            "loss": self.loss,
            "classes": list(self.classes),
            "clips": len(self.examples),
            "recipe_id": self.recipe.id,
            "encoder": self.recipe.encoder,
            "labels": self.labels,
            "seed": self.seed,
            "parameters": dict(self.parameters),
            "cv": self.cv,
            "calibration": self.calibration.method,
            "thresholds": dict(self.thresholds),
        }

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


def write_document(card: HeadCard) -> str:
    """A card as JSON."""
    # Not ``asdict``, which copies every example on the way.
    facts = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
    facts |= {"recipe": card.recipe.to_dict(), "calibration": dataclasses.asdict(card.calibration)}
    facts["examples"] = {name: [one[place] for one in card.examples] for place, name in enumerate(_EXAMPLE)}
    return json.dumps({"format": _FORMAT, **facts}, ensure_ascii=False)


def arrays_checksum(arrays: Mapping[str, Stored]) -> str:
    """XXH3 (128 bits, as hexadecimal text) over the name, type, shape and bytes of every array. SHA-256 takes half a
    second for a head of 300 MB, XXH3 a tenth of that; both find damage, and neither is meant to find forgery.
    """
    import xxhash

    whole = xxhash.xxh3_128()
    for name in sorted(arrays):
        array = arrays[name]
        whole.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        for part in parts_of(array):
            whole.update(part)
    return str(whole.hexdigest())


def checksums_of(document: str, arrays: str) -> str:
    """The arrays' checksum and one over it and the card, so that a card can be checked without reading the arrays."""
    return json.dumps({"arrays": arrays, "card": _card_checksum(document, arrays)})


def read_document(document: str, *, name: str, checksums: str | None) -> tuple[HeadCard, str | None]:
    """The card of the head in the file ``name``, and the checksum of its arrays; None in format 1.

    Raises:
        ValueError: it does not match its checksum, or a value is missing or impossible.
    """
    facts = _object(json.loads(document), "the card")
    version = facts.pop("format", None)
    if type(version) is not int or version not in (1, _FORMAT):
        raise ValueError(f"its format is {version!r}, and this version of Clipdex reads 1 and {_FORMAT}")
    arrays = None
    if version == _FORMAT or checksums is not None:
        sums = _object(json.loads(checksums or "{}"), "the checksums")
        arrays = str(sums.get("arrays"))
        if sums.get("card") != _card_checksum(document, arrays):
            raise ValueError("its card does not match its checksum")
    return _card(facts, name), arrays


def _card_checksum(document: str, arrays: str) -> str:
    import xxhash

    return str(xxhash.xxh3_128_hexdigest(f"{arrays}\n{document}".encode(errors="surrogatepass")))


def _card(facts: dict[str, Any], name: str) -> HeadCard:
    known = {field.name for field in dataclasses.fields(HeadCard)}
    needed = {"kind", "parameters", "classes", "recipe", "examples", "cv", "labels", "seed"}
    if wrong := sorted((needed - set(facts)) | (set(facts) - known)):
        raise ValueError(f"{wrong[0]!r} is missing from its card or unknown there")
    recipe = Recipe.from_dict(_object(facts["recipe"], "recipe"))
    if type(recipe.dim) is not int or not 0 < recipe.dim <= _MOST_DIMENSIONS:
        raise ValueError(f"its vectors have {recipe.dim!r} dimensions, which is not from 1 to {_MOST_DIMENSIONS}")
    classes = _texts(facts["classes"], "classes")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"it needs 2 or more classes of different names, and has {len(classes)}")
    if type(facts["seed"]) is not int:
        raise ValueError(f"seed is {facts['seed']!r} and has to be an integer")
    if not isinstance(facts["kind"], str):
        raise ValueError(f"kind is {facts['kind']!r} and has to be a name")
    if not isinstance(facts["labels"], str | None):
        raise ValueError(f"labels is {facts['labels']!r} and has to be a name or null")
    fixed = facts.get("fixed")
    return HeadCard(
        name=name,  # of the file: a copy under another name is another head
        kind=facts["kind"],
        parameters=_object(facts["parameters"], "parameters"),
        classes=classes,
        recipe=recipe,
        examples=_examples(facts["examples"]),
        cv=None if facts["cv"] is None else _object(facts["cv"], "cv"),
        labels=facts["labels"],
        seed=facts["seed"],
        calibration=_calibration(_object(facts.get("calibration") or {}, "calibration")),
        thresholds=_thresholds(_object(facts.get("thresholds") or {}, "thresholds")),
        familiar=_numbers(facts.get("familiar") or (), "familiar"),
        held_out=_count(facts.get("held_out"), "held_out"),
        templates=_texts(facts.get("templates") or (), "templates"),
        fixed=None if fixed is None else _texts(fixed, "fixed"),
    )


def _examples(columns: Any) -> tuple[tuple[str, str, str], ...]:
    """Columns, which many examples are read from in half the time; the first heads had rows."""
    if isinstance(columns, dict):
        sides = [_texts(columns.get(name), f"examples.{name}") for name in _EXAMPLE]
        return tuple(zip(sides[0], sides[1], sides[2], strict=True))
    rows = [_texts(row, "a row of examples") for row in _list(columns, "examples")]
    return tuple((clip, label, group) for clip, label, group in rows)


def _calibration(facts: dict[str, Any]) -> Calibration:
    if "knots" in facts:
        sides = [_numbers(side, "calibration.knots") for side in _list(facts["knots"], "calibration.knots")]
        facts = {**facts, "knots": tuple(sides)}
    if "temperature" in facts and not _number(facts["temperature"], "calibration.temperature") > 0:
        raise ValueError(f"calibration.temperature is {facts['temperature']!r} and has to be above 0")
    found = Calibration(**facts)
    if found.method not in get_args(Method):
        raise ValueError(f"calibration.method is {found.method!r}; there are: {', '.join(get_args(Method))}")
    if not 0 <= _number(found.doubt, "calibration.doubt") <= 1:
        raise ValueError(f"calibration.doubt is {found.doubt!r} and has to be from 0 to 1")
    if len(found.knots) != 2 or len(found.knots[0]) != len(found.knots[1]):
        raise ValueError("calibration.knots has to be two lists of one length")
    if found.method == "isotonic" and not found.knots[0]:
        raise ValueError("calibration.knots is empty")
    return found


def _thresholds(facts: dict[str, Any]) -> dict[str, float | None]:
    least = {name: None if value is None else _number(value, "thresholds") for name, value in facts.items()}
    if any(value is not None and not 0 <= value <= 1 for value in least.values()):
        raise ValueError("a threshold is outside 0 to 1")
    return least


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is a {type(value).__name__} and has to be an object")
    return value


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{what} is a {type(value).__name__} and has to be a list")
    return value


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not all(isinstance(one, str) for one in _list(value, what)):
        raise ValueError(f"{what} has to hold text only")
    return tuple(value)


def _numbers(value: Any, what: str) -> tuple[float, ...]:
    return tuple(_number(one, what) for one in _list(value, what))


def _count(value: Any, what: str) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"{what} is {value!r} and has to be a count or null")
    return value


def _number(value: Any, what: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r} and has to be a finite number")
    return float(value)
