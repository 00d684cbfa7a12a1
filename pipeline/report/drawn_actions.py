"""Short videos of drawn figures that do something: actions to try a head on where no real ones are installed.

A single frame tells little: what the figures do shows in how they move. Each performer has a size, a tempo and colours
of its own and stands before another picture, as people in real collections do.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..core.types import Pixels
from ..decoders import reading_process, write_video

_WIDTH, _HEIGHT = 320, 240
_FRAMES_PER_SECOND = 25
_SECONDS = 2.0

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Performer:
    """Who acts.

    Attributes:
        size: height in pixels.
        tempo: movements a second.
        clothes, skin: RGB.
        looks_left: whether it faces the left.
    """

    name: str
    size: int
    tempo: float
    clothes: tuple[int, int, int]
    skin: tuple[int, int, int]
    looks_left: bool = False


@dataclasses.dataclass(frozen=True)
class Pose:
    """Angles in degrees, of limbs from straight down, forwards positive; lengths in parts of the body's.

    Attributes:
        arms, legs: of the upper part and of the lower one, left and right.
        lean: of the trunk, forwards.
        forward, up: where the feet are.
    """

    arms: tuple[tuple[float, float], tuple[float, float]] = ((8, 12), (-8, -4))
    legs: tuple[tuple[float, float], tuple[float, float]] = ((4, 2), (-4, -6))
    lean: float = 0.0
    forward: float = 0.0
    up: float = 0.0


def _walk(turns: float, share: float) -> Pose:
    swing = math.sin(2 * math.pi * turns)
    bent = [30 * max(0.0, math.cos(2 * math.pi * turns + side)) for side in (0, math.pi)]
    legs = ((32 * swing, 32 * swing - bent[0]), (-32 * swing, -32 * swing - bent[1]))
    return Pose(((-28 * swing, -18 * swing), (28 * swing, 38 * swing)), legs, 4, 1.3 * share - 0.65)


def _jump(turns: float, _: float) -> Pose:
    height = math.sin(2 * math.pi * turns)
    crouch = 40 * max(0.0, -height)
    leg = (crouch, -crouch)
    return Pose(
        ((20 - crouch, 30), (16 - crouch, 26)), (leg, leg), crouch / 3, up=0.3 * max(0.0, height) - crouch / 700
    )


def _wave(turns: float, _: float) -> Pose:
    return Pose(((150, 165 + 40 * math.sin(2 * math.pi * 1.6 * turns)), (-8, -4)))


def _bend(turns: float, _: float) -> Pose:
    down = 0.5 - 0.5 * math.cos(2 * math.pi * 0.7 * turns)
    return Pose(((10 + 20 * down, 10), (4 + 20 * down, 4)), lean=85 * down)


def _jack(turns: float, _: float) -> Pose:
    apart = 0.5 - 0.5 * math.cos(2 * math.pi * turns)
    arm, leg = 15 + 140 * apart, 4 + 28 * apart
    return Pose(((arm, arm), (-arm, -arm)), ((leg, leg), (-leg, -leg)), up=0.1 * abs(math.sin(2 * math.pi * turns)))


_POSES: dict[str, Callable[[float, float], Pose]] = {
    "walk": _walk,
    "jump": _jump,
    "wave": _wave,
    "bend": _bend,
    "jack": _jack,
}
ACTIONS = tuple(_POSES)


# The first learn; the last three are those that nobody has seen.
_PERFORMERS = (
    Performer("anna", 190, 1.1, (196, 52, 48), (238, 200, 172)),
    Performer("ben", 160, 1.4, (46, 96, 180), (150, 104, 78), looks_left=True),
    Performer("carla", 175, 1.2, (44, 140, 80), (214, 166, 130)),
    Performer("dan", 200, 1.0, (222, 170, 40), (110, 76, 56), looks_left=True),
    Performer("eva", 150, 1.5, (140, 70, 160), (240, 210, 186)),
    Performer("fritz", 182, 1.3, (60, 60, 66), (226, 184, 150), looks_left=True),
    Performer("gina", 166, 1.1, (230, 110, 60), (128, 90, 66)),
    Performer("hugo", 194, 1.4, (240, 240, 236), (232, 192, 160), looks_left=True),
)
_NUM_UNSEEN = 3
_NUM_FURTHER = 3  # clips of the last action to learn from


def write_actions(folder: Path, *, backgrounds: Sequence[Path]) -> None:
    """Write a collection, each video with its action and performer as its name.

    ``known`` has all actions but the last one, by some performers; ``further`` some clips of the last one; ``unseen``
    all actions by other performers.

    Args:
        backgrounds: videos whose pictures the performers stand before.

    Raises:
        SourceError: a file cannot be written.
    """
    places = _places(backgrounds, len(_PERFORMERS))
    for number, (performer, place) in enumerate(zip(_PERFORMERS, places, strict=True)):
        for action in ACTIONS:
            part = "further" if action == ACTIONS[-1] else "known"
            if number >= len(_PERFORMERS) - _NUM_UNSEEN:
                part = "unseen"
            elif part == "further" and number >= _NUM_FURTHER:
                continue
            path = folder / part / f"{action}_{performer.name}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_action(path, action, performer, background=place, start=0.13 * number)


def _places(videos: Sequence[Path], count: int) -> list[Pixels]:
    """Pictures of these videos in turn, each another one."""
    places: list[Pixels] = []
    for number in range(count):
        with reading_process() as process, process.open(videos[number % len(videos)]) as video:
            frame = int((number + 0.5) / count * len(video.info.frame_times))
            places += [found.pixels for found in video.frames([frame])]
    return places


def write_action(path: Path, action: str, performer: Performer, *, background: Pixels, start: float) -> None:
    """Write a video of one action, one of ``ACTIONS``.

    Args:
        background: (h, w, 3) uint8 RGB.
        start: the part of a movement at which the video begins, from 0 to 1.

    Raises:
        SourceError: the file cannot be written.
    """
    frames = _frames(action, performer, background, start)
    write_video(path, frames, size=(_WIDTH, _HEIGHT), frames_per_second=_FRAMES_PER_SECOND)


def _frames(action: str, performer: Performer, background: Pixels, start: float) -> Iterator[Pixels]:
    ground = Image.fromarray(background).resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)
    num_frames = round(_SECONDS * _FRAMES_PER_SECOND)
    for number in range(num_frames):
        turns = start + performer.tempo * number / _FRAMES_PER_SECOND
        picture = ground.copy()
        _draw(picture, _POSES[action](turns, number / num_frames), performer)
        yield np.asarray(picture)


def _draw(picture: Image.Image, pose: Pose, performer: Performer) -> None:
    size, pen = performer.size, ImageDraw.Draw(picture)
    sign = -1 if performer.looks_left else 1

    def end(start: Point, degrees: float, length: float) -> Point:
        angle = math.radians(degrees)
        return start[0] + sign * length * size * math.sin(angle), start[1] + length * size * math.cos(angle)

    def limb(points: list[Point], colour: tuple[int, int, int], width: float) -> None:
        thick = round(width * size)
        pen.line(points, fill=colour, width=thick, joint="curve")
        for x, y in points:
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)

    dark = tuple(value // 2 for value in performer.clothes)
    hips = _WIDTH / 2 + sign * pose.forward * size, _HEIGHT - 14 - (0.48 + pose.up) * size
    neck = end(hips, 180 - pose.lean, 0.32)
    for upper, lower in pose.legs:
        knee = end(hips, upper, 0.24)
        limb([hips, knee, end(knee, lower, 0.24)], (dark[0], dark[1], dark[2]), 0.075)
    limb([hips, neck], performer.clothes, 0.13)
    for upper, lower in pose.arms:
        elbow = end(neck, upper, 0.16)
        limb([neck, elbow, end(elbow, lower, 0.16)], performer.skin, 0.055)
    x, y = end(neck, 180 - pose.lean, 0.12)
    radius = 0.075 * size
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=performer.skin)
