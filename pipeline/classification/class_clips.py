"""The clips that a class is added to a head from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..bank.bank import Bank
from ..bank.clip_labels import label_of_clips
from ..bank.clip_table import ClipTable
from ..bank.label_parts import key_of
from ..bank.labels import label_row
from ..bank.negative_labels import negative_of
from ..core.errors import HeadError, LabelError
from ..core.file_rows import in_memory
from ..core.types import LabelRow, Moment
from ..extraction.run import Extraction
from ..heads import HeadCard, TrainedHead
from .clip_vectors import frames_of, vectors_of_clips
from .dataset import LabelledClips


def labels_of(extraction: Extraction, class_name: str) -> list[LabelRow]:
    """What naming the class says of each moment."""
    bad = [f"{row.video}: {row.reason}" for row in extraction.rows if not row.clips]
    if bad:
        raise LabelError(f"no clip could be made, so {class_name!r} was not added: {'; '.join(bad)}")
    return [
        label_row(Moment(source.path, source.span), class_name, video_id=str(row.video_id), source="add-class")
        for source, row in zip(extraction.inputs, extraction.rows, strict=True)
    ]


def with_labels(
    card: HeadCard, stored: ClipTable, labels: Sequence[LabelRow], *, in_bank: Sequence[LabelRow] = ()
) -> tuple[dict[str, tuple[str, str]], list[LabelRow]]:
    """Class and group of all clips that the head is then trained on, by clip, and the labels that it learned from.

    Args:
        labels: those of the class that is added.
        in_bank: all labels of the bank, oldest first; negative ones of the class may prevail over ``labels``.
    """
    there = set(stored.ids)
    gone = [name for name, _, _ in card.examples if name not in there]
    if gone:
        raise HeadError(
            f"{len(gone)} of the {len(card.examples)} clips that {card.name!r} was trained on are no longer in the "
            f"bank (the first: {gone[0]}); train the head again with train-head"
        )
    known = {name: (label, group) for name, label, group in card.examples}
    clips = list(stored.rows(stored.of_videos({label.video_id for label in labels})))
    group_of = {clip.video_id: known[clip.clip_id][1] for clip in clips if clip.clip_id in known}
    learned: list[LabelRow] = []
    age = {key_of(row): place for place, row in enumerate(in_bank)}
    denials = [row for row in in_bank if row.label == negative_of(labels[0].label)]
    competing = sorted((*denials, *labels), key=lambda row: age.get(key_of(row), len(age)))
    found = label_of_clips(clips, competing)
    if not any(found) and any(label_of_clips(clips, labels)):
        raise LabelError(
            f"the clips of these moments are labelled {negative_of(labels[0].label)!r}. Remove these labels (label "
            "remove), or name other moments"
        )
    for clip, label in zip(clips, found, strict=True):
        # A label on a whole file does not override the label of a stretch of it.
        other = clip.clip_id in known and known[clip.clip_id][0] != labels[0].label
        if label is not None and not (other and label.span is None):
            group = group_of.get(clip.video_id, f"video {clip.video_id}")
            known[clip.clip_id] = (label.label, group)
            learned.append(label)
    left = {label for label, _ in known.values()}
    emptied = sorted(set(card.classes) - left)
    if emptied or not learned:
        own = sorted({known[clip.clip_id][0] for clip in clips if clip.clip_id in known})
        taken = repr(emptied[0]) if emptied else " and ".join(map(repr, own)) or "other classes"
        raise LabelError(
            f"all clips of these moments belong to {taken} in the head {card.name!r}, and a clip has one class. "
            "Name other moments, or label them anew (label remove, label add) and run train-head"
        )
    return known, learned


def examples_of(
    before: TrainedHead,
    store: Bank,
    stored: ClipTable,
    known: Mapping[str, tuple[str, str]],
    class_name: str,
    *,
    some: bool,
) -> LabelledClips:
    """The clips that a class is learned from, and those of the others; of these only the head's sample where it has
    one and ``some`` will do.
    """
    card = before.card
    sample = before.sample if some else None
    ids = tuple(name for name, (label, _) in known.items() if sample is None or label == class_name)
    numbers = {name: number for number, name in enumerate(stored.ids)}
    vectors = vectors_of_clips(store, stored, [numbers[name] for name in ids])
    y = [known[name][0] for name in ids]
    groups = [known[name][1] for name in ids]
    if sample is not None:
        names = [card.classes[code] for code in sample.codes]
        others = np.array([name != class_name for name in names], dtype=np.bool_)
        vectors = np.concatenate([in_memory(vectors), sample.X[others].astype(np.float32)])
        y += [name for name in names if name != class_name]
        groups += ["sample"] * int(others.sum())
        ids += tuple(f"sample {number}" for number in np.flatnonzero(others))
    return LabelledClips(
        X=vectors if before.head.reads == "clips" else frames_of(store, card.recipe, ids),
        y=np.array(y),
        groups=np.array(groups),
        ids=ids,
        held_out=np.zeros(len(ids), dtype=np.bool_),
        named_groups=False,
        vectors=vectors,
    )
