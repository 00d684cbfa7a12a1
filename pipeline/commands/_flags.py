"""Messages for Python users name arguments; on the command line the same messages name options."""

from __future__ import annotations

import re

_CHOICE = re.compile(r"\b(calibrate|clips|decoder|device|encoder|format|keep|kind|precision)='([^']*)'")

_OPTIONS = {
    "Limits(time_seconds=...)": "--time-limit",
    "Limits(memory_bytes=...)": "--memory-limit",
    "allow_slow_precision=True": "--even-if-slower",
    "num_processes": "--processes",
    "num_frames": "--frames",
    "num_workers": "--workers",
    "batch_size": "--batch-size",
    "labels_from_folders": "--labels-from-folders",
}


def as_options(message: str) -> str:
    """The message with ``keep='frames'`` as ``--keep frames``, and so on."""
    message = _CHOICE.sub(r"--\1 \2", message)
    for argument, option in _OPTIONS.items():
        message = message.replace(argument, option)
    return message
