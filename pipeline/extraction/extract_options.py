"""The options of ``extract``, which ``watch`` takes too."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import TypedDict

from ..core.arguments import as_list, check_choice
from ..core.errors import UsageError
from ..core.limits import Limits
from ..core.recipe import Recipe
from ..core.types import Device, Keep, Precision
from ..encoders import Encoder
from ..sources.label_names import name_pattern
from ..sources.sampling import Segmentation
from .runners import LOCAL, Runner


class ExtractKeywords(TypedDict, total=False):
    """The fields of ``ExtractOptions`` as keywords."""

    encoder: str | Encoder | Recipe | None
    clips: Segmentation
    window_seconds: float | None
    stride_seconds: float | None
    num_frames: int | None
    decoder: str | None
    device: Device
    batch_size: int | None
    num_workers: int | None
    pooling: str | None
    precision: Precision | None
    allow_slow_precision: bool
    keep: Keep | Collection[Keep]
    labels_from_folders: bool
    labels_from_names: str | None
    root: str | Path | None
    limits: Limits | None
    runner: Runner | str


@dataclasses.dataclass(frozen=True)
class ExtractOptions:
    """How sources become stored clips.

    Attributes:
        encoder: a name, a Hub id, a checkpoint folder, a loaded encoder, or a recipe of the bank. None takes the recipe
            of the bank's clips; in a new bank X-CLIP if its weights are on this machine or the hub answers within
            seconds, else the best built-in encoder, and a line in the log says so.
        clips: "whole" makes one clip of each video; "windows" cuts videos longer than a window.
        window_seconds: by default the encoder's natural span.
        stride_seconds: by default the window, so that windows follow each other.
        num_frames: frames a clip; by default the encoder's.
        decoder: by default the one of the bank's recipe if that decides the encoder, else "pyav".
        batch_size: clips that go through the encoder together; by default as many as pay on this device.
        num_workers: reading processes; by default one for each core, at most 8.
        pooling: one of the encoder's ``poolings``; by default the one its authors use.
        precision: of the network's products, by default "float32"; half precision moves vectors by some thousandths
            of their length, and is another recipe.
        allow_slow_precision: extract in half precision even if this machine takes longer for it than for float32.
        keep: what else to store of each clip: ``"frames"``, the features of each frame or step before they are
            pooled, in half precision; ``"patches"``, what exact scores with text need (X-CLIP; 100 kB a clip for
            base/32), or ``"patches-half"``, half of that at a loss of about 1e-4 of a cosine. Stored clips that
            lack it are encoded again for it, and their vectors stay as they are.
        labels_from_folders: label each video with the name of its folder.
        labels_from_names: a regular expression that is searched for in each file's name without its suffix; its named
            groups ``label`` and ``group`` give the video's. A manifest's own label counts first, then this one.
        root: a folder outside of which no video is read, whatever a manifest or a link says.
        limits: what one video may cost, how much of it may be lost, and which are too short.
        runner: where it runs, such as ``Processes(4)``; by default in this process.

    Raises:
        UsageError: an unknown choice, a number out of its range, a window for whole videos, or a pattern for labels
            that names neither.

    Example:
        >>> options = ExtractOptions(encoder="lite", clips="whole")
        >>> extract("videos/", bank="other", options=options).count("ok")
        6
    """

    encoder: str | Encoder | Recipe | None = None
    clips: Segmentation = "windows"
    window_seconds: float | None = None
    stride_seconds: float | None = None
    num_frames: int | None = None
    decoder: str | None = None
    device: Device = "auto"
    batch_size: int | None = None
    num_workers: int | None = None
    pooling: str | None = None
    precision: Precision | None = None
    allow_slow_precision: bool = False
    keep: Keep | Collection[Keep] = ()
    labels_from_folders: bool = False
    labels_from_names: str | None = None
    root: str | Path | None = None
    limits: Limits | None = None
    runner: Runner | str = LOCAL

    def __post_init__(self) -> None:
        check_choice("choice of clips", self.clips, Segmentation)
        check_choice("device", self.device, Device)
        check_choice("precision", self.precision, Precision)
        for name in as_list(self.keep):
            check_choice("feature to keep", name, Keep)
        for number in ("num_frames", "batch_size", "num_workers"):
            value = getattr(self, number)
            if value is not None and value < 1:
                raise UsageError(f"{number} must be at least 1, not {value}")
        if self.labels_from_names is not None:
            name_pattern(self.labels_from_names)
        if self.clips == "whole" and (self.window_seconds, self.stride_seconds) != (None, None):
            raise UsageError("whole videos have no window and no stride; leave them out, or choose clips by windows")

    def with_encoder(self, encoder: Encoder) -> ExtractOptions:
        """The same for an encoder that was loaded by these options."""
        return dataclasses.replace(
            self, encoder=encoder, device="auto", num_frames=None, pooling=None, precision=encoder.run.precision
        )
