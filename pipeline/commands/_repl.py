"""``search --interactive``: one query after the other, with everything loaded once."""

from __future__ import annotations

import cmd
import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from ..bank.parquet import PartGone
from ..core.arguments import as_list
from ..core.errors import ClipdexError, UsageError
from ..core.results import Hit
from ..report.page import heading
from ..retrieval.query import Part
from ..retrieval.search_options import SearchOptions
from ..retrieval.searcher import Searcher
from ._show_hits import Showing
from ._terminal import Terminal

_MOST_DIGITS = 9


class Conversation(cmd.Cmd):
    """A line is a text to search for; one that begins with a colon is a command.

    Args:
        how: options of each query, without its parts.
    """

    intro = "Type a description, :help for commands, :quit to leave."
    prompt = "search> "

    def __init__(self, terminal: Terminal, searcher: Searcher, showing: Showing, how: SearchOptions) -> None:
        super().__init__(stdout=sys.stderr)  # stdout is for results
        self.use_rawinput = sys.stdin.isatty() and sys.stdout.isatty()
        self._terminal = terminal
        self._searcher = searcher
        self._showing = showing
        self._how = how
        self._parts: list[Part] = []
        self._hits: list[Hit] = []

    def begin(self, parts: Sequence[Part] = ()) -> None:
        """Answer the first question, if there is one, and then what is typed."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # bytes that are no text are no reason to end
        if parts:
            self._ask(parts)
        self.cmdloop()

    def parseline(self, line: str) -> tuple[str | None, str | None, str]:
        """Only what begins with a colon is a command."""
        line = line.strip()
        if line == "EOF":
            return "quit", "", line
        if not line.startswith(":"):
            return None, None, line
        name, words, _ = super().parseline(line[1:])
        return name, words, line

    def onecmd(self, line: str) -> bool:
        """Print an error and go on with the next line."""
        try:
            if "\0" in line:
                raise UsageError("a text or a file name cannot contain a zero byte")
            return bool(super().onecmd(line))
        except ClipdexError as error:
            self._terminal.say(f"Error: {error}")
            return False

    def emptyline(self) -> bool:
        """Do nothing."""
        return False

    def default(self, line: str) -> None:
        """A new question."""
        if line.startswith(":"):
            raise UsageError(f"there is no command {line}; :help lists them")
        self._ask([Part.parse("text", line)])

    def do_clip(self, words: str) -> None:
        """:clip FILE@START-STOP: find similar moments."""
        self._ask([Part.parse("clip", _required(words, "a moment FILE@START-STOP"))])

    def do_and(self, words: str) -> None:
        """:and TEXT[:WEIGHT]: add a text to the query."""
        self._ask([*self._parts, Part.parse("text", _required(words, "a text"))])

    def do_not(self, words: str) -> None:
        """:not TEXT or MOMENT: find moments unlike it."""
        self._ask([*self._parts, Part.unwanted(_required(words, "a text or a moment"))])

    def do_more(self, words: str) -> None:
        """:more 2 5: find more like these hits."""
        self._ask([*self._parts, *Part.feedback(self._named(words), [])])

    def do_less(self, words: str) -> None:
        """:less 1: find fewer like these hits."""
        self._ask([*self._parts, *Part.feedback([], self._named(words))])

    def do_where(self, words: str) -> None:
        """:where camera=3: only matching clips; without a condition all clips."""
        self._ask(self._parts, dataclasses.replace(self._how, where=[words] if words else []))

    def do_k(self, words: str) -> None:
        """:k 20: set the number of hits."""
        number = _number(words)
        if number < 1:
            raise UsageError("the number of hits must be at least 1")
        self._ask(self._parts, dataclasses.replace(self._how, k=number))

    def do_play(self, words: str) -> None:
        """:play 2: open a hit in a player."""
        self._again(Showing(cache=self._showing.cache, play=_number(words or "1")))

    def do_html(self, words: str) -> None:
        """:html FILE: write the hits as a page with pictures."""
        self._again(Showing(cache=self._showing.cache, html=Path(_required(words, "a file"))))

    def do_export(self, words: str) -> None:
        """:export DIR: write each hit to a video file."""
        self._again(Showing(cache=self._showing.cache, export=Path(_required(words, "a folder"))))

    def do_quit(self, _: str) -> bool:
        """:quit: leave."""
        return True

    do_q = do_quit

    def _ask(self, parts: Sequence[Part], options: SearchOptions | None = None) -> None:
        """Ask, and keep question and settings only where they make sense."""
        how = options or self._how
        try:
            found = self._searcher.search(parts, options=how) if parts else []
        except PartGone:  # the bank was compacted meanwhile
            self._searcher.reopen()
            found = self._searcher.search(parts, options=how)
        if not parts and how.where:
            self._terminal.say(f"{len(self._searcher.matching(how.where))} clips match")
        self._hits = found
        self._parts, self._how = list(parts), how
        if parts:
            self._showing.show(self._terminal, self._hits, parts, as_list(how.where))
            self._terminal.warn(self._searcher.notes(parts))

    def _again(self, showing: Showing) -> None:
        title = heading(self._parts, as_list(self._how.where))
        showing.give(self._terminal, self._hits, title)

    def _named(self, words: str) -> list[str]:
        numbers = [_number(word) for word in words.split()]
        if not numbers or not all(1 <= number <= len(self._hits) for number in numbers):
            raise UsageError(f"name hits by their rank, 1 to {len(self._hits)}")
        return [self._hits[number - 1].clip_id for number in numbers]


def _required(words: str, what: str) -> str:
    if not words.strip():
        raise UsageError(f"this command needs {what}; :help lists the commands")
    return words


def _number(word: str) -> int:
    if not word.isdecimal() or len(word) > _MOST_DIGITS:
        raise UsageError(f"expected a number of at most {_MOST_DIGITS} digits, not {word[:20]!r}")
    return int(word)
