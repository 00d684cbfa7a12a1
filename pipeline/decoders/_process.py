"""Reading processes: expendable children that open and decode, so that no file can take the program down.

A child talks plain data over a pipe (execnet), never pickles: one that a hostile file has taken over can send wrong
pixels, but cannot make this side run anything. Starting it needs no ``if __name__ == "__main__"`` in the caller's
script, and a hung one is killed without asking. It ends with its parent, even if the parent is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import execnet
import numpy as np

from ..core.addresses import address_of
from ..core.errors import ClipdexError, DecoderCrash, DecodeTimeout, OutOfMemory
from ..core.input_files import local_copy
from ..core.limits import READ_SECONDS_PER_VIDEO_SECOND, Limits
from ..core.processes import start_in_lasting_thread
from ..core.types import Pixels, Span, VideoInfo
from ._base import DEFAULT_DECODER, DecodedFrame, Decoder
from ._remote_errors import translated
from ._shared import SharedFrames

_START_SECONDS = 120.0

# How long to wait for a killed child.
_END_SECONDS = 1.0

# Those of this process, for a fork to let go of.
_STARTED: weakref.WeakSet[ReadingProcess] = weakref.WeakSet()

_SERVE = """
import sys
sys.path[:] = channel.receive()
from pipeline.decoders._child import serve
serve(channel, channel.receive(), channel.receive(), channel.receive())
"""


class ReadingProcess:
    """A child process that reads one file at a time.

    Args:
        limits: what one file may cost.

    Attributes:
        pid: the child's process id.
        files: how many it has read.
        idle: whether it waits for the next file: it is alive, and owes no frame.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.files = 0
        self.idle = True
        self._waited_seconds = 0.0
        self._budget_seconds = _START_SECONDS
        self._timed_out = False
        self._path = self._local = Path()
        self._shared: SharedFrames | None = None
        self._group = execnet.Group()
        # execnet's own clean-up starts a thread, which Python 3.12 refuses at exit; ``close`` does without.
        atexit.unregister(self._group._cleanup_atexit)
        _STARTED.add(self)
        # -P: nothing that lies in the working directory, perhaps among strangers' files, is taken for a module.
        python = f"{shlex.quote(sys.executable)} -P"
        self._gateway = start_in_lasting_thread(lambda: self._group.makegateway(f"popen//python={python}"))
        self._channel = self._gateway.remote_exec(_SERVE)
        with contextlib.suppress(DecoderCrash):  # of one that does not start the next answer tells, in its own words
            self._send([entry for entry in sys.path if isinstance(entry, str)])
            self._send(os.getpid())
            self._shared = SharedFrames.create()
            self._send(limits.memory_bytes)
            self._send(-1 if self._shared is None else self._shared.descriptor)
        try:
            self.pid = int(self._receive("ready")[0])
        except (DecodeTimeout, DecoderCrash) as error:
            (*_, why) = str(error.__cause__ or error).strip().splitlines()  # the last line of a traceback
            raise ClipdexError(f"a process to read videos with does not start: {why}") from error

    @property
    def alive(self) -> bool:
        """Whether it runs and can answer."""
        return bool(self._gateway.hasreceiver())

    def open(
        self, path: Path, *, decoder: str = DEFAULT_DECODER, num_threads: int = 0, copy: Path | None = None
    ) -> Decoder:
        """``decoders.open_video``, over there.

        Args:
            copy: a copy of the file on this machine, for one in an object store; by default it is fetched.

        Raises:
            SourceError: a file in an object store that cannot be fetched.
            DecoderCrash: the child died; it cannot be used again.
            DecodeTimeout: it took longer than the limit, and was killed.
            NoVideoStream, DecoderRefusal, DecodeError, UnknownPart: see there.
        """
        with contextlib.ExitStack() as copies:
            local = copies.enter_context(local_copy(path)) if copy is None else copy
            self._begin(path, local)
            self._send(("open", os.fsencode(local.absolute()), decoder, num_threads))
            (facts,) = self._receive("info")
            times = np.frombuffer(facts["frame_times"], np.float64)
            info = VideoInfo(**{**facts, "frame_times": times})
            self.idle = True
            self._allow(self.limits.budget_seconds(info))
            return _Remote(path, info, self, copies.pop_all())

    def frames(self, numbers: Sequence[int]) -> Iterator[DecodedFrame]:
        """Those of the video opened last; see ``Decoder.frames``."""
        self.idle = False
        self._send(("frames", [int(number) for number in numbers]))
        while answer := self._receive("frame", "end"):
            yield self._frame(answer)
            self._acknowledge()
        self.idle = True

    def is_video(self, path: Path) -> bool:
        """``decoders.is_video``, over there; also for a file that breaks the reader."""
        try:
            with self._reading(path) as local:
                self._send(("is_video", os.fsencode(local.absolute())))
                return bool(self._receive("is_video")[0])
        except ClipdexError:
            return True

    def image(self, path: Path) -> Pixels:
        """``decoders.read_image``, over there."""
        with self._reading(path) as local:
            self._send(("image", os.fsencode(local.absolute())))
            return self._frame(self._receive("frame")).pixels

    def cut(self, path: Path, span: Span, target: Path) -> None:
        """``_cut.write_stretch``, over there; it may take as long as reading a video of that length.

        Raises:
            SourceError: ``target`` cannot be written.
            DecodeError: the video cannot be read.
        """
        with self._reading(path) as local:
            self._allow(self.limits.time_seconds + READ_SECONDS_PER_VIDEO_SECOND * span.seconds)
            where = os.fsencode(local.absolute()), os.fsencode(target.absolute())
            self._send(("cut", *where, span.start_seconds, span.stop_seconds))
            self._receive("cut")

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self.idle = False
        self._gateway.exit()
        pipe: Any = self._gateway._io
        child: subprocess.Popen[bytes] = pipe.popen
        child.kill()
        with contextlib.suppress(
            subprocess.TimeoutExpired
        ):  # the system holds it, for instance on a dead network drive
            child.wait(_END_SECONDS)
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def disown(self) -> None:
        """In a fork of this process: the child is the parent's, so nothing that is sent from here may reach it, not
        even the farewell that execnet sends when a channel is collected.
        """
        with contextlib.suppress(OSError, ValueError):  # the pipe is closed already
            pipe: Any = self._gateway._io
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, pipe.outfile.fileno())
            os.close(nowhere)

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[Path]:
        """For one request: gives the file, or a copy of it on this machine."""
        with local_copy(path) as local:
            self._begin(path, local)
            yield local
            self.idle = True

    def _begin(self, path: Path, local: Path) -> None:
        self.files += 1
        self.idle = False
        self._path, self._local = path, local
        self._waited_seconds = 0.0
        self._allow(self.limits.time_seconds)

    def _allow(self, seconds: float) -> None:
        self._budget_seconds = seconds

    def _send(self, message: Any) -> None:
        """Send a request, which a child that hangs does not take: then it is ended after the time limit."""
        watchdog = threading.Timer(max(0.1, self._budget_seconds - self._waited_seconds), self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._channel.send(message)
        except OSError as error:
            raise (self._too_long() if self._timed_out else self._crash()) from error
        finally:
            watchdog.cancel()

    def _give_up(self) -> None:
        self._timed_out = True
        self.close()

    def _acknowledge(self) -> None:
        """One frame was taken. So few are on their way that this never waits."""
        try:
            self._channel.send(None)
        except OSError as error:
            raise self._crash() from error

    def _receive(self, *expected: str) -> tuple[Any, ...]:
        """The next answer's arguments; only waiting counts against the time limit, not what the caller does."""
        started = time.monotonic()
        try:
            name, *arguments = self._channel.receive(timeout=max(0.0, self._budget_seconds - self._waited_seconds))
        except self._channel.TimeoutError as error:
            raise self._too_long() from error
        except (EOFError, execnet.RemoteError) as error:
            raise self._crash() from error
        self._waited_seconds += time.monotonic() - started
        if name == "error":
            self.idle = True  # it has given up on that file and waits for the next
            kind, message = arguments
            if self._local != self._path:
                message = message.replace(str(self._local.absolute()), address_of(self._path))
            fault = translated(kind, message, path=self._path, memory_bytes=self.limits.memory_bytes)
            if isinstance(fault, OutOfMemory):
                self.close()
            raise fault
        if name not in expected:
            self.close()
            raise DecoderCrash(f"{self._path}: the reading process answered {name!r} where {expected} was due")
        return tuple(arguments)

    def _frame(self, answer: tuple[Any, ...]) -> DecodedFrame:
        number, time_seconds, height, width, content = answer
        if isinstance(content, bytes):
            pixels: Pixels = np.frombuffer(content, np.uint8).reshape(height, width, 3).copy()
        elif self._shared is None:
            raise self._crash()  # it was closed by another thread
        else:
            pixels = self._shared.take(height, width, content)
        return DecodedFrame(number, time_seconds, pixels)

    def _too_long(self) -> DecodeTimeout:
        self.close()
        return DecodeTimeout(
            f"{self._path}: reading took more than {self._budget_seconds:.0f} s and was stopped; "
            "Limits(time_seconds=...) sets another limit"
        )

    def _crash(self) -> DecoderCrash:
        self.close()
        return DecoderCrash(
            f"{self._path}: the process that read it died (a crash in the decoder's native code, or the system "
            "had no memory left)"
        )


class _Remote(Decoder):
    """A video that is open in a reading process."""

    library: ClassVar[str] = "execnet"

    def __init__(self, path: Path, info: VideoInfo, process: ReadingProcess, copies: contextlib.ExitStack) -> None:
        super().__init__(path, info)
        self._process = process
        self._copies = copies

    def close(self) -> None:
        """See ``Decoder.close``."""
        self._copies.close()

    def frames(self, numbers: Sequence[int]) -> Iterator[DecodedFrame]:
        """See ``Decoder.frames``."""
        return self._process.frames(numbers)


def _disown_all() -> None:
    for process in tuple(_STARTED):
        process.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
