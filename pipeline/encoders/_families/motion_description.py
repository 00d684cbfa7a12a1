"""Flow -> one vector of a clip's movement. There are no weights in it.

Histograms of the flow's directions (HOF, Laptev et al. 2008) and of its derivatives (MBH, Dalal et al. 2006), where
things move in the picture and in a box that follows what moves, and how that changes in time: spectrum,
autocorrelation, and likeness of later to earlier steps. Lengths in the box are in parts of its side, so that small and
large people are alike. A clip and its mirror image have the same description: half of each histogram is the mean of
both, the other half how far they differ.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...core.types import FloatArray
from .optical_flow import SIDE, Moving

Rows = npt.NDArray[np.float64]

NUM_STEPS = 8  # parts of a clip that ``steps`` describes

_DIRECTIONS = 8
_LAGS = 12
_WINDOW = 16  # steps of a spectrum
_HOP = 4
_BOX = 2.2  # half of the box's side, in standard deviations of the places that move
_LONGEST = 12.0  # pixels; longer flow counts as much
_SMOOTH = (1.0, 2.0, 3.0, 2.0, 1.0)

_EYE = np.arange(_DIRECTIONS)
_OTHER_X = (_DIRECTIONS // 2 - _EYE) % _DIRECTIONS  # each direction's place once left and right are exchanged
_OTHER_Y = -_EYE % _DIRECTIONS  # the same of a derivative of the flow's x

# Each histogram by the side of its grid, and the directions of its mirror image.
_GRIDS: dict[str, tuple[int, npt.NDArray[np.int64] | None]] = {
    "picture": (3, _OTHER_X),
    "box": (4, _OTHER_X),
    "edges of x": (2, _OTHER_Y),
    "edges of y": (2, _OTHER_X),
    "places": (6, None),
}
_IN_BOX = ("box", "edges of x", "edges of y", "places")


def _cells(name: str) -> int:
    side, directions = _GRIDS[name]
    return side * side * (1 if directions is None else _DIRECTIONS)


DIM = sum(3 * _cells(name) for name in _GRIDS) + 8 + 6 * (_WINDOW // 2 + 1) + _LAGS * 3 + 8
STEP_DIM = sum(_cells(name) for name in _IN_BOX)


def describe(moving: Moving) -> tuple[FloatArray, FloatArray]:
    """What moves in a clip.

    Returns:
        The description, (DIM,) of length 1, and one of each eighth of the clip, (NUM_STEPS, STEP_DIM) of length 1 or,
        where nothing moves, 0.
    """
    flows = moving.flows
    if not any(flow.any() for flow in flows):
        return np.zeros(DIM, np.float32), np.zeros((NUM_STEPS, STEP_DIM), np.float32)
    runs = _runs(moving)
    centres, sides = (np.concatenate(parts) for parts in zip(*(_boxes(flows[run]) for run in runs), strict=True))
    rows = [_histograms(flow, *box) for flow, *box in zip(flows, centres, sides, strict=True)]
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}  # (t, cells)
    blocks = [block for name in _GRIDS for block in _over_time(found[name], _mirrored(name, found[name]))]
    blocks += [_unit(np.sqrt(found["speeds"].mean(axis=0)))]
    blocks += _changes(found, runs)
    blocks += [_travel(centres, sides, runs)]
    return _unit(np.concatenate(blocks)).astype(np.float32), _steps(found, moving)


def _runs(moving: Moving) -> list[slice]:
    """Steps that follow each other without a pause. Those on both sides of one, or of two bursts, are no neighbours."""
    starts, stops = np.asarray(moving.spans).T
    edges = [0, *(np.flatnonzero(starts[1:] > stops[:-1]) + 1).tolist(), len(starts)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def _boxes(flows: Sequence[FloatArray]) -> tuple[Rows, Rows]:
    """Centre and half side, y and x, of what moves in each step, (t, 2), smoothed over time by how much moves."""
    places = np.arange(SIDE, dtype=np.float64)
    amounts, centres, spreads = [], [], []
    for flow in flows:
        length = np.minimum(np.hypot(flow[..., 0], flow[..., 1]).astype(np.float64), 8.0)
        amount = float(length.sum())
        sums = length.sum(axis=1), length.sum(axis=0)
        centre = [float((one * places).sum()) / max(amount, 1e-9) for one in sums]
        spread = [
            float((one * (places - middle) ** 2).sum()) / max(amount, 1e-9)
            for one, middle in zip(sums, centre, strict=True)
        ]
        amounts.append(amount + 1e-9)
        centres.append(centre)
        spreads.append(np.sqrt(spread))
    return _smoothed(np.array(centres), amounts), _BOX * np.maximum(_smoothed(np.array(spreads), amounts), 2.0)


def _smoothed(values: Rows, amounts: Sequence[float]) -> Rows:
    weights = _convolved(np.asarray(amounts))
    columns = [_convolved(column * amounts) / weights for column in values.T]
    return np.stack(columns, axis=1)


def _convolved(values: Rows) -> Rows:
    half = len(_SMOOTH) // 2
    result: Rows = np.convolve(values, _SMOOTH)[half : half + len(values)]
    return result


def _histograms(flow: FloatArray, centre: Rows, side: Rows) -> dict[str, Rows]:
    """Of one step, by the names of ``_GRIDS``, and of its speeds."""
    y, x = np.nonzero(flow.any(axis=2))
    moved = flow[y, x].astype(np.float64)
    length = np.minimum(np.hypot(*moved.T), _LONGEST)
    found = {"picture": _by_direction(moved, length, (y * 3 // SIDE) * 3 + x * 3 // SIDE, 9)}
    down, right = ((at - middle + half) / (2 * half) for at, middle, half in zip((y, x), centre, side, strict=True))
    inside = (down >= 0) & (down < 1) & (right >= 0) & (right < 1)
    y, x, down, right, moved, length = (values[inside] for values in (y, x, down, right, moved, length))
    area, scale = 4 * float(side[0] * side[1]), float(side.max())

    def cell(grid: int) -> npt.NDArray[np.int64]:
        numbers: npt.NDArray[np.int64] = (down * grid).astype(np.int64) * grid + (right * grid).astype(np.int64)
        return numbers

    found["box"] = _by_direction(moved, length / scale, cell(4), 16) / area
    left_of, right_of = flow[y, np.maximum(x - 1, 0)], flow[y, np.minimum(x + 1, SIDE - 1)]
    above, below = flow[np.maximum(y - 1, 0), x], flow[np.minimum(y + 1, SIDE - 1), x]
    for number, name in enumerate(("edges of x", "edges of y")):
        change = np.stack([(right_of - left_of)[:, number], (below - above)[:, number]], axis=1).astype(np.float64)
        found[name] = _by_direction(change, np.hypot(*change.T), cell(2), 4) / area
    found["places"] = np.bincount(cell(6), minlength=36) / area
    octave = np.clip(np.log2(np.maximum(length, 1e-9) / scale * 64), 0, 7).astype(np.int64)
    found["speeds"] = np.bincount(octave, minlength=8) / area
    return found


def _by_direction(vectors: Rows, weights: Rows, cells: npt.NDArray[np.int64], num_cells: int) -> Rows:
    """Weights by cell and direction, (cells directions); each is shared between the two nearest directions."""
    angle = np.arctan2(vectors[:, 1], vectors[:, 0]) / (2 * np.pi) * _DIRECTIONS
    lower = np.floor(angle)
    share = angle - lower
    first = lower.astype(np.int64) % _DIRECTIONS
    total: Rows = np.zeros(num_cells * _DIRECTIONS)
    for direction, weight in ((first, weights * (1 - share)), ((first + 1) % _DIRECTIONS, weights * share)):
        total += np.bincount(cells * _DIRECTIONS + direction, weight, len(total))
    return total


def _mirrored(name: str, values: Rows) -> Rows:
    """The same histograms, (t, cells), with left and right exchanged."""
    side, directions = _GRIDS[name]
    cells = values.reshape(len(values), side, side, -1)[:, :, ::-1]
    other = cells if directions is None else cells[..., directions]
    return other.reshape(values.shape)


def _over_time(ours: Rows, mirrored: Rows) -> list[Rows]:
    """Mean and deviation over time, and how far the mean is from its mirror image's."""
    mean, other = np.sqrt(ours.mean(axis=0)), np.sqrt(mirrored.mean(axis=0))
    spread = np.sqrt(ours.std(axis=0)) + np.sqrt(mirrored.std(axis=0))
    both = np.concatenate([_unit(mean + other), _unit(spread)])
    return [_unit(both), np.abs(mean - other) / max(float(np.linalg.norm(mean)), 1e-9)]


def _changes(found: dict[str, Rows], runs: Sequence[slice]) -> list[Rows]:
    """How movement comes and goes: spectrum, autocorrelation, likeness of later steps; means over runs, each by its
    length.
    """
    cells = found["box"]
    towards = cells.reshape(len(cells), -1, _DIRECTIONS).sum(axis=1)  # (t, directions)
    places = found["places"]
    sideways = np.abs(towards[:, [7, 0, 1]].sum(axis=1) - towards[:, 3:6].sum(axis=1))
    total, down, up = towards.sum(axis=1), towards[:, 1:4].sum(axis=1), towards[:, 5:8].sum(axis=1)
    upper, lower = places[:, :18].sum(axis=1), places[:, 18:].sum(axis=1)
    signals = np.stack([total, down, up, sideways, upper, lower], axis=1)
    signals /= np.maximum(signals.mean(axis=0), 1e-9)
    weights = [run.stop - run.start for run in runs]
    spectrum = np.average([_spectrum(signals[run]) for run in runs], axis=0, weights=weights)
    lags = [np.concatenate([_autocorrelation(signals[run]), _autocorrelation(towards[run])]) for run in runs]
    length = np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-9)
    likeness = np.average([_likeness((cells / length)[run]) for run in runs], axis=0, weights=weights)
    return [_unit(np.sqrt(spectrum).ravel()), _unit(np.average(lags, axis=0, weights=weights)), likeness / 3]


def _spectrum(signals: Rows) -> Rows:
    """Mean over windows, (frequencies, signals)."""
    if len(signals) < _WINDOW:
        signals = np.concatenate([signals, np.tile(signals.mean(axis=0), (_WINDOW - len(signals), 1))])
    windows = [signals[start : start + _WINDOW] for start in range(0, len(signals) - _WINDOW + 1, _HOP)]
    taper = np.hanning(_WINDOW)[:, None]
    return np.asarray(np.mean([np.abs(np.fft.rfft((one - one.mean(axis=0)) * taper, axis=0)) for one in windows], 0))


def _autocorrelation(signals: Rows) -> Rows:
    around = signals - signals.mean(axis=0)
    return _lagged(around) / max(float((around**2).sum()), 1e-12)


def _likeness(rows: Rows) -> Rows:
    return _lagged(rows) / np.maximum(len(rows) - np.arange(1, _LAGS + 1), 1)


def _lagged(rows: Rows) -> Rows:
    """Sums of products with the rows 1 to ``_LAGS`` steps later."""
    return np.array([float((rows[lag:] * rows[:-lag]).sum()) for lag in range(1, _LAGS + 1)])


def _travel(centres: Rows, sides: Rows, runs: Sequence[slice]) -> Rows:
    """How the box travels and changes: speed in parts of its side, form, size."""
    side = sides.mean(axis=0)
    steps = np.concatenate([np.diff(centres[run], axis=0) for run in runs])
    speed = steps / side.max() if len(steps) else np.zeros((1, 2))
    form = [np.log(side[0] / side[1]), np.log(side.max() / SIDE * 5) / 3]
    changes = np.tanh(4 * sides.std(axis=0) / side)
    values = [np.tanh(8 * np.abs(speed.mean(axis=0))), np.tanh(8 * speed.std(axis=0)), changes, form]
    return np.concatenate(values) / 1.5


def _steps(found: dict[str, Rows], moving: Moving) -> FloatArray:
    """(NUM_STEPS, STEP_DIM): each movement counts for the steps that it lasts in."""
    starts, stops = np.asarray(moving.spans).T[:, :, None]
    edges = np.linspace(0, moving.num_frames - 1, NUM_STEPS + 1)
    shared = np.minimum(stops, edges[1:]) - np.maximum(starts, edges[:-1])
    weights = np.maximum(shared, 0.0)  # (t, steps)
    blocks = []
    for name in _IN_BOX:
        both = np.sqrt(found[name]) + np.sqrt(_mirrored(name, found[name]))
        sums = np.einsum("ts,tc->sc", weights, both)  # without BLAS, whose order of summation varies
        blocks.append(np.stack([_unit(row) for row in sums]))
    rows = np.concatenate(blocks, axis=1)
    return np.stack([_unit(row) for row in rows]).astype(np.float32)


def _unit(values: Rows) -> Rows:
    length = float(np.sqrt((values**2).sum()))
    return values / length if length > 0 else values
