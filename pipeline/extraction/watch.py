"""A bank kept up to date with folders that grow: what is new is extracted once it is complete."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

from ..bank.bank import BankLike
from ..core.arguments import as_list, options_of
from ..core.errors import EmptyFolder
from ..core.limits import Limits
from ..core.types import Source
from ..decoders import looks_readable
from ..sources.catalog import find_sources
from .encode_loop import Progress
from .extract import extract, prepared_encoder
from .extract_options import ExtractKeywords, ExtractOptions
from .run import Extraction
from .runners import as_runner

# Size and date of last change: both stay when nobody writes any more.
_Look = tuple[int, int]


class Arrivals:
    """Tells which files are new or changed, and complete: unchanged between two looks.

    Args:
        sources, labels_from_folders, limits: as for ``extract``.
    """

    def __init__(
        self, sources: str | Path | Sequence[str | Path], *, labels_from_folders: bool, limits: Limits | None = None
    ) -> None:
        self._sources: list[str | Path] = as_list(sources)
        self._labels_from_folders = labels_from_folders
        self._is_video = functools.partial(looks_readable, limits=limits)
        self._last: dict[Path, _Look] = {}
        self._given: dict[Path, _Look] = {}
        self._problems: dict[Path, str] = {}  # inputs that could not be read at the last look, with the reason

    def look(self) -> list[Source]:
        """Complete files that were not given out as they are now, and what cannot be read, once for each reason."""
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
                facts = source.path.stat()
            except OSError:
                continue  # it went between listing and looking
            look = (facts.st_size, facts.st_mtime_ns)
            now[source.path] = look
            if self._last.get(source.path) == look and self._given.get(source.path) != look and facts.st_size:
                ready.append(source)
        self._last, self._problems = now, problems
        self._given |= {source.path: now[source.path] for source in ready if source.path in now}
        return ready

    def _found(self) -> list[Source]:
        found: list[Source] = []
        for source in self._sources:
            with contextlib.suppress(EmptyFolder):  # that is what there is to wait for
                found += find_sources([source], is_video=self._is_video, labels_from_folders=self._labels_from_folders)
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
        SourceError: a source that does not exist.
        EncoderError, BankError, UsageError: see ``extract``.

    Example:
        >>> first = next(watch("videos/", encoder="lite", window_seconds=1.0))
        >>> first.count("unchanged")
        6
    """
    chosen = options_of(ExtractOptions, options, keywords)
    arrivals = Arrivals(sources, labels_from_folders=chosen.labels_from_folders, limits=chosen.limits)
    loads_here = as_runner(chosen.runner).shares_encoder and isinstance(chosen.encoder, str)
    while True:
        if ready := arrivals.look():
            if loads_here:
                encoder = prepared_encoder(
                    chosen.encoder,
                    device=chosen.device,
                    num_frames=chosen.num_frames,
                    pooling=chosen.pooling,
                    precision=chosen.precision,
                )
                chosen, loads_here = chosen.with_encoder(encoder), False
            yield extract(ready, bank=bank, on_progress=on_progress, options=chosen)
        sleep(poll_seconds)
