"""Results on stdout, for people as tables, for programs as JSON lines; everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..core.files import printable
from ..core.types import Status, VideoRow
from ._flags import as_options
from ._tables import Row, Table, fields, rows_of

if TYPE_CHECKING:
    from ..core.training import OnTraining, TrainingProgress
    from ..extraction.encode_loop import Progress
    from ..extraction.run import Extraction

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

    def rows(self, rows: Sequence[Row], *, columns: Sequence[str], lines: int = 2) -> None:
        """Print each row as a JSON object, or the named columns as a table.

        Args:
            lines: that the text of a row in the table may have.
        """
        if self.json:
            for row in rows:
                sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if rows:
            self._table(Table(rows, columns, width=self._console(sys.stdout).width, lines=lines))

    def one(self, row: Row) -> None:
        """Print a single result: one JSON object, or a line for each field and a table for each field of several."""
        if self.json:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            sys.stdout.flush()  # whoever follows a long run reads along
            return
        tables = {name: rows for name, value in row.items() if (rows := rows_of(name, value))}
        console = self._console(sys.stdout)
        for line in fields({name: value for name, value in row.items() if name not in tables}, width=console.width):
            self._line(console, line)
        for name, rows in tables.items():
            self._line(console, "")
            self._line(console, name.replace("_", " "), style="bold")
            if len(rows) > 1:
                self._table(Table(rows, list(rows[0]), width=console.width))
                continue
            for line in fields(rows[0], width=console.width):
                self._line(console, line)

    def _table(self, table: Table) -> None:
        console = self._console(sys.stdout)
        heads, body = table.lines()
        for line in heads:
            self._line(console, line, style="bold")
        for line in body:
            self._line(console, line)

    @staticmethod
    def _line(console: Any, line: str, *, style: str | None = None) -> None:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

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


def counted(number: int, noun: str) -> str:
    """``1 label``, ``2 labels``."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"
