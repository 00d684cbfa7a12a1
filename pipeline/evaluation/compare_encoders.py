"""Two encoders on the same labelled clips: which is better, by how much, how surely, and at what cost.

Both have to be in the bank with the same clips (``extract`` once with each, cut the same way). Accuracy is that of
the same head on the same folds, retrieval that of each clip asking for others of its class in other videos.
Intervals are from resampling whole groups or videos, for both encoders at once: clips of one video are not
independent, and what makes a video hard makes it hard for both.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank, BankLike, open_bank
from ..classification.cross_validation import held_out_scores
from ..classification.dataset import LabelledClips, check_classes, label_rows_of, labelled_examples
from ..classification.train import build_head
from ..core.arguments import check_choice
from ..core.errors import ClipdexError, LabelError, UsageError
from ..core.notebook import table_html
from ..core.recipe import Recipe
from ..core.results import Report
from ..core.types import Device
from ..encoders import Encoder, canary_clip, cards, load_for
from .retrieval_metrics import retrieved

_RESAMPLES = 2000
_TIMED_RUNS = 3

Numbers = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Measure:
    """One line of a comparison.

    Attributes:
        a, b: of the two encoders.
        a_interval, b_interval: 95% of resamples lie within, where there are resamples.
        difference: ``b - a``, with its interval; above 0 through and through, B is better beyond chance.
    """

    measure: str
    a: float | str | None
    b: float | str | None
    a_interval: tuple[float, float] | None = None
    b_interval: tuple[float, float] | None = None
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Comparison(Report):
    """What two encoders did on the same clips.

    Example:
        >>> done = extract("videos/", encoder="lite", num_frames=2, window_seconds=1.0)
        >>> compared = compare(*Bank("bank").recipes(), speed=False)
        >>> compared.clips, compared.classes
        (12, 2)
    """

    a: Recipe
    b: Recipe
    clips: int
    groups: int
    classes: int
    protocol: str
    measures: tuple[Measure, ...]

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each measure, as ``--json`` prints it."""
        return [dataclasses.asdict(measure) for measure in self.measures]

    def _repr_html_(self) -> str:
        title = f"{self.a.encoder} and {self.b.encoder} on {self.clips} clips, {self.protocol}"
        return table_html(self.to_rows(), title=title)


def compare(
    a: str,
    b: str,
    *,
    bank: BankLike = "bank",
    labels: str | Path | None = None,
    head: str = "linear",
    seed: int = 0,
    speed: bool = True,
    device: Device = "auto",
) -> Comparison:
    """Compare two recipes of a bank on its labelled clips.

    Args:
        a, b: a recipe's id, its encoder or its checkpoint.
        labels: a CSV or Parquet file; by default the bank's own labels.
        head: trained on the vectors of either.
        speed: also load both encoders and time them.

    Raises:
        UsageError: twice the same recipe.
        LabelError: the two share no labelled clips, or too few for a held-out score.

    Example:
        >>> done = extract("videos/", encoder="lite", num_frames=2, window_seconds=1.0)
        >>> compared = compare(*Bank("bank").recipes(), speed=False)
        >>> "top-1" in [measure.measure for measure in compared.measures]
        True
    """
    check_choice("device", device, Device)
    store = open_bank(bank)
    recipes = store.recipe(a), store.recipe(b)
    if recipes[0].id == recipes[1].id:
        raise UsageError(f"{a} and {b} are the same recipe {recipes[0].id}; compare it with another")
    examples = _shared(store, recipes, None if labels is None else Path(labels))
    model = build_head(head, seed=seed)
    held = [held_out_scores(model, one) for one in examples]
    if held[0].protocol == "none":
        raise LabelError("no class was seen in two groups or videos, so there is nothing to hold out and compare on")
    resamples = resamples_of(examples[0].groups)
    measures = [
        _with_intervals("top-1", [one.hits(1) for one in held], resamples),
        *([_with_intervals("top-5", [one.hits(5) for one in held], resamples)] if len(held[0].classes) > 5 else []),
        *_neighbours(examples, resamples),
        *(_speed(recipes, device) if speed else ()),
        *_costs(recipes),
    ]
    return Comparison(
        a=recipes[0],
        b=recipes[1],
        clips=len(examples[0]),
        groups=len(set(examples[0].groups.tolist())),
        classes=len(set(examples[0].y.tolist())),
        protocol=held[0].protocol,
        measures=tuple(measures),
    )


def _shared(store: Bank, recipes: Sequence[Recipe], labels: Path | None) -> list[LabelledClips]:
    """The labelled clips that both have, in the same order."""
    rows = label_rows_of(store, labels)
    found = [labelled_examples(store, recipe, rows) for recipe in recipes]
    both = set(found[0].ids) & set(found[1].ids)
    if not both:
        raise LabelError(
            f"{recipes[0].encoder} and {recipes[1].encoder} have no labelled clip in common: their windows differ. "
            "Extract with both and the same cut, for example clips='whole', or the same window and stride"
        )
    shared = [one.take(np.array([name in both for name in one.ids])) for one in found]
    check_classes(shared[0])
    return shared


def resamples_of(groups: npt.NDArray[np.str_]) -> list[npt.NDArray[np.int64]]:
    """Row numbers of resamples: whole groups, drawn with replacement."""
    names, codes = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(codes == number) for number in range(len(names))]
    random = np.random.default_rng(0)
    return [
        np.concatenate([rows[number] for number in random.integers(len(rows), size=len(rows))])
        for _ in range(_RESAMPLES)
    ]


def _with_intervals(name: str, values: Sequence[Numbers], resamples: Sequence[npt.NDArray[np.int64]]) -> Measure:
    """The means of two encoders' values, one for each clip (nan where a clip has none)."""
    with np.errstate(invalid="ignore"):
        drawn = np.array([[np.nanmean(one[rows]) for one in values] for rows in resamples if _any(values, rows)])
    means = [float(np.nanmean(one)) for one in values]

    return Measure(
        name,
        means[0],
        means[1],
        interval(drawn[:, 0]),
        interval(drawn[:, 1]),
        means[1] - means[0],
        interval(drawn[:, 1] - drawn[:, 0]),
    )


def interval(drawn: Numbers) -> tuple[float, float]:
    """What holds 95% of what was drawn."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _any(values: Sequence[Numbers], rows: npt.NDArray[np.int64]) -> bool:
    return bool(np.isfinite(values[0][rows]).any())


def _neighbours(examples: Sequence[LabelledClips], resamples: Sequence[npt.NDArray[np.int64]]) -> list[Measure]:
    """Each clip asks for others of its class."""
    found = [retrieved(one).measures for one in examples]
    return [
        _with_intervals(f"retrieval {name}", [side[name] for side in found], resamples)
        for name in found[0]
        if np.isfinite(found[0][name]).any()
    ]


def _speed(recipes: Sequence[Recipe], device: Device) -> list[Measure]:
    a, b = (_milliseconds(recipe, device) for recipe in recipes)
    return [Measure("milliseconds to encode a clip", a, b)]


def _milliseconds(recipe: Recipe, device: Device) -> float | None:
    """Median time of one clip alone through the encoder, pixels at hand; None where it cannot be had."""
    try:
        encoder: Encoder = load_for(recipe, device=device)
    except ClipdexError:
        return None
    clip = encoder.prepare(canary_clip(recipe.num_frames))[None]
    return 1000 * float(np.median([_seconds(lambda: encoder.encode(clip)) for _ in range(_TIMED_RUNS)]))


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _costs(recipes: tuple[Recipe, Recipe]) -> list[Measure]:
    a, b = recipes
    size = Measure("bytes of a vector", 4.0 * a.dim, 4.0 * b.dim)
    if a.imported or b.imported:
        return [size]
    card_a, card_b = (cards()[recipe.encoder] for recipe in recipes)
    return [
        size,
        Measure("natural length of a clip in seconds", card_a.span_seconds, card_b.span_seconds),
        Measure("text search", _yes(card_a.text), _yes(card_b.text)),
        Measure("licence of the weights", card_a.licence_of(a.checkpoint), card_b.licence_of(b.checkpoint)),
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
