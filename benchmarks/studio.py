"""The studio on a large bank: seconds to the first page, to further pages, and memory.

    python benchmarks/studio.py [--clips 100000] [--write]

Makes a bank of so many clips with drawn vectors under the lite recipe, starts ``clipdex studio`` on it, and measures:
the start until the first page of clips is answered (index built, index stored); further pages and a jump
to the end, without a query and for a text; a label; the server's memory before and after 1,000 pages. With Chromium
also the seconds until tiles are shown after a jump to the end, and the browser's heap after scrolling.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from pages import PERFORMANCE, put, table
from startup import make_bank

_PAGES = 1000


class Studio:
    """A running studio, asked as a program asks it."""

    def __init__(self, address: str, pid: int) -> None:
        self.address, self.pid = address, pid
        self._base, self._token = re.fullmatch(r"(http://[^/]+)/\?token=(\S+)", address).groups()

    def ask(self, path: str, body: object = None, **query: object) -> dict:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        address = f"{self._base}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, data, headers)  # noqa: S310 -- the studio's own address
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    def seconds(self, path: str, body: object = None, **query: object) -> float:
        started = time.perf_counter()
        self.ask(path, body, **query)
        return time.perf_counter() - started

    def megabytes(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@contextlib.contextmanager
def studio(bank: Path, *, recipe: str | None = None) -> Iterator[tuple[Studio, float]]:
    """A studio, and the time at which it was started."""
    started = time.perf_counter()
    command = [sys.executable, "-W", "ignore", str(ROOT / "cli.py"), "studio", "--bank", str(bank), "--no-open"]
    command += [] if recipe is None else ["--recipe", recipe]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
        yield Studio(address, process.pid), started
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def in_browser(address: str) -> list[tuple[str, str]]:
    """Rows of the table that a browser gives; none without one."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(address)
        page.locator(".tile[data-clip]").first.wait_for()
        started = time.perf_counter()
        page.keyboard.press("End")
        page.locator(".tile.focused[data-clip]").wait_for()
        jump = time.perf_counter() - started
        height = page.evaluate("document.querySelector('#grid .space').clientHeight")
        for step in range(200):
            page.evaluate("top => { document.querySelector('#grid').scrollTop = top }", height * step / 200)
            page.wait_for_timeout(80)
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        browser.close()
    return [
        ("browser: tiles after a jump to the end", f"{jump:.2f} s"),
        ("browser: heap after scrolling to 200 places", f"{heap:.0f} MB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows: list[tuple[str, str]] = []

    def told(what: str, *seconds: float) -> None:
        spread = f" ({min(seconds):.3f} to {max(seconds):.3f})" if len(seconds) > 1 else ""
        rows.append((what, f"{statistics.median(seconds):.3f} s{spread}"))

    with tempfile.TemporaryDirectory() as name:
        bank = Path(name) / "bank"
        make_bank(bank, given.clips)
        for state in ("index not built", "index stored"):
            with studio(bank) as (server, started):
                server.ask("/api/clips")
                told(f"start to first page, {state}", time.perf_counter() - started)
        with studio(bank) as (server, _):
            server.ask("/api/clips")
            last = given.clips - 60
            told("further pages", *(server.seconds("/api/clips", start=60 * page) for page in range(1, 21)))
            told("jump to the end", *(server.seconds("/api/clips", start=last - page) for page in range(20)))
            first = server.seconds("/api/clips", text="a dog")
            told("first text search (builds the index, loads the text tower)", first)
            told("text searches", *(server.seconds("/api/clips", text=f"a dog {n}") for n in range(5)))
            told(
                "jump to the end of a search",
                *(server.seconds("/api/clips", text="a dog", start=last) for _ in range(20)),
            )
            clips = [one["clip_id"] for one in server.ask("/api/clips")["clips"]]
            labels = [{"class_name": "walk", "clips": [clip]} for clip in clips[:20]]
            told("a label", *(server.seconds("/api/labels", label) for label in labels))
            told(
                "suggestions, after those labels",
                *(server.seconds("/api/suggestions", class_name="walk") for _ in range(3)),
            )
            before = server.megabytes()
            for page in range(_PAGES):
                server.ask("/api/clips", start=(page * 60) % last)
            rows.append((f"server's memory before {_PAGES:,} pages", f"{before:.0f} MB"))
            rows.append(("after them", f"{server.megabytes():.0f} MB"))
            rows += in_browser(server.address)
    text = table(["what", f"{given.clips:,} clips"], [list(row) for row in rows])
    print(text)
    if given.write:
        put(PERFORMANCE, "studio", text, script="studio")


if __name__ == "__main__":
    main()
