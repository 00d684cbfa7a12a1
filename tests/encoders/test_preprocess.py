"""Pixels equal those of transformers' own Pillow processor, within one grey level."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import PROCESSOR

from pipeline.core.errors import EncoderError
from pipeline.core.recipe import PreprocessSettings
from pipeline.encoders._preprocess import check_range, fit, normalise, settings_from, value_range

pytestmark = pytest.mark.numeric

SETTINGS = settings_from(PROCESSOR, image_size=32, origin=Path("preprocessor_config.json"))


def smooth_frames(height: int, width: int) -> np.ndarray:
    """Natural-looking frames: low frequencies, noise and an edge."""
    random = np.random.default_rng(height * width)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (7 + 3 * c)) * np.cos(y / (5 + 2 * c)) for c in range(3)]
    picture = 127 + 80 * np.stack(waves, axis=2) + 60 * (x > width // 3)[:, :, None]
    noisy = picture[None] + random.normal(0, 12, size=(3, height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (101, 67), (32, 32), (20, 33), (224, 400)])
@pytest.mark.parametrize("resample", [2, 3])
def test_frames_equal_the_pillow_processor_within_one_grey_level(size: tuple[int, int], resample: int) -> None:
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    content = {**PROCESSOR, "resample": resample}
    settings = settings_from(content, image_size=32, origin=Path("x"))
    frames = smooth_frames(*size)
    arguments = {name: value for name, value in content.items() if name != "image_processor_type"}
    theirs = VideoMAEImageProcessorPil(**arguments)(list(frames), return_tensors="pt")["pixel_values"][0]
    ours = normalise(fit(torch.from_numpy(frames), settings), settings)
    grey_level = 1 / 255 / min(PROCESSOR["image_std"])
    assert ours.shape == theirs.shape == (3, 3, 32, 32)
    assert (ours - theirs).abs().max() <= grey_level + 1e-5
    assert (ours - theirs).abs().mean() < 0.1 * grey_level


def test_older_files_with_plain_sizes_mean_the_same() -> None:
    older = {**PROCESSOR, "size": 32, "crop_size": 32}
    assert settings_from(older, image_size=32, origin=Path("x")) == SETTINGS
    del older["crop_size"]
    assert settings_from(older, image_size=32, origin=Path("x")) == SETTINGS


def test_swapped_channels_show() -> None:
    red = np.zeros((1, 40, 40, 3), np.uint8)
    red[..., 0] = 255
    values = normalise(fit(torch.from_numpy(red), SETTINGS), SETTINGS)
    for channel, grey in enumerate((1.0, 0.0, 0.0)):
        expected = (grey - PROCESSOR["image_mean"][channel]) / PROCESSOR["image_std"][channel]
        assert values[0, channel].unique() == pytest.approx(expected, abs=1e-5)


def test_pixels_out_of_range_are_refused() -> None:
    low, high = value_range(SETTINGS)
    assert (low, high) == pytest.approx((-0.485 / 0.229, (1 - 0.406) / 0.225))
    for wrong in (torch.tensor([0.0, 255.0]), torch.tensor([-3.0, 1.0]), torch.tensor([float("nan")])):
        with pytest.raises(EncoderError, match="pixels run from"):
            check_range(wrong, SETTINGS)


def test_pixels_that_were_normalised_already_are_refused() -> None:
    frames = torch.from_numpy(smooth_frames(40, 40))
    once = normalise(fit(frames, SETTINGS), SETTINGS)
    with pytest.raises(EncoderError, match="normalised already"):
        normalise(once, SETTINGS)
    with pytest.raises(EncoderError, match="scaled twice"):
        fit(frames.float() / 255, SETTINGS)
    with pytest.raises(EncoderError, match=r"\(t, h, w, 3\)"):
        fit(frames.permute(0, 3, 1, 2), SETTINGS)


def test_settings_check_themselves() -> None:
    with pytest.raises(ValueError, match="come together"):
        dataclasses.replace(SETTINGS, std=None)
    with pytest.raises(ValueError, match="positive"):
        PreprocessSettings(32, None, "bilinear", 1 / 255, (0.5,) * 3, (0.5, 0.0, 0.5))
