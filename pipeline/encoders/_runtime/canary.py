"""A generated clip that is encoded whenever an encoder is loaded, to detect wrong vectors by its fingerprint.

Weights, processor file, libraries and device can each go wrong without an error, and have done so. The canary
detects this in two ways: pixels of known colours have to become exactly the values that the settings imply, and the
clip's vector has to match the one stored in the bank's recipe.
"""

from __future__ import annotations

import numpy as np

from ...core.errors import EncoderError, RecipeMismatch
from ...core.recipe import Canary, Recipe
from ...core.types import FloatArray, Pixels
from .._base import Encoder
from .._card import libraries

# Sides of the clip: none of them any encoder's own, so that resizing and cropping take part.
_HEIGHT, _WIDTH = 240, 320

# Red, green and blue differ in every sum, so that channels in another order are seen.
_COLOUR = (200, 120, 40)

_NUM_COEFFICIENTS = 16

_FRAMES_AT_A_RATE = 16  # of encoders that take any number

# Processors and threads change a vector by about 1e-6 of its length, TensorFloat-32 by 1e-3; a lost bias or norm,
# other pixels or another order of channels by more than 1e-2.
DRIFT_LIMIT = 5e-3

# In half precision another device rounds otherwise.
_HALF_DRIFT_LIMIT = 2e-2

# A grey level is at most 0.02 of what encoders are given; other releases may round by one.
_PIXEL_LIMIT = 0.03


def canary_clip(num_frames: int) -> Pixels:
    """(num_frames, 240, 320, 3) uint8: moving gradients and stripes, another in each channel."""
    t, y, x = np.ogrid[:num_frames, :_HEIGHT, :_WIDTH]
    red = (x * 255 // (_WIDTH - 1) + 8 * t) % 256
    green = (y * 191 // (_HEIGHT - 1) + 24 * t) % 192
    blue = ((x // 8 + y // 8 + t) % 16) * 8
    return np.stack(np.broadcast_arrays(red, green, blue), axis=-1).astype(np.uint8)


def encode_canary(encoder: Encoder) -> Canary:
    """Encode the canary and return its fingerprint.

    Raises:
        EncoderError: known colours do not become the pixels that the settings imply, or the vector is none.
    """
    import torch

    from .._preprocess import normalise

    _check_colours(encoder)
    facts = encoder.facts
    num_frames = facts.num_frames if facts.frames_per_second is None else min(_FRAMES_AT_A_RATE, facts.num_frames)
    prepared = encoder.prepare(canary_clip(num_frames))
    vector = encoder.encode(prepared[None])[0]
    pixels = normalise(torch.from_numpy(prepared), encoder.facts.preprocessing)
    return Canary(
        length=_rounded(float(np.linalg.norm(vector))),
        fingerprint=tuple(_rounded(float(value)) for value in _coefficients(vector)),
        pixel_min=_rounded(float(pixels.min())),
        pixel_max=_rounded(float(pixels.max())),
        pixel_mean=_rounded(float(pixels.mean())),
    )


def _coefficients(vector: FloatArray) -> FloatArray:
    """Sums over the whole vector, so that a change anywhere shows: the first terms of its cosine transform."""
    from scipy.fft import dct

    terms: FloatArray = dct(vector.astype(np.float64), norm="ortho")[:_NUM_COEFFICIENTS]
    return terms


def _rounded(value: float) -> float:
    """7 significant digits: as many as float32 has."""
    return float(f"{value:.7g}")


def _check_colours(encoder: Encoder) -> None:
    import torch

    from .._preprocess import normalise

    settings = encoder.facts.preprocessing
    # Half as large again as wanted, so that resizing and cropping both happen.
    side = 3 * encoder.facts.image_size // 2
    frame = np.broadcast_to(np.array(_COLOUR, np.uint8), (1, side, side, 3)).copy()
    values = normalise(torch.from_numpy(encoder.prepare(frame)), settings)[0]  # (3, h, w)
    for number, name in enumerate(("red", "green", "blue")):
        mean = 0.0 if settings.mean is None else settings.mean[number]
        deviation = 1.0 if settings.std is None else settings.std[number]
        expected = (_COLOUR[number] * settings.scale - mean) / deviation
        least, most = (float(value) for value in values[number].aminmax())
        # One grey level either way: resizing rounds.
        tolerance = 1.01 * settings.scale / deviation
        if abs(least - expected) > tolerance or abs(most - expected) > tolerance:
            raise EncoderError(
                f"the canary's {name} pixels came out as {least:.3f} to {most:.3f}, but the settings of "
                f"{encoder.facts.checkpoint} imply {expected:.3f}: channels are swapped, or scaled or normalised "
                "twice or not at all. Nothing was encoded"
            )


def drift(now: Canary, then: Canary) -> float:
    """How far the canary's vector has moved, as a share of its length."""
    ours, theirs = np.array(now.fingerprint), np.array(then.fingerprint)
    if ours.shape != theirs.shape:
        return float("inf")
    # Sixteen of dim coefficients carry about that share of the length; compare like with like.
    size = max(float(np.linalg.norm(theirs)), 1e-12)
    return max(float(np.linalg.norm(ours - theirs)) / size, abs(now.length - then.length) / max(then.length, 1e-12))


def check_canary(now: Recipe, then: Recipe) -> float | None:
    """Refuse an encoder whose canary sounds unlike the one in a stored recipe; else how far it drifted.

    Returns:
        None where one of them has no canary.

    Raises:
        RecipeMismatch: the same weights and settings do not give the same vectors any more.
    """
    if now.canary is None or then.canary is None:
        return None
    for name in ("pixel_min", "pixel_max", "pixel_mean"):
        ours, theirs = getattr(now.canary, name), getattr(then.canary, name)
        if not abs(ours - theirs) <= _PIXEL_LIMIT:
            raise RecipeMismatch(
                f"{then.encoder} ({then.checkpoint}) gets other pixels than it got: {name.replace('_', ' ')} of its "
                f"canary clip was {theirs:.4g} and is {ours:.4g}, though the settings are the same. Go back to the "
                "libraries of then, or extract again"
            )
    moved = drift(now.canary, then.canary)
    limit = DRIFT_LIMIT if now.precision == "float32" else _HALF_DRIFT_LIMIT
    if not moved <= limit:
        earlier = ", ".join(
            f"{name} {then.libraries.get(name, '?')} then, {release} now"
            for name, release in libraries().items()
            if then.libraries.get(name) != release
        )
        raise RecipeMismatch(
            f"{then.encoder} ({then.checkpoint}) does not give the vectors it gave: its canary clip moved by "
            f"{moved:.2g} of its length (limit {limit:g}), though weights and settings are the same. "
            f"{'Libraries: ' + earlier if earlier else 'The libraries are the same releases'}. Go back to those of "
            "then, or extract again"
        )
    return moved
