"""The page by the keyboard: quick keys, held keys, keys where they have nothing to act on, and late answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="the extra studio is not installed")

from playwright.sync_api import Page, Route, expect
from studio_pages import CHROMIUM, add_class, choose, count_of

from pipeline.bank.labels import Labels

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture
def bank(drawn_bank: Path) -> Path:
    return drawn_bank


def labelled(bank: Path) -> list[tuple[str, str]]:
    return sorted((Path(row.video).stem, row.label) for row in Labels(bank).rows())


def names(page: Page) -> list[str]:
    """The clips in their order."""
    found = page.locator(".tile").evaluate_all(
        "tiles => tiles.map(one => [Number(one.getAttribute('aria-posinset')), one.getAttribute('aria-label')])"
    )
    return [str(name).split(",")[0].removesuffix(".mp4") for _, name in sorted(found)]


def test_quick_keys_label_one_clip_after_the_other_and_a_held_key_acts_once(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    add_class(page, "wave")
    page.locator("#grid").focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("1")
    expect(count_of(page, "wave")).to_have_text("3")
    shown = names(page)
    assert labelled(bank) == sorted((name, "wave") for name in shown[:3])
    page.keyboard.down("u")
    for _ in range(5):
        page.keyboard.down("u")  # as a keyboard repeats it
    page.keyboard.up("u")
    expect(page.locator("#status")).to_contain_text("Undone: 1 stretch: wave")
    expect(count_of(page, "wave")).to_have_text("2")
    assert labelled(bank) == sorted((name, "wave") for name in shown[:2])


def test_keys_label_nothing_where_no_clip_is_in_sight(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    add_class(page, "wave")
    for view in ("review", "map", "bank"):
        page.click(f"nav a[data-view={view}]")
        for key in ("1", "x", "0", "a", "j"):
            page.keyboard.press(key)
        expect(page.locator("#status")).to_contain_text("in Search and Suggest")
    assert labelled(bank) == []


def test_what_is_not_shown_is_on_the_tile_after_a_reload_too(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    add_class(page, "wave")
    add_class(page, "without labels")
    page.locator("#class-list button", has_text="wave").click()
    choose(page, "jump_eva")
    page.keyboard.press("x")
    tile = page.locator(".tile", has_text="jump_eva")
    expect(tile.locator(".denied")).to_have_text("not wave")
    page.reload()
    expect(tile.locator(".denied")).to_have_text("not wave")
    expect(tile).to_have_attribute("aria-label", "jump_eva.mp4, 0.0 s – 2.0 s, not wave")
    expect(count_of(page, "wave")).to_have_text("0 / −1")
    expect(page.locator("#class-list")).to_contain_text("without labels")
    page.fill("#class-name", "not:wave")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("A class cannot be called not:wave")
    expect(page.locator("#class-list li")).to_have_count(2)


def test_a_selection_made_by_keys_counts_before_a_moved_edge(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    add_class(page, "wave")
    page.locator("#grid").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#timeline .edge")).to_have_count(2)
    page.keyboard.press("[")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#summary")).to_have_text("10 clips, 3 selected")
    page.keyboard.press("v")
    expect(page.locator("#summary")).to_have_text("10 clips, 2 selected")
    page.keyboard.press("1")
    expect(page.locator("#status")).to_have_text("2 clips: wave")
    assert labelled(bank) == sorted((name, "wave") for name in names(page)[:2])
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("s")
    expect(page.locator("#chips")).to_contain_text(".mp4 0.0 s – 2.0 s")


def test_an_answer_that_comes_late_shows_nothing(bank: Path, serve: Callable, open_page: Callable[..., Page]) -> None:
    page = open_page(serve(bank)[0])

    def slowly(route: Route) -> None:
        time.sleep(1.5)
        route.continue_()

    page.route("**/api/clips?*where=start_seconds%3E5*", slowly)
    add_class(page, "wave")
    page.fill("#where", "start_seconds>5")
    page.keyboard.press("Enter")
    page.keyboard.press("1")  # the former clips are gone, the new ones not there yet
    page.fill("#where", "start_seconds<5")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("10 clips")
    page.wait_for_timeout(2500)
    expect(page.locator("#summary")).to_have_text("10 clips")
    assert labelled(bank) == []


def test_labels_stay_on_suggested_clips_after_an_undo(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    add_class(page, "wave")
    page.click("nav a[data-view=suggest]")
    expect(page.locator("#summary")).to_contain_text("clips to label for “wave”")
    page.locator("#grid").focus()
    for _ in range(3):
        page.keyboard.press("1")
    expect(count_of(page, "wave")).to_have_text("3")
    expect(page.locator(".tile .label", has_text="wave")).to_have_count(3)
    page.keyboard.press("u")
    expect(page.locator(".tile .label", has_text="wave")).to_have_count(2)
    add_class(page, "jump")  # the clips are those of the class that is shown
    expect(page.locator("#summary")).to_contain_text("clips to label for “jump”")
    expect(page.locator("#suggest-class")).to_have_value("jump")


def test_the_way_back_closes_a_clip_and_the_map_is_used_by_keys(
    bank: Path, serve: Callable, open_page: Callable[..., Page]
) -> None:
    page = open_page(serve(bank)[0])
    page.click("nav a[data-view=map]")
    expect(page.locator("#status")).to_contain_text("10 clips, placed by")
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    expect(page.locator("#map-note")).not_to_be_empty()
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("1 clips")
    page.locator("#grid").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#player")).to_be_visible()
    page.go_back()
    expect(page.locator("#player")).to_be_hidden()
    expect(page.locator("#map")).to_be_visible()
    page.go_forward()
    expect(page.locator("#player")).to_be_visible()
