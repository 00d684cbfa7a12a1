"""A new class from a few clips: extract them if they are new, label them, and train the head on that class alone.

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
from ..bank.label_conflicts import contradicting, stretch_of
from ..bank.labels import Labels
from ..core.arguments import check_choice
from ..core.errors import HeadError
from ..core.file_rows import in_memory, rows_of, taken
from ..core.results import Report
from ..core.types import Device, LabelRow
from ..encoders import load_for
from ..extraction.encode_loop import Progress
from ..extraction.extract import extract_for
from ..extraction.run import Extraction
from ..extraction.runners import LOCAL, Runner
from ..heads import Head, HeadCard, TrainedHead, load_trained
from .class_clips import examples_of, labels_of, with_labels
from .class_effects import clips_to_compare, effect_on_others, recognised_elsewhere
from .cross_validation import fit
from .dataset import LabelledClips
from .edit_classes import note
from .label_checks import check_is_class, check_names
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
            None if it has one video only, is not learned alone, or the head was trained on many clips.
        recognised: how many of those were then classified correctly; None if none were left out.
        label_notes: see ``Extraction``.

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
    left_out: int | None
    recognised: int | None
    label_notes: tuple[str, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """The fields as ``--json`` prints them."""
        row = super().to_row()
        del row["label_notes"]  # they are warnings
        return {"class": row.pop("class_name"), **row}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the labels, and a sentence if the head recognised fewer than half of the clips that were
        left out.
        """
        if self.recognised is None or self.left_out is None or 2 * self.recognised >= self.left_out:
            return self.label_notes
        return (
            *self.label_notes,
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
    check_is_class(class_name)
    store = open_bank(bank)
    card = _trained_here(load_trained(heads_in(store.folder), head_name)).card
    recipe = card.recipe
    check_names([class_name], [*card.classes, *(row.label for row in store.labels())])
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
    given = labels_of(extraction, class_name)
    known, learned = with_labels(card, stored, given, in_bank=Labels(store.folder).rows())
    examples, after, is_alone = _learned(before, store, stored, known, class_name, retrain=retrain)
    compared = clips_to_compare(before, examples, class_name)
    X, y = taken(examples.X, compared), examples.y[compared]
    change, confusions = effect_on_others(before.head, after, X, y, class_name=class_name, exactly=is_alone)
    recognised = recognised_elsewhere(before.head, examples, class_name, alone=is_alone)
    notes = _contradictions(learned, store)
    _commit(store, _changed(before, after, examples, known, class_name, device=device), class_name, learned)
    return AddReport(
        class_name=class_name,
        head=card.name,
        clips=len(learned),
        seconds=0.0,
        encoded_clips=extraction.encoded_clips,
        retrained=not is_alone,
        other_scores_changed=change > 0,
        largest_change=change,
        compared_clips=len(compared),
        confusions=confusions,
        left_out=len(recognised) or None,
        recognised=recognised.count(class_name) if recognised else None,
        label_notes=tuple(notes),
    )


def _contradictions(learned: Sequence[LabelRow], store: Bank) -> list[str]:
    """A sentence if clips of the class have labels of others: the new ones count, as somebody named these clips."""
    wrong = contradicting(Labels(store.folder).unknown(learned), store)
    if not wrong:
        return []
    _, other = wrong[0]
    return [
        f"{len(wrong)} of the clips had another label before, for example {stretch_of(other)}: {other.label!r}. The "
        "newer label trains; remove the other one with label remove"
    ]


def _learned(
    before: TrainedHead,
    store: Bank,
    stored: ClipTable,
    known: Mapping[str, tuple[str, str]],
    class_name: str,
    *,
    retrain: bool | None,
) -> tuple[LabelledClips, Head, bool]:
    """The clips that the class was learned from, the head with it, and whether the others' scores stayed as they were.

    Learning the class alone takes a sample of the others' clips if the head has one; training again takes them all.
    """
    card = before.card
    if retrain is None:
        retrain = not before.head.learns_alone and before.sample is None
    examples = examples_of(before, store, stored, known, class_name, some=not retrain)
    alone = None if retrain else before.head.with_class(class_name, in_memory(examples.X), examples.y)
    if alone is not None:
        return examples, alone, True
    if not retrain and before.sample is not None:
        examples = examples_of(before, store, stored, known, class_name, some=False)
    return examples, fit(build_head(card.kind, card.parameters, seed=card.seed), examples), False


def _commit(store: Bank, after: TrainedHead, class_name: str, learned: Sequence[LabelRow]) -> None:
    """Store the head and the labels that it learned from as one change. Others would only overrule later ones."""
    what = note("add-class", class_name, added=Labels(store.folder).unknown(dict.fromkeys(learned)))
    commit_change(store.folder, after, what, {"add": what["labels_added"]})


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
    mine = rows_of(examples.vectors, examples.y == class_name)
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
