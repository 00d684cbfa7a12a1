"""Messages for Python users name arguments; on the command line the same messages name options."""

from __future__ import annotations

import re

# A name by itself: not a part of a path, of a quoted value, or of a longer name.
_ALONE = r"(?<![\w/\\.'\"-])", r"(?![\w/\\'\"-]|\.\w)"

_OPTIONS = {
    "allow_slow_precision=True": "--even-if-slower",
    "also=True": "--also",
    "num_processes": "--processes",
    "num_frames": "--frames",
    "num_workers": "--workers",
    "batch_size": "--batch-size",
    "labels_from_folders": "--labels-from-folders",
    "labels_from_names": "--labels-from-names",
    "include_query": "--include-query",
    "merge_gap_seconds": "--merge-gap",
    "min_score": "--min-score",
    "min_seconds": "--min-seconds",
    "never_abstain": "--never-abstain",
}
_NAMES = re.compile("|".join(_OPTIONS).join((_ALONE[0] + "(", ")" + _ALONE[1])))
_LIMITS = re.compile(r"Limits\((time|memory)_(?:seconds|bytes)=\.\.\.\)")
_CHOICE = re.compile(_ALONE[0] + r"(calibrate|clips|decoder|device|encoder|format|keep|kind|precision)='([\w-]+)'")


def as_options(message: str, *, path: str = "") -> str:
    """The message with ``keep='frames'`` as ``--keep frames``, and so on.

    Args:
        path: what the message is about; it stays as it is.
    """
    return path.join(map(_translated, message.split(path))) if path else _translated(message)


def _translated(message: str) -> str:
    message = _CHOICE.sub(r"--\1 \2", message)
    message = _LIMITS.sub(r"--\1-limit", message)
    return _NAMES.sub(lambda found: _OPTIONS[found[1]], message)
