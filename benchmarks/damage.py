"""Flip single bits of a bank and cut its files short, and see that each damage is named or harmless.

    python benchmarks/damage.py --damages 1000

The bank has clips with stored frames, labels, heads of every kind with a history, and every kind of index with more
rows than it compares one by one. Each damage hits a copy, aimed evenly at the kinds of file, and a third of them at the
first or last 64 bytes of one. What reads that file is then run and compared with the undamaged answers:

    named     one of our errors, or a warning and the right answer
    harmless  the right answer
    doctor    the right answer was given, and `doctor` names the damage
    BAD       another exception, or another answer without a word

Prints a table by kind of file, and exits with 1 if any is BAD.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from conftest import make_recipe

from pipeline import (
    Bank,
    ClipdexError,
    Part,
    Searcher,
    predict,
    rename_class,
    train_head,
    undo,
)
from pipeline._types import ClipRow, LabelRow, VideoRow
from pipeline.doctor import doctor
from pipeline.indexing import build_index
from pipeline.info import bank_info
from pipeline.labels import Labels

_ROWS, _DIM, _CLASSES = 1500, 16, 4  # more rows than approximate indexes compare one by one
_INDEXES = ("exact", "flat", "sq8", "ivf", "ivfpq", "hnsw")
_HEADS: dict[str, dict[str, Any]] = {
    "linear": {},
    "prototype": {},
    "knn": {},
    "mlp": {"num_epochs": 3, "hidden_dim": 16, "embedding_dim": 8},
    "temporal": {"num_epochs": 3, "width": 8},
}
_EDGE_BYTES = 64
_QUESTIONS = 5

Answer = Callable[[Path], Any]


class Notes(logging.Handler):
    """How many warnings were logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 -- only counted
        self.count += 1


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
    Bank(folder, create=True).add(recipe, rows, vectors, outcomes, kept=kept)
    labelled = list(zip(rows, classes, strict=True))[:80]
    Labels(folder).add(LabelRow(row.video_id, row.video, f"class {name}", 0.0, 1.0) for row, name in labelled)
    for kind, parameters in _HEADS.items():
        train_head(bank=folder, head=kind, name=kind, **parameters)
        rename_class("class 0", "renamed", bank=folder, head_name=kind)
        rename_class("renamed", "class 0", bank=folder, head_name=kind)
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
        found, _ = predict(bank=folder, head_name=name)
        return [(one.label, one.score, one.top) for one in found]

    return answer


def undone(name: str) -> Answer:
    def answer(folder: Path) -> Any:
        undo(bank=folder, head_name=name)
        return predicted(name)(folder), labelled(folder)

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
    return bank.kept(recipe.id, "frames").read(bank.clips(recipe.id).ids).tobytes()


def counted(folder: Path) -> Any:
    return {key: value for key, value in _plain(bank_info(bank=folder)).items() if "bytes" not in key and key != "bank"}


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
        case ("labels.parquet",):
            return {"labels": labelled, "undo": undone("linear")}
        case ("frames", *_):
            return {"frames": frames}
    return {"clips": stored, "info": counted, "search": searched("flat"), "predict": predicted("linear")}


def kind_of(path: Path) -> str:
    """Files that hold the same in the same way."""
    match path.parts:
        case ("indexes", _, kind, *rest):
            return f"index {kind} {path.name}" if rest else f"index {kind}"
        case ("heads", *_):
            return f"heads {path.suffix}" + (" (history)" if len(path.parts) > 2 else "")
    return path.parts[0]


def spoilt(content: bytes, random: np.random.Generator) -> bytes:
    if random.random() < 0.25:
        return content[: int(random.integers(len(content)))]
    edge = random.random()
    low = max(0, len(content) - _EDGE_BYTES) if edge < 1 / 6 else 0
    high = min(len(content), _EDGE_BYTES) if 1 / 6 <= edge < 1 / 3 else len(content)
    changed = bytearray(content)
    changed[int(random.integers(low, high))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def outcome(answer: Answer, folder: Path, expected: Any, notes: Notes) -> tuple[str, str]:
    before = notes.count
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = answer(folder)
    except ClipdexError as error:
        return "named", str(error)
    except Exception as error:
        return "BAD", f"{type(error).__name__}: {error}"
    told = notes.count > before or bool(caught)
    if found == expected:
        return ("named" if told else "harmless"), ""
    return "BAD", "another answer" + (" after a warning" if told else "")


def named_by_doctor(folder: Path) -> tuple[str, str]:
    try:
        checks = doctor(bank=folder)
    except ClipdexError as error:
        return "doctor", str(error)
    except Exception as error:
        return "BAD", f"doctor: {type(error).__name__}: {error}"
    words = ("damaged", "cannot be read", "part", "label", "head", "index")
    bad = [one for one in checks if not one["ok"] and any(word in one["check"] for word in words)]
    return ("doctor", "") if bad else ("harmless", "")


def damage_once(
    original: Path, path: Path, random: np.random.Generator, expected: dict[tuple[str, str], Any], notes: Notes
) -> tuple[str, str]:
    """The worst outcome of all that read the file, each on a copy of its own."""
    content = (original / path).read_bytes()
    changed = spoilt(content, random)
    worst = ("harmless", "")
    rank = ("harmless", "doctor", "named", "BAD")
    for name, answer in [*readers(path).items(), ("doctor", None)]:
        if answer is None and worst[0] != "harmless":  # it takes longest, and is needed only for what nobody named
            continue
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch, "bank")
            shutil.copytree(original, copy, symlinks=True)
            (copy / path).write_bytes(changed)
            found = named_by_doctor(copy) if answer is None else outcome(answer, copy, expected[str(path), name], notes)
        if rank.index(found[0]) > rank.index(worst[0]):
            worst = found[0], f"{name}: {found[1]}"
    return worst


def expectations(original: Path, files: list[Path]) -> dict[tuple[str, str], Any]:
    known: dict[str, Any] = {}
    expected = {}
    for path in files:
        for name, answer in readers(path).items():
            key = f"{name} {kind_of(path)} {path if path.parts[0] == 'heads' else ''}"
            if key not in known:
                with tempfile.TemporaryDirectory() as scratch:
                    shutil.copytree(original, Path(scratch, "bank"))
                    known[key] = answer(Path(scratch, "bank"))
            expected[str(path), name] = known[key]
    return expected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=7200.0, help="stop after so long, with the table so far")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only files whose path holds this text")
    options = parser.parse_args()
    stop = time.monotonic() + options.seconds
    random = np.random.default_rng(options.seed)
    notes = Notes()
    logging.getLogger("pipeline").addHandler(notes)
    logging.getLogger("pipeline").propagate = False
    tables: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as scratch:
        original = Path(scratch, "original")
        build(original)
        paths = sorted(path.relative_to(original) for path in original.rglob("*") if path.is_file())
        by_kind: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            if (original / path).stat().st_size and options.only in str(path) and not path.name.startswith("."):
                by_kind[kind_of(path)].append(path)
        expected = expectations(original, [path for files in by_kind.values() for path in files])
        kinds = sorted(by_kind)
        random.shuffle(kinds)
        for number in range(options.damages):
            if time.monotonic() > stop:
                break
            kind = kinds[number % len(kinds)]
            path = by_kind[kind][int(random.integers(len(by_kind[kind])))]
            found, why = damage_once(original, path, random, expected, notes)
            tables[kind][found] += 1
            if found == "BAD":
                print(f"BAD: {path}: {why[:200]}", flush=True)
    columns = ("named", "harmless", "doctor", "BAD")
    print(f"{'kind of file':<36}" + "".join(f"{name:>10}" for name in columns))
    for kind in sorted(tables):
        print(f"{kind:<36}" + "".join(f"{tables[kind][name]:>10}" for name in columns))
    total = sum(tables.values(), Counter[str]())
    print(f"{'all':<36}" + "".join(f"{total[name]:>10}" for name in columns))
    return int(bool(total["BAD"]))


if __name__ == "__main__":
    raise SystemExit(main())
