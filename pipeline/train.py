"""Labelled clips -> a head, with an honest cross-validated score beside it.

Honest means: clips of one video, or of one ``group``, are never on both sides of a split, and classes that a
fold could not learn count as errors.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ._errors import LabelError, UsageError
from ._recipe import Recipe
from ._types import LabelRow
from .bank import Bank
from .heads import Head, HeadCard, heads, save_head
from .labels import Labels, label_of_clips, read_label_csv
from .stored import video_id_of
from .validation import Examples, cross_validate, fit

DEFAULT_NAME = "default"

_HELD_OUT = ("test", "val", "valid", "validation", "holdout")


@dataclasses.dataclass(frozen=True)
class TrainReport:
    """What ``train-head`` says. ``clips`` and ``groups`` count what was trained on."""

    head: str
    kind: str
    loss: str | None
    classes: tuple[str, ...]
    clips: int
    groups: int
    seconds: float
    cv: Mapping[str, Any] | None
    warnings: tuple[str, ...] = ()


def train_head(
    *,
    bank: str | Path = "bank",
    head: str | None = None,
    loss: str | None = None,
    labels: str | Path | None = None,
    name: str = DEFAULT_NAME,
    seed: int = 0,
    recipe: str | None = None,
    **parameters: Any,
) -> TrainReport:
    """Train a head on the stored vectors of labelled clips and keep it in the bank.

    Args:
        head: kind of head; by default the MLP where a loss is given, else the linear one.
        loss: what the MLP is trained with.
        labels: a CSV or Parquet file; by default the bank's own labels.
        parameters: further keyword arguments of the head's class.

    Raises:
        LabelError: too few labels, or none that a stored clip answers to.
        UsageError: a parameter that this head does not have.
    """
    started = time.monotonic()
    store = Bank(Path(bank))
    chosen = store.recipe(recipe)
    kind = head or ("linear" if loss is None or loss == "cross-entropy" else "mlp")
    if loss is not None and (head is not None or loss != "cross-entropy"):
        parameters["loss"] = loss
    model = build_head(kind, seed=seed, **parameters)
    source = None if labels is None else Path(labels)
    rows = (
        Labels(store.folder).rows() if source is None else read_label_csv(source, identify=functools.cache(video_id_of))
    )
    examples = labelled_examples(store, chosen, rows)
    check_classes(examples)
    cv, warnings = cross_validate(model, examples)
    warnings += _without_clips(rows, examples)
    training = examples.take(~examples.held_out)
    fitted = fit(model, training)
    card = HeadCard(
        name=name,
        kind=kind,
        parameters=model.get_params(deep=False),
        classes=tuple(str(one) for one in fitted.classes_),
        recipe=chosen,
        examples=tuple(zip(training.ids, training.y.tolist(), training.groups.tolist(), strict=True)),
        cv=cv,
        labels=None if source is None else source.name,
        seed=seed,
    )
    save_head(store.folder / "heads", fitted, card)
    return TrainReport(
        head=name,
        kind=kind,
        loss=card.loss,
        classes=card.classes,
        clips=len(training),
        groups=len(set(training.groups.tolist())),
        seconds=time.monotonic() - started,
        cv=cv,
        warnings=tuple(warnings),
    )


def build_head(kind: str, *, seed: int, **parameters: Any) -> Head:
    """An untrained head; ``seed`` goes to the kinds that draw anything at random.

    Raises:
        UsageError: an unknown parameter or value.
    """
    part = heads.get(kind)
    known = set(inspect.signature(part).parameters)
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise UsageError(
            f"the {kind} head has no {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'no parameters'}"
        )
    return part(**parameters, **({"seed": seed} if "seed" in known else {}))


def labelled_examples(bank: Bank, recipe: Recipe, labels: Sequence[LabelRow]) -> Examples:
    """The stored clips that the labels cover, with their vectors.

    Raises:
        LabelError: there are no labels, or no stored clip answers to any.
    """
    if not labels:
        raise LabelError(
            "there are no labels yet: use clipdex label add, clipdex label import, or extract with "
            "--labels-from-folders"
        )
    stored = bank.clips(recipe.id)
    clips = list(stored.rows())
    found = label_of_clips(clips, labels)
    # By name, not as stored: threads finish in any order, and a seed has to give the same head all the same.
    order = sorted(range(len(clips)), key=lambda number: clips[number].clip_id)
    numbers = [number for number in order if found[number] is not None]
    if not numbers:
        raise LabelError(
            f"none of the {len(labels)} labels covers a clip stored under recipe {recipe.id} ({recipe.encoder}). "
            f"Extract what is labelled, for example: clipdex extract {labels[0].video} --encoder {recipe.encoder}"
        )
    rows = [(clips[number], label) for number in order if (label := found[number]) is not None]
    return Examples(
        X=stored.embeddings()[numbers],
        y=np.array([label.label for _, label in rows]),
        groups=np.array(_joined([(clip.video_id, label.group) for clip, label in rows])),
        ids=tuple(clip.clip_id for clip, _ in rows),
        held_out=np.array([(label.split or "").lower() in _HELD_OUT for _, label in rows], dtype=np.bool_),
        named_groups=any(label.group is not None for _, label in rows),
    )


def _joined(members: Sequence[tuple[str, str | None]]) -> list[str]:
    """One name for all clips that must stay together: those of one video, of one group, or linked by both."""
    names = [f"video {video}" for video, _ in members]
    nodes = {name: number for number, name in enumerate(dict.fromkeys([*names, *(g for _, g in members if g)]))}
    edges = [(nodes[name], nodes[group]) for name, (_, group) in zip(names, members, strict=True) if group]
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    graph = coo_matrix((np.ones(len(edges)), (rows, columns)), shape=(len(nodes), len(nodes)))
    _, component = connected_components(graph, directed=False)
    # A component is called by its first group, or by its only video.
    called: dict[int, str] = {}
    for name, number in nodes.items():
        if not name.startswith("video ") or component[number] not in called:
            called[component[number]] = name
    return [called[component[nodes[name]]] for name in names]


def check_classes(examples: Examples) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        LabelError: fewer than two classes outside of the held-out split.
    """
    classes = sorted(set(examples.y[~examples.held_out].tolist()))
    if len(classes) < 2:
        raise LabelError(
            f"a head tells classes apart, so it needs labels of at least 2; the stored clips have: "
            f"{', '.join(classes) or 'none'}"
        )


def _without_clips(labels: Sequence[LabelRow], examples: Examples) -> list[str]:
    """A warning where whole classes that were labelled have no stored clip."""
    missing = sorted({label.label for label in labels} - set(examples.y.tolist()))
    if not missing:
        return []
    example = next(label for label in labels if label.label == missing[0])
    where = "" if example.span is None else f"@{example.start_seconds:g}-{example.stop_seconds:g}"
    return [
        f"no stored clip is labelled {', '.join(map(repr, missing))}: no clip lies mostly in these labels, or another "
        f"label speaks of the same stretch. Store one with: clipdex extract {example.video}{where}"
    ]
