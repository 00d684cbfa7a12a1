"""Where the hits of a query go: the terminal, a file, a page, video files, a player."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from ..bank.last_hits import remember_hits
from ..core.errors import ClipdexError, DecodeError, UsageError
from ..core.files import path_of, printable, refuse_special, sweep
from ..core.limits import Limits
from ..core.results import Hit
from ..core.types import Span
from ..report.formats import Format, write_hits
from ..report.page import heading, write_page
from ..report.player import play
from ..retrieval.query import Part
from ._terminal import Terminal

COLUMNS = ("rank", "score", "start_seconds", "stop_seconds", "video")
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


@dataclasses.dataclass(frozen=True)
class Showing:
    """How hits are shown and where they are written.

    Attributes:
        how: format of another tool, printed instead of the table, or written to ``out``.
        raw_cells: see ``write_hits``.
        html: a page with pictures.
        export: a folder for each hit as a video file.
        play: number of the hit to open in a player.
        cache: folder for pictures that were made.
        limits: what reading one video may cost when hits are exported.
        include_query: see ``SearchOptions``.

    Raises:
        UsageError: a place without a format.
    """

    how: Format | None = None
    out: Path | None = None
    html: Path | None = None
    export: Path | None = None
    play: int | None = None
    cache: Path | None = None
    raw_cells: bool = False
    limits: Limits | None = None
    include_query: bool = False

    def __post_init__(self) -> None:
        if self.out is not None and self.how is None:
            raise UsageError(f"--out needs --format: {', '.join(get_args(Format))}")
        if self.how == "fiftyone" and self.out is None:
            raise UsageError("--format fiftyone writes a folder: name it with --out DIR")
        if self.raw_cells and self.how != "csv":
            raise UsageError("--raw-cells works only with --format csv")

    def show(self, terminal: Terminal, hits: Sequence[Hit], parts: Sequence[Part], where: Sequence[str] = ()) -> None:
        """Print the hits of a query, then ``give`` them.

        Raises:
            ClipdexError: something cannot be written, or is gone; what came before it is done.
        """
        if self.how is None:
            terminal.rows([hit.to_row() for hit in hits], columns=COLUMNS)
        else:
            label = next((str(part.value) for part in parts if part.kind == "text"), "hit")
            text = write_hits(hits, self.how, label=label, out=self.out, raw_cells=self.raw_cells)
            sys.stdout.write(printable(text or "", keep="\n\r\t") if sys.stdout.isatty() else text or "")
        self._remember(hits)
        if not hits:
            own = not self.include_query and any(part.kind in ("clip", "hit") and part.weight > 0 for part in parts)
            why = " Clips of the query's own stretch are left out; --include-query finds them too." if own else ""
            terminal.say(f"No clip matches.{why}")
        if self.out is not None:
            terminal.say(f"Wrote {self.out}")
        self.give(terminal, hits, heading(parts, where))

    def _remember(self, hits: Sequence[Hit]) -> None:
        """So that ``label add hit:3`` can name them, and never those of a search before this one; a bank that cannot be
        written is searched all the same.
        """
        if self.cache is not None:
            with contextlib.suppress(OSError, ClipdexError):
                remember_hits(self.cache.parent, [hit.to_row() for hit in hits])

    def give(self, terminal: Terminal, hits: Sequence[Hit], title: str) -> None:
        """Write the page and the video files, and open the player, as far as they are wanted.

        Raises:
            ClipdexError: something cannot be written, or is gone; what came before it is done.
        """
        if self.html is not None:
            with terminal.working("Making previews"):
                write_page(self.html, title, hits, cache=self.cache)
            terminal.say(f"Pictures: {self.html}")
        if self.export is not None:
            with terminal.working("Cutting"):
                files, problems = cut_out(hits, self.export, limits=self.limits)
            terminal.say(*(f"Wrote {file}" for file in files))
            if problems:
                raise type(problems[0])("; ".join(map(str, problems)))
        if self.play is not None and hits:
            if not 1 <= self.play <= len(hits):
                raise UsageError(f"there is no hit {self.play}; choose one from 1 to {len(hits)}")
            hit = hits[self.play - 1]
            player = play(path_of(hit.video), hit.start_seconds, hit.stop_seconds)
            terminal.say(f"Hit {hit.rank} opens in {player}")


def cut_out(
    hits: Sequence[Hit], folder: Path, *, limits: Limits | None = None
) -> tuple[list[Path], list[ClipdexError]]:
    """Each hit as an MP4 file of its own, named by rank, video and time.

    Args:
        limits: what reading one video may cost.

    Returns:
        The files, and why others could not be made: a video cannot be read.

    Raises:
        SourceError: a file cannot be written.
    """
    from ..decoders import cut

    refuse_special(folder)
    if folder.is_dir():
        sweep(folder, deep=False)
    files: list[Path] = []
    problems: list[ClipdexError] = []
    for hit in hits:
        stem = _NOT_IN_NAMES.sub("_", Path(hit.video).stem)[:100]
        name = f"{hit.rank:03d}_{stem}_{hit.start_seconds:.2f}-{hit.stop_seconds:.2f}.mp4"
        try:
            cut(path_of(hit.video), Span(hit.start_seconds, hit.stop_seconds), folder / name, limits=limits)
        except DecodeError as error:
            problems.append(error)
            continue
        files.append(folder / name)
    return files, problems
