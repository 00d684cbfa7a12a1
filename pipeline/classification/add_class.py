"""A new class from a few clips: extract them if they are new, label them, and teach the head that class alone.

The backbone is never touched, and where a head's classes can be learned one by one neither are the scores of the
others. The effect of the addition on them is measured and reported.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.clip_table import ClipTable
from ..bank.head_changes import changing, commit_change, heads_in
from ..bank.labels import Labels, label_of_clips, label_row
from ..core.arguments import check_choice
from ..core.errors import HeadError, LabelError
from ..core.results import Report
from ..core.types import Device, FloatArray, LabelRow, Moment
from ..encoders import load_for
from ..extraction.encode_loop import Progress
from ..extraction.extract import extract_for
from ..extraction.run import Extraction
from ..extraction.runners import LOCAL, Runner
from ..heads import Head, HeadCard, TrainedHead, load_trained
from .class_effects import clips_to_compare, effect_on_others, recognised_elsewhere
from .cross_validation import fit
from .dataset import LabelledClips, frames_of
from .edit_classes import note
from .train import DEFAULT_NAME, build_head, class_texts


@dataclasses.dataclass(frozen=True)
class AddReport(Report):
    """What ``add-class`` did.

    Attributes:
        clips: stored clips that now stand for the class.
        encoded_clips: how many of them had to be encoded.
        retrained: whether the whole head was trained again, and not the class alone.
        other_scores_changed: whether any score of another class changed on the clips the head was trained on, to the
            last bit; of a head that was trained again, any probability among the other classes.
        largest_change: by how much at most.
        compared_clips: on how many clips of other classes that was seen; of a head with many examples on some.
        confusions: for each other class, how many compared clips were right before and now get the new class.
        left_out: clips of the class that were left out in turn, video by video, while it was learned from the others;
            0 where it has one video only, is not learned alone, or the head was trained on many clips.
        recognised: how many of those were then classified correctly.

    Example:
        >>> report = add_class("jump", ["videos/kick/0.mp4@0-1", "videos/wave/0.mp4@0-1"])
        >>> report.class_name, report.clips, report.other_scores_changed
        ('jump', 2, False)
    """

    class_name: str
    head: str
    clips: int
    seconds: float
    encoded_clips: int
    retrained: bool
    other_scores_changed: bool
    largest_change: float
    compared_clips: int
    confusions: dict[str, int]
    left_out: int
    recognised: int

    def to_row(self) -> dict[str, Any]:
        """The fields as ``--json`` prints them."""
        row = super().to_row()
        return {"class": row.pop("class_name"), **row}

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence if the head recognised fewer than half of the clips that were left out."""
        if 2 * self.recognised >= self.left_out:
            return ()
        return (
            f"the head recognised only {self.recognised} of the {self.left_out} clips of {self.class_name!r} that were "
            "left out in turn: add clips of other videos, or train the head again with train-head",
        )


def add_class(
    class_name: str,
    moments: str | Path | Sequence[str | Path],
    *,
    bank: BankLike = "bank",
    head_name: str = DEFAULT_NAME,
    retrain: bool | None = None,
    device: Device = "auto",
    runner: Runner | str = LOCAL,
    on_progress: Callable[[Progress], None] | None = None,
) -> AddReport:
    """Add a class to a stored head, or more clips of one it has.

    Args:
        moments: files, or ``FILE@START-STOP`` in seconds; each becomes a clip, unless it is one already.
        retrain: train the whole head again, or learn the class alone if its kind can; by default alone, except for
            networks with few enough clips that training them again takes seconds.
        runner: where new moments are extracted, see ``extract``.

    Raises:
        HeadError: there is no such head.
        LabelError: the moments gave no clip, or only clips that other classes need; nothing was changed.

    Example:
        >>> report = add_class("jump", ["videos/kick/0.mp4@0-1", "videos/wave/0.mp4@0-1"])
        >>> load_head("bank").classes
        ('kick', 'wave', 'jump')
    """
    check_choice("device", device, Device)
    started = time.monotonic()
    class_name = class_name.strip()
    store = open_bank(bank)
    recipe = _trained_here(load_trained(heads_in(store.folder), head_name)).card.recipe
    extraction = extract_for(recipe, moments, store=store, device=device, runner=runner, on_progress=on_progress)
    with changing(store.folder, head_name) as folder:  # only now: extraction may take hours
        before = _trained_here(load_trained(folder, head_name))
        before.card.check_recipe(recipe)
        report = _add(store, before, class_name, extraction, retrain=retrain, device=device)
    return dataclasses.replace(report, seconds=time.monotonic() - started)


def _trained_here(trained: TrainedHead) -> TrainedHead:
    card = trained.card
    if not card.examples:
        raise HeadError(
            f"the head {card.name!r} came with {card.labels} and was not trained on clips of this bank, so nothing "
            "can be added to it. Train one with train-head, which takes classes of your own"
        )
    return trained


def _add(
    store: Bank, before: TrainedHead, class_name: str, extraction: Extraction, *, retrain: bool | None, device: Device
) -> AddReport:
    """Learn the class and commit it, the head's lock held."""
    card = before.card
    stored = store.clips(card.recipe.id)
    known, learned = _with(card, stored, _labels(extraction, class_name))
    if retrain is None:
        retrain = not before.head.learns_alone and before.sample is None
    examples = _examples(before, store, stored, known, class_name, some=not retrain)
    alone = None if retrain else before.head.with_class(class_name, examples.X, examples.y)
    if alone is None and before.sample is not None:
        examples = _examples(before, store, stored, known, class_name, some=False)
    after = alone or fit(build_head(card.kind, card.parameters, seed=card.seed), examples)
    compared = clips_to_compare(before, examples, class_name)
    X, y = examples.X[compared], examples.y[compared]
    change, confusions = effect_on_others(before.head, after, X, y, class_name=class_name, exactly=alone is not None)
    recognised = recognised_elsewhere(before.head, examples, class_name, alone=alone is not None)
    table = Labels(store.folder)
    # A label that nothing was learned from must not overrule others later.
    new_labels = table.unknown(dict.fromkeys(learned))
    now = _changed(before, after, examples, known, class_name, device=device)
    what = note("add-class", class_name, added=new_labels)
    commit_change(store.folder, now, what, {"add": what["labels_added"]})
    return AddReport(
        class_name=class_name,
        head=card.name,
        clips=len(learned),
        seconds=0.0,
        encoded_clips=extraction.encoded_clips,
        retrained=alone is None,
        other_scores_changed=change > 0,
        largest_change=change,
        compared_clips=len(compared),
        confusions=confusions,
        left_out=len(recognised),
        recognised=recognised.count(class_name),
    )


def _labels(extraction: Extraction, class_name: str) -> list[LabelRow]:
    """What naming the class says of each moment."""
    bad = [f"{row.video}: {row.reason}" for row in extraction.rows if not row.clips]
    if bad:
        raise LabelError(f"no clip could be made, so {class_name!r} was not added: {'; '.join(bad)}")
    return [
        label_row(Moment(source.path, source.span), class_name, video_id=str(row.video_id), source="add-class")
        for source, row in zip(extraction.inputs, extraction.rows, strict=True)
    ]


def _with(
    card: HeadCard, stored: ClipTable, labels: Sequence[LabelRow]
) -> tuple[dict[str, tuple[str, str]], list[LabelRow]]:
    """Class and group of all clips that the head is then trained on, by clip, and the labels that it learned from."""
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
    for clip, label in zip(clips, label_of_clips(clips, labels), strict=True):
        # A label on a whole file does not override the label of a stretch of it.
        other = clip.clip_id in known and known[clip.clip_id][0] != labels[0].label
        if label is not None and not (other and label.span is None):
            group = group_of.get(clip.video_id, f"video {clip.video_id}")
            known[clip.clip_id] = (label.label, group)
            learned.append(label)
    left = {label for label, _ in known.values()}
    emptied = sorted(set(card.classes) - left)
    if emptied or not learned:
        taken = emptied[0] if emptied else "other classes"
        raise LabelError(
            f"all clips of these moments belong to {taken!r} in the head {card.name!r}; a clip stands for one. "
            "Name other moments, or label them anew (label remove, label add) and run train-head"
        )
    return known, learned


def _examples(
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
    vectors = stored.embeddings([numbers[name] for name in ids])
    y = [known[name][0] for name in ids]
    groups = [known[name][1] for name in ids]
    if sample is not None:
        names = [card.classes[code] for code in sample.codes]
        others = np.array([name != class_name for name in names], dtype=np.bool_)
        vectors = np.concatenate([vectors, sample.X[others].astype(np.float32)])
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


def _changed(
    before: TrainedHead,
    after: Head,
    examples: LabelledClips,
    known: Mapping[str, tuple[str, str]],
    class_name: str,
    *,
    device: Device,
) -> TrainedHead:
    """The head with the class; what was measured without it is dropped, train-head measures again."""
    card: HeadCard = dataclasses.replace(
        before.card,
        classes=tuple(str(one) for one in after.classes_),
        examples=tuple((name, label, group) for name, (label, group) in known.items()),
        cv=None,
        thresholds={name: least for name, least in before.card.thresholds.items() if name != class_name},
    )
    familiarity, prior, sample = before.familiarity, before.prior, before.sample
    mine: FloatArray = examples.vectors[examples.y == class_name]
    if sample is not None:
        order = np.array([card.classes.index(name) for name in before.card.classes])
        sample = dataclasses.replace(sample, codes=order[sample.codes])
        sample = sample.with_class(card.classes.index(class_name), mine)
    if familiarity is not None:
        familiarity = familiarity.with_class(class_name, mine).in_order(card.classes)
    if prior is not None:
        encoder = load_for(card.recipe, device=device)
        prior = class_texts(encoder, card.classes, card.templates, weight=prior.weight)
    return TrainedHead(after, card, familiarity, prior, sample)
