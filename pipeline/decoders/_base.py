"""What every decoder is: given frame numbers of a scanned video, it returns exactly those frames or omits them."""

from __future__ import annotations

import abc
import dataclasses
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from ..core.registry import Registry
from ..core.types import Pixels, VideoInfo
from ._scan import scan

DEFAULT_DECODER = "pyav"


@dataclasses.dataclass(frozen=True)
class DecodedFrame:
    """Frame ``number`` of the scan: ``pixels`` is (height, width, 3) uint8 RGB, upright."""

    number: int
    time_seconds: float
    pixels: Pixels


class Decoder(abc.ABC):
    """One open video.

    Args:
        path: the file.
        info: its scan.
        num_threads: for the codec; 0 lets the library choose.

    Attributes:
        library: the module it decodes with.
    """

    library: ClassVar[str]

    def __init__(self, path: Path, info: VideoInfo, *, num_threads: int = 0) -> None:
        self.path = path
        self.info = info
        self.num_threads = num_threads

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be used here, or None. A decoder without wheels for this platform is no fault."""
        return None if importlib.util.find_spec(cls.library) else f"the package {cls.library} is not installed"

    @abc.abstractmethod
    def frames(self, numbers: Sequence[int]) -> Iterator[DecodedFrame]:
        """The frames of these numbers, ascending and without repeats; damaged ones are left out.

        Raises:
            DecoderRefusal: this library returns wrong frames on such a file.
            DecodeError: nothing can be decoded.
        """

    def close(self) -> None:  # noqa: B027 -- not every library holds something open
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


decoders: Registry[Decoder] = Registry("pipeline.decoders", Decoder, kind="decoder")  # type: ignore[type-abstract]


def open_video(path: Path, *, decoder: str = DEFAULT_DECODER, num_threads: int = 0) -> Decoder:
    """Scan ``path`` and open it with the named decoder.

    Raises:
        NoVideoStream, DecoderRefusal, DecodeError: see there.
        UnknownPart: no such decoder.
    """
    part = decoders.get(decoder)
    return part(path, scan(path), num_threads=num_threads)
