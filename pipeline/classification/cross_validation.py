"""Scores of clips that a head was not trained on.

Clips of one video, or of one named group, are never on both sides of a split.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import warnings as python_warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, ParameterGrid, StratifiedGroupKFold

from ..core.arguments import check_choice
from ..core.errors import HeadError, LabelError
from ..core.file_rows import FileRows, held_bytes, taken
from ..core.metrics import NOTHING, classification_figures, in_top_k, log_loss
from ..core.training import kept_warning_filters, on_cores
from ..core.vectors import groups_per_class
from ..heads import Head, NoveltyDetector
from .dataset import LabelledClips

# With at most this many named groups, each is held out once; with more, they are dealt into folds.
_MOST_LEFT_OUT = 20
_FOLDS = 5
_INNER_FOLDS = 3

# While clips are few, a score depends on how they happened to be dealt into folds: they are dealt again until about so
# many were tested, at most as often as the kind of head allows.
_TESTED = 200
_DEALT = {"group": "folds by group", "video": "folds by video"}
# Of clips that do not fit into memory so many are tested; it is drawn which, and their scores say enough.
_MOST_TESTED = 10_000
_SPLITTING = threading.Lock()  # filters of warnings are the same for all threads

Protocol = Literal["auto", "holdout", "cv", "leave-one-group-out"]
Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Scores of clips that were not trained on.

    Attributes:
        protocol: how the clips were held out; "none" where no honest split exists.
        classes: names, (classes,).
        truth: class numbers of the clips that were tested, (n,).
        scores: (n, classes) probabilities; what a fold could not learn is -inf, and never a hit.
        familiar: (n,), see ``NoveltyDetector``; nan if it is unknown.
        groups: of the clips that were tested, (n,).
        rows: which of the examples each of these is, (n,).
        num_examples: of which some were tested.
        repeats: how often the clips were dealt into folds; each was tested so many times.
    """

    protocol: str
    folds: int
    classes: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    familiar: npt.NDArray[np.float64]
    groups: npt.NDArray[np.str_]
    rows: npt.NDArray[np.int64]
    num_examples: int
    repeats: int = 1

    @property
    def num_clips(self) -> int:
        """How many clips were tested, each counted once."""
        return len(self.truth) // self.repeats

    @property
    def deals(self) -> float:
        """How often clips were dealt into folds at random; infinite if the protocol leaves nothing to chance."""
        return self.repeats if self.protocol.endswith(tuple(_DEALT.values())) else math.inf

    def hits(self, k: int) -> npt.NDArray[np.float64]:
        """For each example how often its class was among the ``k`` best, in [0, 1]; nan where it was not tested."""
        tested = np.bincount(self.rows, minlength=self.num_examples)
        found = np.bincount(self.rows, in_top_k(self.truth, self.scores, k=k), minlength=self.num_examples)
        return np.where(tested, found / np.maximum(tested, 1), np.nan)

    def take(self, chosen: npt.NDArray[np.int64]) -> HeldOut:
        """Some of the clips that were tested, by their numbers."""
        return dataclasses.replace(
            self,
            truth=self.truth[chosen],
            scores=self.scores[chosen],
            familiar=self.familiar[chosen],
            groups=self.groups[chosen],
            rows=self.rows[chosen],
        )

    def once(self) -> HeldOut:
        """Each clip as it was tested first."""
        return dataclasses.replace(self.take(np.arange(self.num_clips)), repeats=1)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The likeliest class of each clip that was tested, ``NOTHING`` where none was known."""
        return np.where(np.isfinite(self.scores).any(axis=1), self.scores.argmax(axis=1), NOTHING)


def fit(model: Head, examples: LabelledClips) -> Head:
    """A trained copy of ``model``.

    Raises:
        HeadError: the vectors or parameters cannot be trained on; the message says why.
    """
    try:
        fitted: Head = clone(model).fit(examples.X, examples.y, groups=examples.groups)
    except ValueError as error:
        raise HeadError(f"cannot train this head: {error}") from error
    return fitted


def choose(model: Head, examples: LabelledClips, *, fixed: frozenset[str] = frozenset()) -> Head:
    """An untrained copy with the parameters of its grid that do best on held-out groups of these examples.

    Args:
        fixed: parameters that stay as they are.
    """
    grid = {name: values for name, values in model.grid.items() if name not in fixed}
    codes = np.unique(examples.y, return_inverse=True)[1]
    fewest = int(groups_per_class(codes, examples.groups).min())
    if not grid or fewest < 2:
        return model
    splitter = StratifiedGroupKFold(min(_INNER_FOLDS, fewest), shuffle=True, random_state=0)
    splits = _of(splitter, examples, codes)
    candidates = [clone(model).set_params(**values) for values in ParameterGrid(grid)]

    def merit(candidate: Head) -> tuple[float, float]:
        held = _over(candidate, examples, [splits], familiarity=False)
        figures = classification_figures(held.truth, held.scores)
        return round(figures["balanced_accuracy"], 6), -log_loss(held.truth, held.scores)

    merits = on_cores(merit, candidates, copy_bytes=held_bytes(examples.X))
    best: Head = candidates[merits.index(max(merits))]
    return best


def held_out_scores(
    model: Head,
    examples: LabelledClips,
    *,
    protocol: Protocol = "auto",
    tune: frozenset[str] | None = None,
    repeats: int | None = None,
) -> HeldOut:
    """Train on some groups, score the others, in turn.

    Args:
        protocol: "auto" takes the split column where there is one, leaves out one named group at a time where they
            are few, and else deals groups into folds.
        tune: choose parameters inside each fold, but for these.
        repeats: how often clips are dealt into folds anew; by default the more, the fewer clips there are. Other
            protocols have no chance in them and run once.

    Raises:
        HeadError: the vectors or parameters cannot be trained on.
        LabelError: a split column that puts one group on both sides.
    """
    check_choice("protocol", protocol, Protocol)
    name, splits = splits_of(examples, protocol)
    deals = [splits]
    if name.endswith(tuple(_DEALT.values())):
        times = repeats or int(np.clip(_TESTED // max(1, len(examples)), 1, model.repeats))
        deals += [splits_of(examples, protocol, seed=seed)[1] for seed in range(1, times)]
    return _over(model, examples, deals, protocol=name, fixed=tune)


def _together(found: Sequence[HeldOut]) -> HeldOut:
    """The same clips, dealt into folds several times, one time after the other."""
    if len(found) == 1:
        return found[0]
    return dataclasses.replace(
        found[0],
        truth=np.concatenate([one.truth for one in found]),
        scores=np.concatenate([one.scores for one in found]),
        familiar=np.concatenate([one.familiar for one in found]),
        groups=np.concatenate([one.groups for one in found]),
        rows=np.concatenate([one.rows for one in found]),
        repeats=len(found),
    )


def _over(
    model: Head,
    examples: LabelledClips,
    deals: Sequence[Sequence[Split]],
    *,
    protocol: str = "given",
    fixed: frozenset[str] | None = None,
    familiarity: bool = True,
) -> HeldOut:
    """Scores from all folds, of each time that clips were dealt into folds; the folds are trained side by side."""
    classes, codes = np.unique(examples.y, return_inverse=True)

    def tried(split: Split) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[np.float64] | None] | None:
        """The classes that a fold knows, what it says of its test rows, and how familiar these are to it."""
        train, test = split
        known = np.unique(codes[train])
        if len(known) < 2:  # from a fold with one class nothing can be learned: all its clips count as errors
            return None
        training = examples.take(np.isin(np.arange(len(examples)), train))
        chosen = model if fixed is None else choose(model, training, fixed=fixed)
        shares = fit(chosen, training).predict_proba(taken(examples.X, test))
        look = NoveltyDetector.fit(training.vectors, training.y) if familiarity else None
        return known, shares, None if look is None else look.scores(taken(examples.vectors, test))

    if isinstance(examples.X, FileRows):
        deals = [[(train, _some(test, len(examples))) for train, test in splits] for splits in deals]
    copy_bytes = held_bytes(examples.X) + held_bytes(examples.vectors)
    folds = iter(on_cores(tried, [split for splits in deals for split in splits], copy_bytes=copy_bytes))

    def dealt(splits: Sequence[Split]) -> HeldOut:
        probabilities = np.full((len(examples), len(classes)), -np.inf)
        familiar = np.full(len(examples), np.nan)
        tested = np.zeros(len(examples), dtype=np.bool_)
        for _, test in splits:
            tested[test] = True
            if (fold := next(folds)) is not None:
                known, shares, looks = fold
                probabilities[np.ix_(test, known)] = shares
                familiar[test] = np.nan if looks is None else looks
        return HeldOut(
            protocol,
            len(splits),
            classes,
            codes[tested],
            probabilities[tested],
            familiar[tested],
            examples.groups[tested],
            np.flatnonzero(tested),
            len(examples),
        )

    return _together([dealt(splits) for splits in deals])


def _some(test: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """A fold's share of the clips of so many that are tested, in their order."""
    most = max(1, _MOST_TESTED * len(test) // count)
    return test if count <= _MOST_TESTED else np.sort(np.random.default_rng(0).permutation(test)[:most])


def splits_of(examples: LabelledClips, protocol: Protocol, *, seed: int = 0) -> tuple[str, list[Split]]:
    """Rows to train on and rows to test on, and the name of that protocol; see ``held_out_scores``.

    Args:
        seed: deals groups into folds.

    Raises:
        LabelError: a split column that puts one group on both sides.
    """
    codes = np.unique(examples.y, return_inverse=True)[1]
    if examples.held_out.any() and protocol in ("auto", "holdout"):
        both = set(examples.groups[examples.held_out].tolist()) & set(examples.groups[~examples.held_out].tolist())
        if both:
            raise LabelError(
                f"the split column puts clips of {min(both)} on both sides ({len(both)} such in all): a score on them "
                "would be a score on what was learned. Give all clips of a video or group the same split"
            )
        return "held-out split", [(np.flatnonzero(~examples.held_out), np.flatnonzero(examples.held_out))]
    num_groups = len(set(examples.groups.tolist()))
    of_class = groups_per_class(codes, examples.groups)
    if not len(of_class) or of_class.max() < 2:
        return "none", []
    few = examples.named_groups and num_groups <= _MOST_LEFT_OUT
    if protocol == "leave-one-group-out" or (protocol == "auto" and few):
        return "leave-one-group-out", _of(LeaveOneGroupOut(), examples, codes)
    num_folds = int(np.clip(of_class.min(), 2, _FOLDS))
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    unit: Literal["group", "video"] = "group" if examples.named_groups else "video"
    splits = _of(splitter, examples, codes)
    if protocol == "holdout":
        return f"one of {num_folds} parts held out by {unit}", splits[:1]
    return f"{num_folds} {_DEALT[unit]}", splits


def _of(splitter: Any, examples: LabelledClips, codes: npt.NDArray[np.int64]) -> list[Split]:
    with kept_warning_filters(), _SPLITTING, python_warnings.catch_warnings():
        # It warns of classes with few members; ours says which, and what that means.
        python_warnings.simplefilter("ignore", UserWarning)
        return list(splitter.split(examples.y, codes, examples.groups))
