"""Results on stdout, for people as tables, for programs as JSON lines; everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..core.files import printable
from ..core.types import Status, VideoRow
from ._flags import as_options

if TYPE_CHECKING:
    from ..core.training import OnTraining, TrainingProgress
    from ..extraction.encode_loop import Progress
    from ..extraction.run import Extraction

Row = Mapping[str, Any]

# Wide enough for a table with paths where the output is no terminal and so has no width.
_WIDTH = 120


class Terminal:
    """Where a command prints.

    Args:
        as_json: JSON lines wanted.
        story: everything is for a person to read in order, wherever it is printed: tables, and sentences
            between them on stdout.
    """

    def __init__(self, *, as_json: bool, story: bool = False) -> None:
        self.json = as_json or not (story or sys.stdout.isatty())
        self._says_to = sys.stdout if story and not as_json else sys.stderr

    def rows(self, rows: Sequence[Row], *, columns: Sequence[str], header: bool = True) -> None:
        """Print each row as a JSON object, or the named columns as a table."""
        if self.json:
            for row in rows:
                sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if not rows:
            return
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold", show_header=header)
        for name in columns:
            numeric = isinstance(rows[0].get(name), int | float)
            table.add_column(printable(name.replace("_", " ")), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape(printable(_cell(_nearby(name, row.get(name))))) for name in columns))
        self._console(sys.stdout).print(table)

    def one(self, row: Row) -> None:
        """Print a single result: one JSON object, or a line for each field."""
        if self.json:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            sys.stdout.flush()  # whoever follows a long run reads along
            return
        self.rows(
            [{"": name.replace("_", " "), " ": _cell(value)} for name, value in row.items()],
            columns=["", " "],
            header=False,
        )

    def say(self, *lines: str) -> None:
        """Print sentences for a person; invisible characters except line ends are escaped (``printable``)."""
        text = printable("\n".join(lines), keep="\n")
        if text:
            self._console(self._says_to).print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, warnings: Iterable[str]) -> None:
        """What a report says to keep in mind, a line for each."""
        self.say(*(f"warning: {as_options(warning)}" for warning in warnings))

    @contextlib.contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a spinner while something runs whose end is unknown; gives the function to change its text."""
        console = self._console(sys.stderr)
        if not console.is_terminal:
            yield lambda _: None
            return
        with console.status(text) as status:
            yield status.update

    @contextlib.contextmanager
    def progress(self, waiting: str = "Loading the encoder") -> Iterator[Callable[[Progress], None]]:
        """A bar for an extraction; gives the function to call with its progress.

        Args:
            waiting: what a spinner says until then.
        """
        with self._bar("{task.completed}/{task.total} videos", "{task.fields[detail]} clips encoded", waiting) as show:
            yield lambda progress: show(progress.videos, progress.videos_total, progress.clips)

    @contextlib.contextmanager
    def training(self, waiting: str = "Loading") -> Iterator[OnTraining]:
        """A bar for trainings, one after the other; gives the function to call with their progress.

        Args:
            waiting: what a spinner says until then.
        """
        with self._bar("Training {task.fields[detail]}", "", waiting) as show:

            def update(progress: TrainingProgress) -> None:
                count = f"{progress.name}: {int(progress.done)} of {progress.total} trainings done"
                show(progress.done, progress.total, count, name=progress.name)

            yield update

    @contextlib.contextmanager
    def _bar(self, before: str, behind: str, waiting: str) -> Iterator[Callable[..., None]]:
        """A bar between two texts that may name its fields, with the time left; gives the function that moves it.

        Args:
            waiting: what a spinner says until it first moves.
        """
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = self._console(sys.stderr)
        columns = (
            TextColumn(before, markup=False),
            BarColumn(),
            TextColumn(behind),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        # Results that are printed meanwhile go where they belong, which may be a file.
        own = console.is_terminal and sys.stdout.isatty()
        bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=own)
        task = bar.add_task("", total=None, detail="")
        shown_name = ""
        with contextlib.ExitStack() as spinner, contextlib.ExitStack() as shown:
            spinner.enter_context(self.working(waiting))

            def show(completed: float, total: int, detail: object, *, name: str = "") -> None:
                nonlocal shown_name
                if name != shown_name:  # another piece of work, which begins now
                    bar.reset(task)
                    shown_name = name
                bar.update(task, completed=completed, total=total, detail=detail)
                if console.is_terminal and not bar.live.is_started:
                    spinner.close()  # one display at a time
                    shown.enter_context(bar)

            yield show

    @staticmethod
    def _console(stream: Any) -> Any:
        from rich.console import Console

        console = Console(file=stream, soft_wrap=False)
        return console if console.is_terminal else Console(file=stream, width=_WIDTH)


def _nearby(name: str, value: Any) -> Any:
    """Paths below the working directory are shown relative to it, so that the part that differs is visible."""
    here = Path.cwd()
    if name in ("video", "path") and isinstance(value, str) and Path(value).is_relative_to(here):
        return Path(value).relative_to(here)
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) >= 0.0005 or not value else f"{value:.1e}"
    if isinstance(value, Mapping | list | tuple) and not value:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_item(item) for item in value)
    return str(value)


def _item(item: Any) -> str:
    if isinstance(item, Mapping):
        return f"({_cell(item)})"
    if isinstance(item, list | tuple):  # a pair such as a class and its score
        return " ".join(_cell(part) for part in item)
    return _cell(item)


@contextlib.contextmanager
def followed(terminal: Terminal, *, waiting: str = "Loading the encoder") -> Iterator[Callable[[Progress], None]]:
    """Gives the function to call with an extraction's progress: it updates a bar and, as JSON, prints a line for each
    input as soon as its outcome is final, so that a run that is stopped has reported what it did.
    """
    with terminal.progress(waiting) as update:

        def report(progress: Progress) -> None:
            update(progress)
            if terminal.json and progress.row is not None:
                terminal.one(progress.row.to_row())

        yield report


def report_extraction(terminal: Terminal, done: Extraction, bank: Path, *, profile: bool = False) -> None:
    """Print an extraction's failures, warnings and summary.

    Args:
        profile: also report where the time went.
    """
    terminal.say(*troubles(done.rows))
    terminal.warn(done.warnings)
    terminal.say(extraction_summary(done, bank))
    if profile:
        spent = {name: f"{name} {seconds:.1f} s" for name, seconds in done.profile.items()}
        beside = " and ".join(spent.pop(name) for name in ("read", "preprocess"))
        terminal.say(f"time: {', '.join(spent.values())}, of {done.seconds:.1f} s; {beside} in parallel")


def troubles(rows: Sequence[VideoRow]) -> list[str]:
    """A sentence for each input that was not stored completely."""
    found = []
    for row in rows:
        if row.status in ("failed", "partial", "skipped"):
            reason = as_options(str(row.reason), path=row.video)
            found.append(printable(f"{row.status}: {reason if row.video in reason else f'{row.video}: {reason}'}"))
    return found


def extraction_summary(done: Extraction, bank: Path) -> str:
    """The last line of an extraction."""
    if not done.rows:
        return "Nothing to do."
    counts = ", ".join(f"{count} {status}" for status in get_args(Status) if (count := done.count(status)))
    videos = "1 video" if len(done.rows) == 1 else f"{len(done.rows)} videos"
    return (
        f"{videos}: {counts}. {done.encoded_clips} clips encoded in {done.seconds:.1f} s "
        f"with {done.recipe.encoder} (recipe {done.recipe.id}) into {bank}"
    )
