"""PIXELS: decoded frames -> what the encoder was trained on, as the checkpoint's own processor file says.

Resizing runs on uint8 with torch's antialiased kernels, vectorised over frames; on 16 frames of 1080p that
is about nine times faster than the Pillow processor of transformers and equal to it within one grey level.
Nothing here has a default mean, deviation or interpolation: class defaults have changed between releases
of transformers and cost people wrong vectors, so a file that does not say is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..core.errors import EncoderError
from ..core.recipe import PreprocessSettings

# Where transformers 4 and 5 keep the settings, the older place first; in the last they are nested.
_FILES = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
_NESTED = ("image_processor", "video_processor")
_OF_PICTURES = frozenset({"size", "resample", "image_mean", "do_rescale", "do_resize"})

_INTERPOLATION: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}


# What known encoders are trained on lies between -2.12 and 2.64 (ImageNet's mean and deviation) and spans at least 1.
_FURTHEST = 2.8
_NARROWEST = 0.9


def read_settings(
    folder: Path,
    *,
    image_size: int | None,
    mend: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content,
) -> PreprocessSettings:
    """The preprocessing that the checkpoint in ``folder`` was trained with.

    Args:
        image_size: side of the square the model takes, in pixels; the file has to lead to it. None where the
            model takes squares of any size.
        mend: puts right what the file is known to say wrongly.

    Raises:
        EncoderError: no file, one that leaves something open, or one that leads to another size or to numbers
            that no encoder is trained on.
    """
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise EncoderError(f"{path} is not JSON: {error}") from error
        try:
            nested = [content[key] for key in _NESTED if isinstance(content.get(key), dict)]
            found = nested[0] if nested else content
            if not _OF_PICTURES.intersection(found):
                continue  # of the sound, where a model hears as well
            return settings_from(mend(found), image_size=image_size, origin=path)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EncoderError(f"{path} cannot be understood ({type(error).__name__}: {error})") from error
    raise EncoderError(
        f"{folder} has none of {', '.join(_FILES)} that speaks of pictures; without its mean and "
        "deviation the vectors would be wrong. Copy the file from the checkpoint's page into the folder"
    )


def settings_from(content: Mapping[str, Any], *, image_size: int | None, origin: Path) -> PreprocessSettings:
    """The same from the file's content; ``origin`` is for messages."""

    def needed(key: str) -> Any:
        if content.get(key) is None:
            raise EncoderError(f"{origin} does not say {key!r}, and a guess could spoil every vector: add it")
        return content[key]

    resize = _edges(needed("size")) if content.get("do_resize", True) else None
    crop = None
    if content.get("do_center_crop", False):
        crop = _pair(content.get("crop_size") or image_size or needed("crop_size"))
    mean = std = None
    # A file that gives mean and deviation wants them used, unless it says otherwise.
    if content.get("do_normalize", content.get("image_mean") and content.get("image_std")) or needed("do_normalize"):
        mean, std = _channels(needed("image_mean")), _channels(needed("image_std"))
    resample = int(needed("resample"))
    if resample not in _INTERPOLATION:
        raise EncoderError(f"{origin} asks for Pillow's resampling filter {resample}; known are 2 and 3")
    scale = float(content.get("rescale_factor", 1 / 255)) if content.get("do_rescale", True) else 1.0
    if content.get("offset", content.get("do_zero_centering", False)):
        # x * scale - 1, then normalised: the same as a mean that is one deviation's worth larger.
        red, green, blue = mean or (0.0,) * 3
        mean, std = (1.0 + red, 1.0 + green, 1.0 + blue), std or (1.0,) * 3
    settings = PreprocessSettings(resize, crop, _INTERPOLATION[resample], scale, mean, std)
    height, width = settings.final_size
    if height != width or not height or image_size not in (None, height):
        wanted = "squares" if image_size is None else f"{image_size}x{image_size} pixels"
        raise EncoderError(
            f"{origin} leads to pictures of {(height, width)}, but the model takes {wanted}; "
            "this is another checkpoint's file"
        )
    _check_plausible(settings, origin)
    return settings


def _check_plausible(settings: PreprocessSettings, origin: Path) -> None:
    low, high = value_range(settings)
    if max(abs(low), abs(high)) > _FURTHEST or high - low < _NARROWEST:
        raise EncoderError(
            f"{origin} leads to pixels from {low:.3g} to {high:.3g}. Encoders are trained on numbers between "
            f"-{_FURTHEST} and {_FURTHEST}: the file scales or normalises twice, or not at all. Compare its "
            "do_rescale, rescale_factor, offset, image_mean and image_std with the checkpoint's page"
        )


def _edges(size: int | Mapping[str, int]) -> int | tuple[int, int]:
    if isinstance(size, int):
        return size
    return int(size["shortest_edge"]) if "shortest_edge" in size else _pair(size)


def _pair(size: int | Mapping[str, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size["height"]), int(size["width"]))


def _channels(value: float | list[float]) -> tuple[float, float, float]:
    red, green, blue = value if isinstance(value, list) else [value] * 3
    return float(red), float(green), float(blue)


def fit(frames: Tensor, settings: PreprocessSettings) -> Tensor:
    """Resize and crop, still in grey levels.

    Args:
        frames: (t, h, w, 3) uint8 RGB.

    Returns:
        (t, 3, height, width) uint8 of the size that the settings lead to.

    Raises:
        EncoderError: not uint8 RGB frames.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise EncoderError(
            f"frames must be (t, h, w, 3) uint8 RGB, not {tuple(frames.shape)} {frames.dtype}; "
            "pixels that were scaled already would be scaled twice"
        )
    pixels = frames.permute(0, 3, 1, 2)  # (t, 3, h, w), a view: torch resizes channels-last without a copy
    height, width = pixels.shape[2:]
    if settings.resize is not None:
        size = _resized(height, width, settings.resize)
        if size != (height, width):
            pixels = interpolate(pixels, size, mode=settings.interpolation, antialias=True)
    if settings.crop is not None:
        (height, width), (crop_height, crop_width) = pixels.shape[2:], settings.crop
        if height < crop_height or width < crop_width:
            raise EncoderError(f"a crop of {settings.crop} does not fit into {height}x{width} pixels")
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        pixels = pixels[:, :, top : top + crop_height, left : left + crop_width]
    return pixels.contiguous()


def _resized(height: int, width: int, resize: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) after resizing; the long edge is cut to a whole pixel, as transformers does."""
    if isinstance(resize, tuple):
        return resize
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize


def normalise(pixels: Tensor, settings: PreprocessSettings) -> Tensor:
    """Grey levels to the encoder's numbers: ``(pixels * scale - mean) / std``, in float32.

    Args:
        pixels: (..., 3, h, w) uint8, on the encoder's device.

    Raises:
        EncoderError: the input is not uint8, or a result is outside of what the settings can lead to.
    """
    if pixels.dtype != torch.uint8 or pixels.shape[-3] != 3:
        raise EncoderError(
            f"pixels must be (..., 3, h, w) uint8, not {tuple(pixels.shape)} {pixels.dtype}; "
            "they may have been normalised already"
        )
    # Every grey level at once: looking through the values themselves would wait for a GPU.
    check_range(_normalised(torch.arange(256, dtype=torch.uint8).view(1, 256, 1).expand(3, -1, -1), settings), settings)
    return _normalised(pixels, settings)


def _normalised(pixels: Tensor, settings: PreprocessSettings) -> Tensor:
    values = pixels.to(torch.float32) * settings.scale
    if settings.mean is None or settings.std is None:
        return values
    mean, std = (
        torch.tensor(three).view(3, 1, 1).to(values.device, non_blocking=True)
        for three in (settings.mean, settings.std)
    )
    return (values - mean) / std


def value_range(settings: PreprocessSettings) -> tuple[float, float]:
    """The smallest and the largest number that black and white pixels lead to, over all channels."""
    white = 255 * settings.scale
    mean, std = settings.mean or (0.0,) * 3, settings.std or (1.0,) * 3
    return (
        min((0.0 - m) / s for m, s in zip(mean, std, strict=True)),
        max((white - m) / s for m, s in zip(mean, std, strict=True)),
    )


def check_range(values: Tensor, settings: PreprocessSettings) -> None:
    """Refuse numbers that no 8-bit picture leads to.

    Raises:
        EncoderError: with both ranges.
    """
    low, high = value_range(settings)
    least, most = (float(value) for value in values.aminmax())
    if not (least >= low - 1e-4 and most <= high + 1e-4):
        raise EncoderError(
            f"pixels run from {least:.3f} to {most:.3f}, but these settings lead to {low:.3f} to {high:.3f} at most"
        )
