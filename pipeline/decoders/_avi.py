"""Holes in AVI files.

An AVI numbers its frames by counting chunks, and ffmpeg goes on counting after bytes that it could not read: every
frame behind a hole then comes too early. The index at the file's end knows better; where it is missing, a stretch of
bytes that belongs to no chunk tells.
"""

from __future__ import annotations

import numpy as np
from av.video.stream import VideoStream

# Chunks follow each other with headers, padding and lists of chunks between them.
_FAIR_GAP_BYTES = 64
_FAIR_GAP_TIMES = 2.0

_HEADER_BYTES = 8  # of a chunk: the index points at it, a packet at what follows


class Chunks:
    """The chunks of an AVI file as its packets show them; ``see`` is called for each in turn.

    Args:
        stream: of a file of which no packet was read yet: then ffmpeg begins to make an index of its own.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._known = {entry.pos + _HEADER_BYTES: entry.timestamp for entry in stream.index_entries}
        self._video: list[tuple[int, int, int]] = []  # place in the file, bytes since the packet before, number
        self._end: int | None = None

    def see(self, place: int | None, size: int, *, number: int | None, of_video: bool) -> None:
        """A packet at this place in the file, which ffmpeg counted as this one."""
        place = -1 if place is None else place
        if of_video and number is not None:
            self._video.append((place, 0 if self._end is None else place - self._end, number))
        self._end = place + size

    def first_untimed(self, stream: VideoStream) -> int | None:
        """The number of the first packet of the video whose number is wrong; None where all are right."""
        gaps = np.array([gap for _, gap, _ in self._video])
        fair = _FAIR_GAP_TIMES * float(np.percentile(gaps, 95)) + _FAIR_GAP_BYTES if gaps.size else 0.0
        missing = bool(self._video) and stream.frames > self._video[-1][2] + 1
        for place, gap, number in self._video:
            expected = self._known.get(place, None if missing and gap > fair else number)
            if expected != number:
                return number
        return None
