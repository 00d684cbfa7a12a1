"""Frames -> how each place of the picture moves, without the movement of the camera.

Flow is OpenCV's DIS (Kroeger et al. 2016, arXiv:1603.03590) with its variational refinement: on small people, noise and
compression its fast preset tells half as many actions apart. The camera's movement is an affine one, fitted by
reweighted least squares, so that what moves by itself has no say in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.shared_setting import SharedSetting
from ...core.types import FloatArray, Pixels

SIDE = 160  # pixels of a picture's side when flow is computed

_GRID = 8  # the camera's movement is fitted at one place in so many pixels, both ways
_AT = slice(_GRID // 2, None, _GRID)
_ROUNDS = 4
_LONGEST_REPEAT = 4  # frames
_LEAST_PIXELS = 0.5  # shorter movement is noise
_NOISE = 4.0  # so many times the median of what the camera's movement leaves is noise too

# From -1 to 1 over the picture.
_Y, _X = np.meshgrid(*(np.linspace(-1, 1, SIDE, endpoint=False, dtype=np.float32),) * 2, indexing="ij")


@dataclasses.dataclass(frozen=True)
class Moving:
    """What moves by itself in a clip, from each frame to the next that differs from it.

    Attributes:
        flows: (SIDE, SIDE, 2) in pixels, x first, with zeros where nothing moves.
        spans: numbers of the frames between which each lasts. The frames before may be equal to the first of the two:
            up to ``_LONGEST_REPEAT`` belong to it, as in a video of a lower rate; more are a pause.
        num_frames: of the clip, equal ones included.
    """

    flows: Sequence[FloatArray]
    spans: Sequence[tuple[int, int]]
    num_frames: int


def moving_parts(frames: Pixels, *, burst: int, num_threads: int) -> Moving:
    """What moves by itself between one frame and the next.

    Args:
        frames: (t, 3, h, w) uint8 RGB.
        burst: frames that follow each other; between one burst and the next there is no movement.
        num_threads: that share the work. The result does not depend on it.

    Pairs of equal frames, which a video of a lower rate has, are left out.
    """
    with _one_thread():
        grey = [_grey(frame) for frame in frames]
        pairs = [
            (first, second, stop)
            for stop, (first, second) in enumerate(itertools.pairwise(grey), start=1)
            if stop % burst and not np.array_equal(first, second)
        ]
        shares = [pairs[start::num_threads] for start in range(num_threads)]
        if num_threads > 1:
            with ThreadPoolExecutor(num_threads) as threads:
                parts = list(threads.map(_flows, shares))
        else:
            parts = [_flows(pairs)]
    flows = [parts[number % num_threads][number // num_threads] for number in range(len(pairs))]
    if not flows:
        return Moving([], [], len(frames))
    least = max(_LEAST_PIXELS, _NOISE * float(np.median([left for _, left in flows])))
    moving = [np.where((flow**2).sum(axis=2, keepdims=True) > least**2, flow, np.float32(0)) for flow, _ in flows]
    stops = [stop for _, _, stop in pairs]
    return Moving(moving, _spans(stops, [(stop - 1) // burst * burst for stop in stops]), len(frames))


def _spans(stops: Sequence[int], firsts: Sequence[int]) -> list[tuple[int, int]]:
    """Frames between which each movement lasts, by the frame it leads to and the first frame of its burst."""
    spans: list[tuple[int, int]] = []
    for stop, first in zip(stops, firsts, strict=True):
        start = max(first, spans[-1][1] if spans else 0)
        spans.append((start if stop - start <= _LONGEST_REPEAT else stop - 1, stop))
    return spans


@contextlib.contextmanager
def _opencv_thread() -> Iterator[None]:
    """Let OpenCV use one thread: flow depends on how it is shared out."""
    import cv2

    num_before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(num_before)


_one_thread = SharedSetting(_opencv_thread)  # several clips may be under way


def _grey(frame: Pixels) -> Pixels:
    """(3, h, w) to (SIDE, SIDE)."""
    import cv2

    small: Any = cv2.resize(
        cv2.cvtColor(np.ascontiguousarray(frame.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY),
        (SIDE, SIDE),
        interpolation=cv2.INTER_AREA,
    )
    grey: Pixels = small
    return grey


def _flows(pairs: Sequence[tuple[Pixels, Pixels, int]]) -> list[tuple[FloatArray, float]]:
    """Of each pair the flow without the camera's, and the median length of what is left."""
    import cv2

    finder: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return [_without_camera(finder.calc(first, second, None)) for first, second, _ in pairs]


def _without_camera(flow: FloatArray) -> tuple[FloatArray, float]:
    places = np.stack([np.ones_like(_X), _X, _Y], axis=-1)[_AT, _AT].reshape(-1, 3).astype(np.float64)
    seen = flow[_AT, _AT].reshape(-1, 2).astype(np.float64)
    camera = np.zeros((3, 2))
    camera[0] = np.median(seen, axis=0)
    for _ in range(_ROUNDS):
        left = _lengths(seen, places, camera)
        weights = (1 + (left / max(1.5 * float(np.median(left)), 0.1)) ** 2) ** -2
        # Without BLAS, which sums in another order with another number of threads.
        weighted = places * weights[:, None]
        squares = np.einsum("ni,nj->ij", weighted, places) + 1e-6 * np.eye(3)
        camera = np.linalg.solve(squares, np.einsum("ni,nj->ij", weighted, seen))
    own = np.empty_like(flow)
    for axis, (still, by_x, by_y) in enumerate(camera.astype(np.float32).T):
        np.subtract(flow[..., axis], still + by_x * _X + by_y * _Y, out=own[..., axis])
    return own, float(np.median(_lengths(seen, places, camera)))


def _lengths(
    seen: npt.NDArray[np.float64], places: npt.NDArray[np.float64], camera: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    left = seen - (camera[0] + places[:, 1:2] * camera[1] + places[:, 2:] * camera[2])
    lengths: npt.NDArray[np.float64] = np.sqrt((left**2).sum(axis=1))
    if not math.isfinite(float(lengths.sum())):
        raise ValueError("optical flow is not finite")
    return lengths
