"""A new class from a few clips: extract them if they are new, label them, train the head again.

The backbone is never touched. What the addition did to the other classes is measured and said.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._errors import HeadError, LabelError
from ._types import ClipRow, Device, FloatArray, LabelRow, Moment
from .bank import Bank
from .encoding import Progress
from .extract import extract_for
from .heads import Head, HeadCard, load_head, save_head
from .labels import Labels, label_of_clips, label_row
from .train import DEFAULT_NAME, build_head
from .validation import Examples, fit


@dataclasses.dataclass(frozen=True)
class AddReport:
    """What ``add-class`` did.

    Attributes:
        clips: stored clips that now stand for the class.
        encoded_clips: how many of them had to be encoded.
        other_scores_changed: whether any probability among the other classes changed, each clip's scores
            compared without the new class.
        largest_change: by how much at most.
        confusions: for each other class, how many of its training clips were right and now go to the new one.
    """

    class_name: str
    head: str
    clips: int
    seconds: float
    encoded_clips: int
    other_scores_changed: bool
    largest_change: float
    confusions: dict[str, int]


def add_class(
    class_name: str,
    moments: Sequence[str | Path],
    *,
    bank: str | Path = "bank",
    head_name: str = DEFAULT_NAME,
    device: Device = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> AddReport:
    """Teach a stored head a class, or more clips of one it knows.

    Args:
        moments: files, or ``FILE@START-STOP`` in seconds; each becomes a clip where it is not one yet.

    Raises:
        HeadError: there is no such head.
        LabelError: no clip could be had from the moments, or none that other classes could spare; nothing was changed.
    """
    started = time.monotonic()
    class_name = class_name.strip()
    store = Bank(Path(bank))
    before, card = load_head(store.folder / "heads", head_name)
    if not card.examples:
        raise HeadError(
            f"the head {head_name!r} came with {card.labels} and was not trained on clips of this bank, so nothing "
            "can be added to it. Train one with train-head, which takes classes of your own"
        )
    extraction = extract_for(card.recipe, moments, bank=bank, device=device, on_progress=on_progress)
    bad = [f"{row.video}: {row.reason}" for row in extraction.rows if not row.clips]
    if bad:
        raise LabelError(f"no clip could be made, so {class_name!r} was not added: {'; '.join(bad)}")
    labels = [
        label_row(Moment(source.path, source.span), class_name, video_id=str(row.video_id), source="add-class")
        for source, row in zip(extraction.inputs, extraction.rows, strict=True)
    ]
    stored = store.clips(card.recipe.id)
    clips, vectors = list(stored.rows()), stored.embeddings()
    examples, taught = _with(card, clips, vectors, labels)
    after = fit(build_head(card.kind, **{"seed": card.seed, **card.parameters}), examples)
    change, confusions = _effect(before, after, examples.take(examples.y != class_name), class_name)
    new_card = dataclasses.replace(
        card,
        classes=tuple(str(one) for one in after.classes_),
        examples=tuple(zip(examples.ids, examples.y.tolist(), examples.groups.tolist(), strict=True)),
        cv=None,  # it was measured without the new class; train-head measures again
    )
    Labels(store.folder).add(dict.fromkeys(taught))  # a label that taught nothing must not overrule others later
    save_head(store.folder / "heads", after, new_card)
    return AddReport(
        class_name=class_name,
        head=head_name,
        clips=len(taught),
        seconds=time.monotonic() - started,
        encoded_clips=extraction.encoded_clips,
        other_scores_changed=change > 0,
        largest_change=change,
        confusions=confusions,
    )


def _with(
    card: HeadCard, clips: Sequence[ClipRow], vectors: FloatArray, labels: Sequence[LabelRow]
) -> tuple[Examples, list[LabelRow]]:
    """What the head was trained on, together with the clips that the new labels cover."""
    numbers = {clip.clip_id: number for number, clip in enumerate(clips)}
    gone = [name for name, _, _ in card.examples if name not in numbers]
    if gone:
        raise HeadError(
            f"{len(gone)} of the {len(card.examples)} clips that {card.name!r} was trained on are no longer in the "
            f"bank (the first: {gone[0]}); train the head again with train-head"
        )
    known = {name: (label, group) for name, label, group in card.examples}
    taught: list[LabelRow] = []  # the label of each new example
    for clip, label in zip(clips, label_of_clips(clips, labels), strict=True):
        # A label on a whole file does not overrule what was said of a stretch of it.
        other = clip.clip_id in known and known[clip.clip_id][0] != labels[0].label
        if label is not None and not (other and label.span is None):
            _, group = known.get(clip.clip_id, (None, f"video {clip.video_id}"))
            known[clip.clip_id] = (label.label, group)
            taught.append(label)
    left = {label for label, _ in known.values()}
    emptied = sorted(set(card.classes) - left)
    if emptied or not taught:
        taken = emptied[0] if emptied else "other classes"
        raise LabelError(
            f"all clips of these moments belong to {taken!r} in the head {card.name!r}; a clip stands for one. "
            "Name other moments, or label them anew (label remove, label add) and run train-head"
        )
    ids = tuple(known)
    examples = Examples(
        X=vectors[[numbers[name] for name in ids]],
        y=np.array([label for label, _ in known.values()]),
        groups=np.array([group for _, group in known.values()]),
        ids=ids,
        held_out=np.zeros(len(ids), dtype=np.bool_),
        named_groups=False,
    )
    return examples, taught


def _effect(before: Head, after: Head, others: Examples, class_name: str) -> tuple[float, dict[str, int]]:
    """The largest change of a probability among the other classes, and the clips that the new class took."""
    old = [str(name) for name in before.classes_ if str(name) != class_name]

    def among_old(head: Head) -> Any:
        columns = [list(map(str, head.classes_)).index(name) for name in old]
        shares = head.predict_proba(others.X)[:, columns]
        return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)

    change = float(np.abs(among_old(after) - among_old(before)).max())
    right_before = before.predict(others.X) == others.y
    taken = right_before & (after.predict(others.X) == class_name)
    return change, dict(sorted(Counter(others.y[taken].tolist()).items()))
