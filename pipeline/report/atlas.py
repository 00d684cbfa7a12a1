"""A bank as a picture: points coloured by label or group, as PNG and as a page to look around in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.errors import SourceError
from ..core.files import path_of
from ..core.types import Span
from ..retrieval.clusters import Map
from .page import rendered, write_text
from .plots import draw_points
from .thumbnails import strip

# Pictures make a page heavy (some 5 kB each): with more clips, a sample has them.
_MOST_PICTURES = 400

_UNLABELLED = "no label"


def write_map(
    folder: Path,
    found: Map,
    *,
    title: str,
    colour: Literal["auto", "label", "cluster"] = "auto",
    on_picture: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """``map.png`` and ``map.html``.

    Args:
        colour: what points are coloured by; "auto" takes labels where there are any.
        on_picture: called with the number of pictures tried so far, and of all.

    Raises:
        SourceError: they cannot be written.
    """
    by_label = colour == "label" or (colour == "auto" and any(found.labels))
    kinds = [name or _UNLABELLED for name in found.labels] if by_label else _groups(found)
    order = {kind: int(code) for kind, code in zip(kinds, found.clusters, strict=True)}
    names = sorted(set(kinds), key=lambda name: (name == _UNLABELLED, len(name) if by_label else order[name], name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        colours = draw_points(found.points, kinds, names, folder / "map.png", nothing=_UNLABELLED)
    except OSError as error:
        raise SourceError(f"cannot write into {folder}: {error.strerror or error}") from error
    sample = np.random.default_rng(0).permutation(len(found.clips))[:_MOST_PICTURES]
    pictures: list[str] = []
    place: dict[int, int] = {}
    for tried, number in enumerate(sorted(sample.tolist()), start=1):
        on_picture(tried, len(sample))
        clip = found.clips[number]
        picture = strip(path_of(clip.video), Span(clip.start_seconds, clip.stop_seconds), num_frames=1)
        if picture is not None:
            place[number] = len(pictures)
            pictures.append(picture)
    summary = (
        f"{len(found.clips)} clips, placed by {found.layout.upper()}, coloured by {'label' if by_label else 'group'}."
    )
    page = rendered(
        "map.html",
        title=title,
        facts=f"{summary} Point at a clip to see it, click on a name to see it alone, turn the wheel to come nearer.",
        clips=_clips(found, kinds, names, place),
        kinds=[
            {"name": name, "colour": shade, "count": kinds.count(name)}
            for name, shade in zip(names, colours, strict=True)
        ],
        pictures=pictures,
        radius=max(2, min(7, round(200 / np.sqrt(len(found.clips))))),
    )
    write_text(folder / "map.html", page)


def _groups(found: Map) -> list[str]:
    """What each clip's group is called: by its number, and by what sets it apart where texts say so."""
    called = [", ".join([f"group {number + 1}", *own]) for number, own in enumerate(found.names)]
    return [called[code] if called else f"group {code + 1}" for code in found.clusters]


def _clips(found: Map, kinds: list[str], names: list[str], place: dict[int, int]) -> list[dict[str, Any]]:
    """Points in a field of 1000 by 700, with their facts."""
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    spread = np.maximum(high - low, 1e-9)
    scaled = (found.points - low) / spread * np.array([960, 660]) + 20
    return [
        {
            "x": round(float(x), 1),
            "y": round(700 - float(y), 1),
            "kind": names.index(kind),
            "picture": place.get(number),
            "text": f"{Path(clip.video).name} {clip.start_seconds:.1f}–{clip.stop_seconds:.1f} s · {kind}",
        }
        for number, ((x, y), clip, kind) in enumerate(zip(scaled, found.clips, kinds, strict=True))
    ]
