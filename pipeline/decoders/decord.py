"""decord 0.6.0 (2021): fast random access on plain MP4 and AVI; refused where it is known to be wrong.

It returns wrong frames on MPEG-TS, ASF, damaged MKV, edit lists and open GOPs with B-pyramids, repeats frames in place
of damaged ones unless configured to fail, and knows neither AV1 nor files without a duration. It has no wheels
for ARM and macOS.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.errors import DecodeError, DecoderRefusal, MissingExtra
from ._base import DecodedFrame, Decoder
from ._scan import open_container, read_packets, video_stream

# Any repeated frame is an error: decord compares their count with this share of all frames.
_FAULT_TOLERANCE = 1e-9

# Containers in which it passes the catalogue of hard videos, damaged ones too.
_RIGHT_IN = ("mov,mp4", "avi")


class Decord(Decoder):
    """See the module."""

    library = "decord"

    @classmethod
    def missing(cls) -> str | None:
        """See ``Decoder.missing``: it has wheels for x86-64 only."""
        return super().missing() if platform.machine() in ("x86_64", "AMD64") else None

    def frames(self, numbers: Sequence[int]) -> Iterator[DecodedFrame]:
        """See ``Decoder.frames``. Damage anywhere fails the whole video: decord cannot tell where it is."""
        self._refuse_known_faults()
        reader, error_type = self._open()
        try:
            for number in numbers:
                pixels = reader[int(number)].asnumpy()
                yield DecodedFrame(int(number), float(self.info.frame_times[number]), pixels)
        except error_type as error:
            raise DecodeError(
                f"decord cannot decode {self.path} without repeating frames for damaged ones; "
                "decoder='pyav' reads what is whole"
            ) from error
        finally:
            del reader  # an open reader decodes ahead without a limit

    def _refuse_known_faults(self) -> None:
        with open_container(self.path) as container:
            packets = read_packets(container, video_stream(container, self.path))
        if not self.info.container.startswith(_RIGHT_IN):
            raise self._refusal(f"{self.info.container} is a container in which it returns wrong frames, or may")
        for fault, present in {
            "an edit list": packets.hidden > 0,
            "an open GOP": packets.open_gop,
            "a hole": packets.hole,
        }.items():
            if present:
                raise self._refusal(f"the file has {fault}, on which decord returns wrong frames")

    def _refusal(self, why: str) -> DecoderRefusal:
        return DecoderRefusal(f"decord refused for {self.path}: {why}; use decoder='pyav'")

    def _open(self) -> tuple[Any, type[Exception]]:
        try:
            import decord
        except ImportError as error:
            raise MissingExtra("decord", extra="decord", purpose="decoder='decord'") from error
        try:
            reader = decord.VideoReader(
                str(self.path.absolute()), num_threads=self.num_threads, fault_tol=_FAULT_TOLERANCE
            )
            theirs = np.asarray(reader.get_frame_timestamp(range(len(reader))))[:, 0]
        except decord.DECORDError as error:
            raise self._refusal(f"it cannot read {self.info.codec} in {self.info.container}") from error
        ours = self.info.frame_times - self.info.frame_times[0]  # decord's clock starts at the first frame
        if len(theirs) != len(ours):
            raise self._refusal(f"it counts {len(theirs)} frames where the file shows {len(ours)}")
        apart = float(np.abs(theirs - theirs[0] - ours).max())
        if apart > 1e-3 + 1e-6 * float(ours[-1]):  # its times are single precision
            raise self._refusal(f"its frame times are up to {apart:.3f} s beside the container's")
        return reader, decord.DECORDError
