"""What half precision costs in time where a processor has no units for it."""

from __future__ import annotations

import timeit
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ...core.types import Pixels
from .canary import canary_clip
from .settings import RunSettings

if TYPE_CHECKING:
    from .._base import Encoder

_TRIALS = 2

_known: WeakKeyDictionary[Encoder, float] = WeakKeyDictionary()


def precision_slowdown(encoder: Encoder) -> float:
    """How many times as long as in float32 a clip takes in the encoder's precision, measured on the canary clip; 1 for
    float32. It is measured once for each loaded encoder.
    """
    if encoder.run.computes_in == "float32":
        return 1.0
    if encoder not in _known:
        clip = encoder.prepare(canary_clip(encoder.facts.num_frames))[None]  # (1, t, 3, h, w)
        single = encoder.replaced(run=RunSettings())
        for one in (encoder, single):
            one.encode(clip)  # the first pass of a network takes longer
        # In turns, and the best of each, so that a busy machine does not decide.
        rounds = [(_seconds(encoder, clip), _seconds(single, clip)) for _ in range(_TRIALS)]
        half_seconds, single_seconds = (min(one) for one in zip(*rounds, strict=True))
        _known[encoder] = half_seconds / single_seconds
    return _known[encoder]


def _seconds(encoder: Encoder, clip: Pixels) -> float:
    return timeit.timeit(lambda: encoder.encode(clip), number=1)
