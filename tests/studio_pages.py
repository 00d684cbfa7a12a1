"""The studio's page in a real browser: what its tests share."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline import extract
from pipeline.report.drawn_actions import Performer, write_action

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

_CLI = Path(__file__).parent.parent / "cli.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ACTIONS = ("wave", "jump")
PERFORMERS = [
    Performer("ada", 150, 1.0, (200, 40, 40), (240, 200, 170)),
    Performer("ben", 180, 1.3, (40, 90, 200), (150, 100, 70), looks_left=True),
    Performer("cleo", 130, 0.8, (30, 150, 60), (220, 170, 140)),
    Performer("dan", 165, 1.1, (220, 160, 30), (100, 70, 50), looks_left=True),
    Performer("eva", 140, 0.9, (120, 50, 160), (235, 190, 160)),
]


@pytest.fixture(scope="module")
def actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of drawn actions, with nothing labelled."""
    folder = tmp_path_factory.mktemp("actions")
    for action in ACTIONS:
        for number, performer in enumerate(PERFORMERS):
            background = np.full((240, 320, 3), 200 - 20 * number, np.uint8)
            (folder / "videos").mkdir(exist_ok=True)
            path = folder / "videos" / f"{action}_{performer.name}.mp4"
            write_action(path, action, performer, background=background, start=0.0)
    extract([folder / "videos"], bank=folder / "bank", encoder="motion", clips="whole")
    return folder / "bank"


@pytest.fixture
def drawn_bank(actions: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(actions, tmp_path / "bank"))


@pytest.fixture
def serve(start: Callable[..., subprocess.Popen[str]]) -> Callable[[Path], tuple[str, subprocess.Popen[str]]]:
    """Starts the studio as a user does; gives its address."""

    def served(bank: Path) -> tuple[str, subprocess.Popen[str]]:
        process = start([sys.executable, str(_CLI), "studio", "--bank", str(bank), "--no-open"])
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                return found[0], process
        raise AssertionError("the studio printed no address")

    return served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # a busy machine is no failure
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens pages in contexts of their own; what their consoles say is a failure."""
    from playwright.sync_api import expect

    said: list[str] = []
    contexts = []

    def opened(address: str, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                said.append(f"{message.text} {message.location}") if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        expect(page.locator("#summary")).to_contain_text("clips")
        return page

    yield opened
    for context in contexts:
        context.close()
    wrong = [text for text in said if "net::ERR_CONNECTION" not in text]  # where a test kills the server
    assert not wrong, wrong


def add_class(page: Page, name: str) -> None:
    from playwright.sync_api import expect

    page.fill("#class-name", name)
    page.keyboard.press("Enter")
    expect(page.locator("#class-list")).to_contain_text(name)


def choose(page: Page, file: str) -> None:
    page.locator(".tile", has_text=file).click()


def count_of(page: Page, name: str) -> Locator:
    return page.locator("#class-list li", has_text=name).locator(".count")
