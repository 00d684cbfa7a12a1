"""A bank kept up to date with folders that grow: what is new is extracted once it is complete."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from ..bank.bank import BankLike
from ..core.arguments import as_list, options_of
from ..core.errors import EmptyFolder, SourceError
from ..core.input_files import input_facts
from ..core.limits import Limits
from ..core.types import Source
from ..decoders import looks_readable
from ..encoders import Encoder
from ..sources.catalog import find_sources, unusable
from .choose_encoder import choose_encoder
from .encode_loop import Progress
from .extract import extract, job_encoder, loaded_encoder
from .extract_options import ExtractKeywords, ExtractOptions
from .run import Extraction
from .runners import as_runner

# Size and date of last change: both stay when nobody writes any more.
_Look = tuple[int, int]


class Arrivals:
    """Tells which files are new or changed, and complete: unchanged between two looks.

    Args:
        sources, labels_from_folders, labels_from_names, limits: as for ``extract``.
    """

    def __init__(
        self,
        sources: str | Path | Sequence[str | Path],
        *,
        labels_from_folders: bool,
        labels_from_names: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._sources: list[str | Path] = as_list(sources)
        self._find = functools.partial(
            find_sources,
            is_video=functools.partial(looks_readable, limits=limits),
            labels_from_folders=labels_from_folders,
            labels_from_names=labels_from_names,
        )
        self._last: dict[Path, _Look] = {}
        self._given: dict[Path, _Look] = {}
        self._problems: dict[Path, str] = {}  # inputs that could not be read at the last look, with the reason

    def look(self) -> list[Source]:
        """Complete files that were not given out as they are now, and what cannot be read, once for each reason.

        Raises:
            SourceError: no source exists.
        """
        ready: list[Source] = []
        now: dict[Path, _Look] = {}
        problems: dict[Path, str] = {}
        for source in self._found():
            if source.problem is not None:
                if self._problems.get(source.path) != source.problem:
                    ready.append(source)
                problems[source.path] = source.problem
                continue
            try:
                facts = input_facts(source.path)
            except OSError:
                continue  # it went between listing and looking
            look = (facts.size_bytes, facts.mtime_ns)
            now[source.path] = look
            if self._last.get(source.path) == look and self._given.get(source.path) != look and facts.size_bytes:
                ready.append(source)
        self._last, self._problems = now, problems
        self._given |= {source.path: now[source.path] for source in ready if source.path in now}
        return ready

    def _found(self) -> list[Source]:
        found: list[Source] = []
        problems: list[SourceError] = []
        for source in self._sources:
            try:
                found += self._find(source)
            except EmptyFolder:
                continue  # that is what there is to wait for
            except SourceError as error:
                problems.append(error)
                found.append(unusable(source, error))
        if problems and len(problems) == len(self._sources):
            raise problems[0]
        return found


def watch(
    sources: str | Path | Sequence[str | Path],
    *,
    poll_seconds: float = 5.0,
    bank: BankLike = "bank",
    sleep: Callable[[float], object] = time.sleep,
    on_progress: Callable[[Progress], None] | None = None,
    options: ExtractOptions | None = None,
    **keywords: Unpack[ExtractKeywords],
) -> Iterator[Extraction]:
    """Look at ``sources`` again and again, extract what has arrived, and yield what was done; ends when the caller
    stops asking.

    Args:
        poll_seconds: between two looks; a file counts as complete when it did not change from one to the next.
        sleep: how to wait.
        bank, on_progress, options, keywords: as for ``extract``. A runner that runs elsewhere loads the encoder again
            for each arrival.

    Raises:
        SourceError: none of the sources exists.
        EncoderError, BankError, UsageError: see ``extract``.

    Example:
        >>> first = next(watch("videos/", encoder="lite", window_seconds=1.0))
        >>> first.count("unchanged")
        6
    """
    chosen = options_of(ExtractOptions, options, keywords)
    arrivals = Arrivals(
        sources,
        labels_from_folders=chosen.labels_from_folders,
        labels_from_names=chosen.labels_from_names,
        limits=chosen.limits,
    )
    starts = True
    while True:
        if ready := arrivals.look():
            if starts:
                chosen, starts = _loaded(choose_encoder(chosen, bank=bank)), False
            yield extract(ready, bank=bank, on_progress=on_progress, options=chosen)
        sleep(poll_seconds)


def _loaded(options: ExtractOptions) -> ExtractOptions:
    """The same with the encoder loaded, if it is to be loaded in this process."""
    if isinstance(options.encoder, Encoder) or not as_runner(options.runner).shares_encoder:
        return options
    return options.with_encoder(loaded_encoder(job_encoder(options), device=options.device))
