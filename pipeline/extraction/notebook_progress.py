"""A progress bar for whoever extracts in a notebook, where there is no terminal to watch."""

from __future__ import annotations

import html
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

from .encode_loop import Progress

# Each update is a message to the browser, and batches may follow each other in milliseconds.
_SECONDS_BETWEEN = 0.25


def notebook_progress() -> Callable[[Progress], None] | None:
    """What ``on_progress`` takes, showing a bar below the running cell; None outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return None if getattr(shell, "kernel", None) is None else _Bar().show


class _Bar:
    """One bar, which each call moves on."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = -_SECONDS_BETWEEN
        self._failed = 0
        self._handle: Any = None

    def show(self, progress: Progress) -> None:
        """Draw the bar as far as the extraction is, unless that was done a moment ago."""
        seconds = time.monotonic() - self._started
        self._failed += progress.row is not None and progress.row.status == "failed"
        if progress.videos < progress.videos_total and seconds < self._shown + _SECONDS_BETWEEN:
            return
        self._shown = seconds
        ipython: Any = importlib.import_module("IPython.display")  # is there, as this runs in a notebook
        bar = ipython.HTML(_html(progress, self._failed, seconds))
        if self._handle is None:
            self._handle = ipython.display(bar, display_id=True)
        else:
            self._handle.update(bar)


def _html(progress: Progress, failed: int, seconds: float) -> str:
    words = f"{progress.videos} of {progress.videos_total} videos, {progress.clips} clips, {seconds:.0f} s"
    if failed:
        words += f", {failed} failed"
    return f'<progress value="{progress.videos}" max="{max(progress.videos_total, 1)}"></progress> {html.escape(words)}'
