"""A catalogue of hard videos, generated: every frame carries its own number as a bar code.

A decoder that returns the wrong frame, a repeated one, or a picture turned the wrong way is thus visible.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.core.types import Pixels

BITS = 10
BAR = 12
HEIGHT = 96
WIDTH = (BITS + 2) * BAR
DARK, LIGHT = 24, 232

TICK = Fraction(1, 1000)


def bar_code(number: int) -> Pixels:
    """(HEIGHT, WIDTH, 3): a light bar, the number's bits, a dark bar; inverted in the lower third."""
    bits = [1] + [number >> bit & 1 for bit in reversed(range(BITS))] + [0]
    row = np.repeat(np.where(np.array(bits) == 1, LIGHT, DARK), BAR).astype(np.uint8)
    image = np.repeat(row[None], HEIGHT, axis=0)
    image[HEIGHT * 2 // 3 :] = 255 - image[HEIGHT * 2 // 3 :]
    return np.repeat(image[:, :, None], 3, axis=2)


def read_bar_code(pixels: Pixels) -> int | None:
    """The number in a picture of any size, or None where it is not upright or not clean."""
    height, width = pixels.shape[:2]
    gray = pixels.astype(float).mean(axis=2)
    centres = ((np.arange(BITS + 2) + 0.5) * width / (BITS + 2)).astype(int)
    upper = gray[height // 4 : height // 2][:, centres].mean(axis=0)
    lower = gray[height * 5 // 6 : height * 11 // 12][:, centres].mean(axis=0)
    if np.any(np.abs(upper - lower) < 90):
        return None
    bits = upper > lower
    if not bits[0] or bits[-1]:
        return None
    return int("".join("1" if bit else "0" for bit in bits[1:-1]), 2)


@dataclasses.dataclass(frozen=True)
class HardVideo:
    """A generated file and the times at which its frames are shown, frame number by frame number."""

    path: Path
    first_number: int
    times: tuple[float, ...]


def steady(count: int, *, fps: int = 25, start: float = 0.0) -> list[int]:
    """Presentation times in milliseconds."""
    return [round(1000 * (start + index / fps)) for index in range(count)]


def uneven(count: int) -> list[int]:
    """A variable frame rate: 20 to 140 ms a frame, the same on each call."""
    gaps = np.random.default_rng(3).integers(20, 140, size=count - 1)
    return [0, *np.cumsum(gaps).tolist()]


def write(
    path: Path,
    times_ms: Sequence[int],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixel_shape: Fraction = Fraction(1, 1),
    interlaced: bool = False,
    rotate: int = 0,
    shift_ms: int = 0,
    tick: Fraction = TICK,
) -> HardVideo:
    """Encode one frame for each time. ``shift_ms`` moves all times after encoding (below zero: an edit list)."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.pix_fmt = pix_fmt
        quarter_turns = rotate // 90
        sample = np.rot90(_sized(bar_code(0), size), -quarter_turns)
        stream.height, stream.width = sample.shape[:2]
        stream.codec_context.time_base = tick
        stream.time_base = tick
        stream.codec_context.sample_aspect_ratio = pixel_shape
        if interlaced:
            stream.codec_context.flags |= _INTERLACED
        if rotate:
            stream.set_display_rotation(rotate)

        def mux(packets: Sequence[Any]) -> None:
            for packet in packets:
                ticks = round(Fraction(shift_ms, 1000) / packet.time_base)
                packet.pts += ticks
                packet.dts += ticks
                container.mux(packet)

        for number, milliseconds in enumerate(times_ms):
            image = np.rot90(_sized(bar_code(number), size), -quarter_turns)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = round(milliseconds * TICK / tick), tick
            mux(stream.encode(frame.reformat(format=pix_fmt)))
        mux(stream.encode(None))
    _at_rest()
    shown = [(number, ms + shift_ms) for number, ms in enumerate(times_ms) if ms + shift_ms >= 0]
    return HardVideo(path, shown[0][0], tuple(ms / 1000 for _, ms in shown))


def sound(path: Path) -> Path:
    """A file that holds a second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _at_rest() -> None:
    """Take back the real-time priority that SVT-AV1 gives its caller where it may, and all later threads inherit: two
    of them that wait actively stop a machine with two cores for good.
    """
    if sys.platform == "linux":
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))


def _sized(image: Pixels, size: tuple[int, int]) -> Pixels:
    width, height = size
    if size == (WIDTH, HEIGHT):
        return image
    rows = np.arange(height) * HEIGHT // height
    columns = np.arange(width) * WIDTH // width
    return image.take(columns, axis=1).take(rows, axis=0)  # C order, whole rows copied at a time


# AV_CODEC_FLAG_INTERLACED_DCT and AV_CODEC_FLAG_INTERLACED_ME of libavcodec/avcodec.h.
_INTERLACED = (1 << 18) | (1 << 29)

X264 = {"preset": "veryfast", "crf": "20"}
FAST = {"preset": "ultrafast", "crf": "20"}  # for very large frames
X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
SVT_AV1 = {"preset": "8", "crf": "10", "svtav1-params": "scm=0"}
NO_B = {**X264, "bf": "0"}
NEGATIVE = {"avoid_negative_ts": "disabled"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}

CATALOGUE: dict[str, Callable[[Path], HardVideo]] = {
    "h264.mp4": lambda p: write(p, steady(60), options={**X264, "g": "20"}),
    "long-gop.mp4": lambda p: write(p, steady(300), options={**X264, "g": "100"}),
    "open-gop-b-pyramid.mp4": lambda p: write(
        p, steady(300), options={**X264, "x264-params": "open-gop=1:bframes=8:b-pyramid=normal:b-adapt=0:keyint=72"}
    ),
    "hevc.mp4": lambda p: write(p, steady(60), codec="libx265", options=X265),
    "vp9.webm": lambda p: write(p, steady(60), codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}),
    "av1.mp4": lambda p: write(p, steady(40), codec="libsvtav1", options=SVT_AV1),
    "mpeg4.avi": lambda p: write(p, steady(60), codec="mpeg4", options={"b": "2M"}),
    "mpeg2.ts": lambda p: write(p, steady(60), codec="mpeg2video", options={"b": "4M"}, tick=Fraction(1, 25)),
    "h264.ts": lambda p: write(p, steady(60), options={**X264, "g": "20"}),
    "variable-rate.mp4": lambda p: write(p, uneven(60), options=X264),
    "variable-rate.mkv": lambda p: write(p, uneven(60), options=X264),
    "10-bit.mp4": lambda p: write(p, steady(40), pix_fmt="yuv420p10le", options=X264),
    "odd-size.mkv": lambda p: write(p, steady(30), codec="ffv1", pix_fmt="yuv444p", size=(WIDTH + 1, HEIGHT - 1)),
    "rotated-90.mp4": lambda p: write(p, steady(30), options=X264, rotate=90),
    "rotated-180.mp4": lambda p: write(p, steady(30), options=X264, rotate=180),
    "rotated-270.mp4": lambda p: write(p, steady(30), options=X264, rotate=270),
    "start-offset.mkv": lambda p: write(p, steady(40, start=5.0), options=X264),
    "edit-list.mp4": lambda p: write(p, steady(60), options=NO_B, shift_ms=-400, container_options=NEGATIVE),
    "fragmented.mp4": lambda p: write(p, steady(60), options={**X264, "g": "20"}, container_options=FRAGMENTED),
    "no-duration.mkv": lambda p: write(p, steady(40), options=X264, container_options={"live": "1"}),
    "one-frame.mp4": lambda p: write(p, steady(1), options=X264),
    "animation.gif": lambda p: write(p, steady(20, fps=10), codec="gif", pix_fmt="rgb8"),
    "animation.webp": lambda p: write(p, steady(20, fps=10), codec="libwebp_anim", options={"lossless": "1"}),
    "wide-pixels.mp4": lambda p: write(p, steady(30), options=X264, pixel_shape=Fraction(16, 11)),
    "interlaced.mpg": lambda p: write(
        p, steady(60), codec="mpeg2video", options={"b": "4M"}, tick=Fraction(1, 25), interlaced=True
    ),
    "interlaced.mp4": lambda p: write(p, steady(60), options={**X264, "x264-params": "tff=1"}),
    "ntsc.mov": lambda p: write(p, [round(1001 * n / 30) for n in range(60)], options=X264),
    "vp8.webm": lambda p: write(p, steady(60), codec="libvpx", options={"b": "2M", "deadline": "realtime"}),
    "mjpeg.avi": lambda p: write(p, steady(40), codec="mjpeg", pix_fmt="yuvj420p"),
    "prores.mov": lambda p: write(p, steady(20), codec="prores_ks", pix_fmt="yuv422p10le"),
    "wmv2.asf": lambda p: write(p, steady(40), codec="wmv2", options={"b": "2M"}),
    "h263.flv": lambda p: write(p, steady(40), codec="flv", options={"b": "2M"}),
    "mpeg1.mpg": lambda p: write(p, steady(60), codec="mpeg1video", options={"b": "4M"}, tick=Fraction(1, 25)),
    "m2ts.m2ts": lambda p: write(p, steady(60), options={**X264, "g": "20"}),
}  # fmt: skip


def build(name: str, folder: Path) -> HardVideo:
    """The catalogue's video of this name."""
    return CATALOGUE[name](folder / name)
