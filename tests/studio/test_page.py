"""The page in a real browser, from an empty head to an export, by the keyboard."""

from __future__ import annotations

import csv
import re
import signal
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="the extra studio is not installed")

from playwright.sync_api import Browser, Page, expect
from studio_pages import ACTIONS, CHROMIUM, PERFORMERS, add_class, choose, count_of

from pipeline.bank.labels import Labels

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture
def bank(drawn_bank: Path) -> Path:
    return drawn_bank


def test_search_label_train_suggest_correct_undo_export(
    bank: Path, serve: Callable, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    address, process = serve(bank)
    page = open_page(address)
    assert "token" not in page.url
    page.keyboard.press("/")
    page.keyboard.type("a person 1")  # a digit in a text labels nothing
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("10 clips")
    assert "text=a+person+1" in page.url
    assert Labels(bank).rows() == []

    for key, action in enumerate(ACTIONS, start=1):
        add_class(page, action)
        for number, performer in enumerate(PERFORMERS[:4], start=1):
            choose(page, f"{action}_{performer.name}")
            page.keyboard.press(str(key))
            expect(count_of(page, action)).to_have_text(str(number))
    expect(page.locator("#head-state")).to_contain_text("Head “studio”", timeout=20_000)  # by itself

    page.click("nav a[data-view=suggest]")
    page.select_option("#suggest-class", "wave")
    expect(page.locator("#estimate")).to_contain_text("4 yes, 4 no")
    expect(page.locator("#estimate")).to_contain_text("average precision")
    expect(page.locator(".tile")).to_have_count(2)
    choose(page, "jump_eva")
    page.keyboard.press("x")
    expect(page.locator("#status")).to_contain_text(": not wave")
    expect(count_of(page, "wave")).to_have_text("4 / −1")
    choose(page, "wave_eva")
    page.keyboard.press("2")  # a slip
    expect(page.locator("#status")).to_contain_text("wave_eva.mp4 0.0 s – 2.0 s: jump")
    page.keyboard.press("u")
    expect(page.locator("#status")).to_have_text("Undone: 1 stretch: jump")
    choose(page, "wave_eva")
    page.keyboard.press("1")
    expect(page.locator("#status")).to_contain_text(": wave")

    with page.expect_download() as download:
        page.click("#exports a[href='/api/exports/labels.csv']")
    download.value.save_as(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open() as file:
        rows = [(Path(row["path"]).stem, row["label"]) for row in csv.DictReader(file)]
    assert len(rows) == 10
    assert ("jump_eva", "not:wave") in rows
    assert all(label == name.split("_")[0] for name, label in rows if name != "jump_eva")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_the_clip_its_edges_similar_clips_and_the_way_back(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    add_class(page, "wave")
    choose(page, "wave_ada")
    page.keyboard.press("Enter")
    video = page.locator("#video")
    expect(video).to_be_visible()
    expect(page.locator("#timeline .edge")).to_have_count(2)
    assert page.evaluate("document.querySelector('#video').error") is None
    page.keyboard.press("[")  # the end comes a tenth of a second earlier
    page.keyboard.press("1")
    expect(page.locator("#status")).to_contain_text("wave_ada.mp4 0.0 s – 1.9 s: wave")
    (row,) = Labels(bank).rows()
    assert row.span is not None
    assert (row.start_seconds, row.stop_seconds) == (0.0, pytest.approx(1.9, abs=0.05))
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()
    choose(page, "wave_ada")
    page.keyboard.press("s")
    expect(page.locator("#summary")).to_have_text("9 clips")
    assert "like=" in page.url
    page.reload()
    expect(page.locator("#summary")).to_have_text("9 clips")
    page.go_back()
    expect(page.locator("#summary")).to_have_text("10 clips")
    page.keyboard.press("a")
    expect(page.locator("#summary")).to_contain_text("selected")


def test_review_and_map_open_their_clips(bank: Path, serve: Callable, open_page: Callable[..., Page]) -> None:
    page = open_page(serve(bank)[0])
    for key, action in enumerate(ACTIONS, start=1):
        add_class(page, action)
        for performer in PERFORMERS:
            choose(page, f"{action}_{performer.name}")
            page.keyboard.press(str(key))
        expect(count_of(page, action)).to_have_text("5")
    expect(page.locator("#head-state")).to_contain_text("Head “studio”", timeout=20_000)
    page.click("nav a[data-view=review]")
    expect(page.locator("#card")).to_contain_text("linear head")
    page.click("#review button[type=submit]")
    page.locator(".matrix td.right button").first.click(timeout=20_000)
    page.wait_for_url("**selection=**")
    expect(page.locator("#summary")).to_contain_text("clips")
    page.click("nav a[data-view=map]")
    expect(page.locator("#status")).to_contain_text("10 clips, placed by")
    box = page.locator("#map").bounding_box()
    assert box is not None
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2), (2, 2)]
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    page.mouse.up()
    expect(page.locator("#summary")).to_have_text("10 clips")


def test_two_browsers_and_a_kill_lose_no_label(bank: Path, serve: Callable, open_page: Callable[..., Page]) -> None:
    address, process = serve(bank)
    one, other = open_page(address), open_page(address)
    for page, action in ((one, "wave"), (other, "jump")):
        add_class(page, action)
    for performer in PERFORMERS:
        for page, action in ((one, "wave"), (other, "jump")):
            choose(page, f"{action}_{performer.name}")
            page.keyboard.press("1")
    for page, action in ((one, "wave"), (other, "jump")):
        expect(count_of(page, action)).to_have_text("5")
    process.kill()
    process.wait(10)
    rows = Labels(bank).rows()
    assert sorted(row.label for row in rows) == ["jump"] * 5 + ["wave"] * 5
    assert all(Path(row.video).stem.startswith(row.label) for row in rows)


def test_labels_of_many_threads_survive_a_kill_at_any_moment(bank: Path, serve: Callable) -> None:
    """Whatever was answered is in the bank."""
    address, process = serve(bank)
    base, token = re.fullmatch(r"(http://[^/]+)/\?token=(\S+)", address).groups()  # type: ignore[union-attr]
    answered: list[str] = []

    def ask(path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(base + path, body, headers), timeout=10) as answer:
            return bytes(answer.read())

    ids = re.findall(r'"clip_id":"([^"]+)"', ask("/api/clips").decode())

    def label(thread: int) -> None:
        for number in range(1000):
            name = f"class {thread} {number}"
            clip = ids[(thread * 5 + number % 5) % len(ids)]
            try:
                ask("/api/labels", f'{{"class_name": "{name}", "clips": ["{clip}"]}}'.encode())
            except OSError:
                return
            answered.append(name)

    threads = [threading.Thread(target=label, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    while len(answered) < 40:
        threads[0].join(0.05)
    process.kill()
    for thread in threads:
        thread.join()
    stored = {row.label for row in Labels(bank).rows()}
    # Each label took the place of its clip's former one: the latest five of each thread are there.
    for thread in range(2):
        own = [name for name in answered if name.startswith(f"class {thread} ")]
        assert set(own[-4:]) <= stored


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_barrier_that_axe_finds(
    bank: Path, serve: Callable, open_page: Callable[..., Page], scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = open_page(serve(bank)[0], color_scheme=scheme, bypass_csp=True)
    add_class(page, "wave")
    choose(page, "wave_ada")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#player")).to_be_visible()
    for view in ("search", "suggest", "review", "map", "bank"):
        page.click(f"nav a[data-view={view}]")
        page.wait_for_load_state("networkidle")
        found = axe.run(page)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found.response["violations"]] == []


def test_an_empty_bank_begins_with_its_videos(actions: Path, tmp_path: Path, serve: Callable, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(serve(tmp_path / "new")[0])
    expect(page.locator("#bank-facts")).to_contain_text("is empty: extract a folder of videos")
    page.fill("#source", str(actions.parent / "none"))
    page.click("#extract button[type=submit]")
    expect(page.locator("#jobs")).to_contain_text("failed")
    page.fill("#source", str(actions.parent / "videos"))
    page.click("#extract button[type=submit]")
    expect(page.locator("#jobs")).to_contain_text("10 ok", timeout=120_000)
    page.click("nav a[data-view=search]")
    expect(page.locator("#summary")).to_have_text("10 clips")
    page.fill("#where", "colour=red")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("no clip has a column 'colour'")
    page.close()
    assert errors == []
