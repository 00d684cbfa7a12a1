"""Keystrokes and seconds in the studio from a bank without labels to a class that is found with 90% precision.

    python benchmarks/studio_walk.py BANK weizmann/manifest.csv --recipe motion

Drives the studio's page in Chromium as somebody would who knows the class of each clip (the manifest has path and
label) and uses the keyboard alone: type the class's name, open "Suggest", answer each suggested clip by its key (1 or
x), ask for the next ones, until what the labels and, for clips without one, the head call the class is right: at least
90% of it, and at least 80% of the class's clips are among it. Prints a table with a row for each class.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np
from pages import table
from studio import studio

from pipeline import Bank
from pipeline.bank.labels import Labels
from pipeline.classification.class_learner import ClassLearner

_PRECISION, _RECALL = 0.9, 0.8
_MOST_ROUNDS = 20


def reached(bank: Path, recipe: str | None, name: str, truth: dict[str, str]) -> bool:
    """Whether the class is found, by labels and by the head for clips without one."""
    opened = Bank(bank)
    learner = ClassLearner(opened, opened.recipe(recipe), text_cosines=lambda _: None)
    learned = learner.learn(name, measured=False)
    if learned.probabilities is None or not learned.positives or not learned.negatives:
        return False
    is_class = np.array([truth[row.video] == name for row in learner.clips.rows()])
    taken = np.where(learned.labelled, is_class, learned.probabilities >= 0.5)
    right = int((taken & is_class).sum())
    return right >= _PRECISION * int(taken.sum()) and right >= _RECALL * int(is_class.sum())


def walk(bank: Path, recipe: str | None, name: str, truth: dict[str, str], browser) -> tuple[int, int, float]:
    """Keystrokes, labels and seconds."""
    with studio(bank, recipe=recipe) as (server, _):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(server.address)
        page.locator(".tile[data-clip]").first.wait_for()
        started, keys, labels = time.perf_counter(), 0, 0
        page.focus("#class-name")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        keys += len(name) + 1
        for _ in range(_MOST_ROUNDS):
            page.keyboard.press("n")
            keys += 1
            page.locator("#estimate", has_text="yes").wait_for()
            page.locator(".tile.focused[data-clip]").wait_for()
            count = len(page.evaluate("[...document.querySelectorAll('.tile')].map(tile => tile.id)"))
            for _ in range(count):
                shown = page.locator(".tile.focused")
                video, place = shown.get_attribute("title"), shown.get_attribute("id")
                page.keyboard.press("1" if truth[video] == name else "x")
                page.locator(f"#{place} .label:not(:empty)").wait_for()
                keys, labels = keys + 1, labels + 1
                if labels % 4 == 0 and reached(bank, recipe, name, truth):
                    page.close()
                    return keys, labels, time.perf_counter() - started
        raise SystemExit(f"{name} was not reached with {labels} labels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--recipe")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    rows = csv.DictReader(given.manifest.open())
    truth = {str((given.manifest.parent / row["path"]).resolve()): row["label"] for row in rows}
    found = []
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in sorted(set(truth.values())):
            with tempfile.TemporaryDirectory() as folder:
                bank = Path(shutil.copytree(given.bank, Path(folder) / "bank"))
                Labels(bank).remove(lambda _: False)
                found.append((name, *walk(bank, given.recipe, name, truth, browser)))
                print(*found[-1], flush=True)
        browser.close()
    cells = [[name, str(keys), str(labels), f"{seconds:.0f}"] for name, keys, labels, seconds in found]
    means = np.array([row[1:] for row in found], float).mean(axis=0)
    print(table(["class", "keystrokes", "labels", "seconds"], [*cells, ["mean", *(f"{mean:.0f}" for mean in means)]]))


if __name__ == "__main__":
    main()
