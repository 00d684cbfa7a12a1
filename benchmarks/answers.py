"""A bank with some of everything, and what reads each of its files: for ``damage.py``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from conftest import make_recipe

from pipeline import Bank, Part, Searcher, predict, rename_class, train_head, undo
from pipeline.bank.labels import Labels
from pipeline.core.types import ClipRow, LabelRow, VideoRow
from pipeline.maintenance.info import bank_info
from pipeline.retrieval.build_index import build_index

_ROWS, _DIM, _CLASSES = 1500, 16, 4  # more rows than approximate indexes compare one by one
_INDEXES = ("flat", "sq8", "ivf", "ivfpq", "hnsw")
_HEADS: dict[str, dict[str, Any]] = {
    "linear": {},
    "prototype": {},
    "knn": {},
    "mlp": {"num_epochs": 3, "hidden_dim": 16, "embedding_dim": 8},
    "temporal": {"num_epochs": 3, "width": 8},
}
_RENAMED = (("class 0", "renamed"), ("renamed", "class 0"))  # the history of every head
_QUESTIONS = 5

Answer = Callable[[Path], Any]


def build(folder: Path) -> None:
    recipe = make_recipe(_DIM)
    random = np.random.default_rng(0)
    classes = np.arange(_ROWS) % _CLASSES
    vectors = (random.normal(size=(_CLASSES, _DIM))[classes] + 0.5 * random.normal(size=(_ROWS, _DIM))).astype("f4")
    rows = [
        ClipRow(f"{i:032x}", f"{i:064x}", f"/videos/{i}.mp4", 0.0, 1.0, "windows 1/1", (0.5,), {"place": str(i % 7)})
        for i in range(_ROWS)
    ]
    frames = np.repeat(vectors[:, None], 2, axis=1).astype(np.float16)
    kept = {"frames": ([row.clip_id for row in rows], frames)}
    outcomes = [VideoRow(row.video, row.video_id, "ok", (row.clip_id,)) for row in rows]
    Bank(folder, create=True).add(recipe, rows, vectors, outcomes, features=kept)
    labelled = list(zip(rows, classes, strict=True))[:80]
    Labels(folder).add(LabelRow(row.video_id, row.video, f"class {name}", 0.0, 1.0) for row, name in labelled)
    for kind, parameters in _HEADS.items():
        train_head(bank=folder, head=kind, name=kind, **parameters)
        for old, new in _RENAMED:
            rename_class(old, new, bank=folder, head_name=kind)
    for kind in _INDEXES:
        build_index(bank=folder, kind=kind)


def searched(kind: str) -> Answer:
    def answer(folder: Path) -> Any:
        searcher = Searcher(folder, kind=kind)
        found = []
        for number in range(_QUESTIONS):
            hits = searcher.search([Part("hit", f"{number:032x}")], k=5, each_clip=True)
            found.append([(hit.clip_id, round(float(hit.score), 4)) for hit in hits])
        return found

    return answer


def predicted(name: str) -> Answer:
    def answer(folder: Path) -> Any:
        found = predict(bank=folder, head_name=name)
        return [(one.label, one.score, one.top) for one in found]

    return answer


def undone(name: str) -> Answer:
    """Takes back every change of a head, so that every entry of its history is read."""

    def answer(folder: Path) -> Any:
        found = []
        for _ in _RENAMED:
            undo(bank=folder, head_name=name)
            found.append((predicted(name)(folder), labelled(folder)))
        return found

    return answer


def labelled(folder: Path) -> Any:
    return Labels(folder).rows()


def stored(folder: Path) -> Any:
    bank = Bank(folder)
    recipe = bank.recipe()
    clips = bank.clips(recipe.id)
    rows = [(row.clip_id, row.video, row.start_seconds, row.metadata) for row in clips.rows()]
    return recipe, rows, clips.embeddings().tobytes(), bank.videos(recipe.id)


def frames(folder: Path) -> Any:
    bank = Bank(folder)
    recipe = bank.recipe()
    return bank.features(recipe.id, "frames").read(bank.clips(recipe.id).ids).tobytes()


def counted(folder: Path) -> Any:
    return {
        key: value
        for key, value in _plain(bank_info(bank=folder).to_row()).items()
        if "bytes" not in key and key != "bank"
    }


def _plain(value: Any) -> dict[str, Any]:
    return dict(json.loads(json.dumps(value, default=lambda one: getattr(one, "__dict__", str(one)))))


def readers(path: Path) -> dict[str, Answer]:
    """What reads a file of the bank, given relative to it."""
    match path.parts:
        case ("indexes", _, "kind.json"):
            return {"search": searched("auto")}
        case ("indexes", _, kind, *_):
            return {"search": searched(kind)}
        case ("heads", *_):
            name = next(name for name in _HEADS if name in str(path))
            return {"predict": predicted(name), "undo": undone(name)}
        case ("labels", *_):
            return {"labels": labelled, "undo": undone("linear"), "info": counted}
        case ("frames", *_):
            return {"frames": frames}
    return {"clips": stored, "info": counted, "search": searched("flat"), "predict": predicted("linear")}
