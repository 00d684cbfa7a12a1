"""A small bank without an encoder, the commands that change it, and what it holds: for ``concurrency.py``."""

from __future__ import annotations

import dataclasses
import sys
import traceback
from pathlib import Path
from typing import Any, Literal

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from pipeline import Bank, ClipdexError, Part, Searcher, add_class, remove_class, rename_class, train_head, undo
from pipeline.bank.head_changes import settle
from pipeline.classification.labelling import add_label, list_labels, remove_labels
from pipeline.core.types import ClipRow, Span, VideoRow, clip_id
from pipeline.core.vectors import unit
from pipeline.extraction.resume import video_id_of
from pipeline.heads import entries_in, load_trained, read_entry
from pipeline.retrieval.build_index import build_index
from pipeline.retrieval.index_store import damaged_indexes

HEAD = "default"
CLASSES = ("run", "leap", "throw", "swim")  # of the head in the bank that ``build`` makes
_DIM, _VIDEOS_PER_CLASS, _CLIPS_PER_VIDEO = 16, 4, 3
_ANOTHER = 3  # more kinds of video, which nobody has labelled
_INDEXES = ("flat", "sq8", "ivf", "ivfpq", "hnsw")
_QUERIES, _NEIGHBOURS = 3, 5

Verb = Literal[
    "add-class",
    "train-head",
    "rename-class",
    "remove-class",
    "undo",
    "label add",
    "label remove",
    "search",
    "index build",
]
VERBS: tuple[Verb, ...] = Verb.__args__  # type: ignore[attr-defined]
Result = Literal["done", "refused", "traceback"]


@dataclasses.dataclass(frozen=True)
class Command:
    """One command with its arguments."""

    verb: Verb
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.verb} {self.arguments}"


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended; ``detail`` is what a search found, an error's message or a traceback."""

    result: Result
    detail: Any = None


def build(folder: Path, videos: Path) -> None:
    """Fill a bank with clips of files that are no videos: what is stored already is not decoded again.

    Args:
        folder: the bank. It has a head that was trained and changed twice since, so that two changes can be undone.
        videos: an empty folder for the files; the bank may be copied, they may not move.
    """
    from conftest import make_recipe  # slow, and not needed in the worker processes

    random = np.random.default_rng(0)
    rows, outcomes, kinds = [], [], []
    for kind in range(len(CLASSES) + _ANOTHER):
        for number in range(_VIDEOS_PER_CLASS):
            path = videos / f"{kind}-{number}.mp4"
            path.write_bytes(f"the content of {path.name}".encode())
            facts, video_id = path.stat(), video_id_of(path)
            for second in range(_CLIPS_PER_VIDEO):
                span = Span(float(second), second + 1.0)
                plan, name = f"moment {second}-{second + 1}", clip_id(video_id, span)
                rows.append(ClipRow(name, video_id, str(path), *dataclasses.astuple(span), plan, (second + 0.5,), {}))
                row = VideoRow(str(path), video_id, "ok", (name,), plan=plan)
                outcomes.append(dataclasses.replace(row, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns))
                kinds.append(kind)
    centres = random.normal(size=(len(CLASSES) + _ANOTHER, _DIM))
    vectors = (centres[kinds] + 0.3 * random.normal(size=(len(rows), _DIM))).astype(np.float32)
    Bank(folder, create=True).add(make_recipe(_DIM), rows, vectors, outcomes)
    for kind, label in enumerate(("run", "jump", "throw")):
        for number in range(_VIDEOS_PER_CLASS):
            for second in range(_CLIPS_PER_VIDEO):
                add_label(_moment(videos, kind, number, second), label, bank=folder)
    train_head(bank=folder)
    rename_class("jump", "leap", bank=folder)
    add_class("swim", [_moment(videos, 3, number, 0) for number in range(3)], bank=folder)
    build_index(bank=folder, kind="flat")


def draw(verb: Verb, videos: Path, random: np.random.Generator) -> Command:
    """A command with random arguments, many of which meet those of another one."""

    def labelled() -> str:
        return _moment(videos, *(int(random.integers(most)) for most in (3, _VIDEOS_PER_CLASS, _CLIPS_PER_VIDEO)))

    def unlabelled() -> str:
        kind = int(random.integers(len(CLASSES), len(CLASSES) + _ANOTHER))
        return _moment(videos, kind, *(int(random.integers(most)) for most in (_VIDEOS_PER_CLASS, _CLIPS_PER_VIDEO)))

    known, new = str(random.choice(CLASSES)), f"new {random.integers(2)}"
    match verb:
        case "add-class":
            arguments: tuple[Any, ...] = (str(random.choice([known, new])), (unlabelled(), unlabelled(), unlabelled()))
        case "train-head":
            arguments = (str(random.choice(["linear", "prototype"])),)
        case "rename-class":
            arguments = (known, new)
        case "remove-class":
            arguments = (known, bool(random.integers(2)))
        case "label add":
            arguments = (str(random.choice([labelled(), unlabelled()])), str(random.choice([known, new])))
        case "label remove":
            arguments = (labelled(),)
        case "search":
            arguments = (int(random.integers(1 << 30)),)
        case "index build":
            arguments = (str(random.choice(_INDEXES)),)
        case "undo":
            arguments = ()
    return Command(verb, arguments)


def perform(command: Command, bank: Path) -> Ended:
    """Run a command on a bank."""
    try:
        return Ended("done", _perform(command, bank))
    except ClipdexError as error:
        return Ended("refused", str(error))
    except Exception:
        return Ended("traceback", traceback.format_exc())


def _perform(command: Command, bank: Path) -> Any:
    match command.verb, command.arguments:
        case "add-class", (name, moments):
            add_class(name, moments, bank=bank)
        case "train-head", (kind,):
            train_head(bank=bank, head=kind)
        case "rename-class", (old, new):
            rename_class(old, new, bank=bank)
        case "remove-class", (name, labels):
            remove_class(name, bank=bank, labels=labels)
        case "undo", ():
            undo(bank=bank)
        case "label add", (moment, name):
            add_label(moment, name, bank=bank)
        case "label remove", (moment,):
            remove_labels(moment, bank=bank)
        case "search", (seed,):
            return wrong_answers(bank, seed)
        case "index build", (kind,):
            build_index(bank=bank, kind=kind)
        case _:
            raise ValueError(f"no such command: {command}")
    return None


def state(bank: Path) -> dict[str, Any]:
    """What a bank holds that commands change: of the head its classes, the clips of each and what it says of every
    clip; what can be undone; the labels. The order of labels does not count.
    """
    settle(bank)  # as every command does that reads both
    labels = list_labels(bank=bank)
    judged = load_trained(bank / "heads", HEAD)
    store = Bank(bank)
    vectors = store.clips(store.recipe().id).embeddings()
    return {
        "kind": judged.card.kind,
        "classes": judged.card.classes,
        "examples": sorted((name, label) for name, label, _ in judged.card.examples),
        "predictions": judged.head.predict(vectors).tolist(),
        "history": [(note["verb"], note["class"]) for note, _ in map(read_entry, entries_in(bank / "heads"))],
        "labels": sorted(map(str, labels)),
    }


def disagreements(bank: Path) -> list[str]:
    """How the head's own account of itself is wrong, whatever has changed: classes without clips, scores that do not
    fit the classes, labels that appear twice.
    """
    found = []
    judged = load_trained(bank / "heads", HEAD)
    taught = {label for _, label, _ in judged.card.examples}
    if taught != set(judged.card.classes):
        found.append(f"the head's classes are {judged.card.classes}, those of its clips {sorted(taught)}")
    if judged.head.classes_.tolist() != list(judged.card.classes):
        found.append(f"the head scores {judged.head.classes_.tolist()}, its card says {judged.card.classes}")
    labels = [dataclasses.astuple(row)[:5] for row in list_labels(bank=bank)]
    if len(set(labels)) != len(labels):
        found.append("a label appears twice")
    return found + [f"{path} is damaged: {reason}" for path, reason in damaged_indexes(bank)]


def wrong_answers(bank: Path, seed: int) -> list[str]:
    """Search for some clips, and compare with a loop over all vectors."""
    searcher = Searcher(bank)
    clips = searcher.clips
    vectors = unit(clips.embeddings())
    wrong = []
    for number in np.random.default_rng(seed).integers(len(clips), size=_QUERIES).tolist():
        query = clips.ids[number]
        hits = searcher.search([Part("hit", query)], k=_NEIGHBOURS, each_clip=True)
        found = [float(vectors[clips.ids.index(hit.clip_id)] @ vectors[number]) for hit in hits]
        best = np.sort(vectors @ vectors[number])[::-1][:_NEIGHBOURS]
        if not np.allclose(found, best, atol=1e-4):
            wrong.append(f"the clips nearest to {query} have cosines {best.round(4)}, found were {np.round(found, 4)}")
    return wrong


def undone(bank: Path) -> Any:
    """What a bank holds after an ``undo``; why there is none."""
    ended = perform(Command("undo"), bank)
    return state(bank) if ended.result == "done" else ended


def _moment(videos: Path, kind: int, number: int, second: int) -> str:
    return f"{videos / f'{kind}-{number}.mp4'}@{second}-{second + 1}"
