"""Open a video at a time, in whatever player is there."""

from __future__ import annotations

import shutil
import subprocess
import webbrowser
from pathlib import Path

from ..core.errors import SourceError
from ..core.input_files import kept_copy, kind_of

# Players that know how to start somewhere, best first.
_PLAYERS = {
    "mpv": ("mpv", "--start={start}", "--", "{path}"),
    "vlc": ("vlc", "--start-time={start}", "--stop-time={stop}", "{path}"),
    "ffplay": ("ffplay", "-autoexit", "-ss", "{start}", "-i", "{path}"),
}


def play(path: Path, start_seconds: float, stop_seconds: float) -> str:
    """Open ``path`` at a time; gives the name of the player.

    Raises:
        SourceError: the file is gone, or nothing here can play it.
    """
    if kind_of(path) != "file":
        raise SourceError(f"{path} is not there any more")
    path = kept_copy(path)
    for name, words in _PLAYERS.items():
        program = shutil.which(name)
        if program is not None:
            times = {"start": f"{start_seconds:.3f}", "stop": f"{stop_seconds:.3f}", "path": str(path.resolve())}
            command = [program, *(word.format(**times) for word in words[1:])]
            # A list, without a shell: whatever the file is called, it is one argument.
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
            return name
    if webbrowser.open(f"{path.resolve().as_uri()}#t={start_seconds:.3f},{stop_seconds:.3f}"):
        return "the browser"
    raise SourceError(f"found no player for {path}: install one of {', '.join(_PLAYERS)}")
