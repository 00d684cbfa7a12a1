"""What speed is measured on: generated videos of common sizes and checkpoints of real sizes with random weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from checkpoints import PROCESSOR

from pipeline.encoders._runtime.torchvision import make_importable

make_importable()  # a torchvision for another torch keeps transformers' models from loading

MIXED = ((320, 180), (320, 240), (640, 360), (854, 480), (1280, 720), (1920, 1080))
SHORT = ((320, 240),)
LARGE = ((1280, 720), (1920, 1080))

_PROCESSOR = {**PROCESSOR, "size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}


def make_videos(folder: Path, count: int, *, sizes: Sequence[tuple[int, int]], seconds: float) -> list[Path]:
    """H.264 at 25 frames a second: patches of a still picture move over a ground that pans, under sensor noise."""
    folder.mkdir()
    paths = []
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        paths.append(folder / f"{number:03d}.mp4")
        _write(paths[-1], width, height, frames=round(25 * seconds), seed=number)
    return paths


def _write(path: Path, width: int, height: int, *, frames: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, size=(height // 40 + 2, width // 40 + 2, 3)).astype(np.float32)
    ground = torch.nn.functional.interpolate(
        torch.from_numpy(coarse).permute(2, 0, 1)[None], (height, width), mode="bicubic"
    )[0]
    picture = ground.clamp(0, 244).permute(1, 2, 0).numpy().astype(np.uint8)
    noise = random.integers(0, 11, size=(height + 64, width + 64, 1), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "23", "threads": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for step in range(frames):
            image = np.roll(picture, 2 * step, axis=1)
            top = 5 * step % (height // 2)
            image[top : top + height // 4, width // 3 : width // 2] = picture[: height // 4, : width // 2 - width // 3]
            y, x = random.integers(0, 64, size=2)
            image = image + noise[y : y + height, x : x + width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))


def _save(model: Any, folder: Path) -> Path:
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # drawn as zeros, which a trained checkpoint never has, and which is refused
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PROCESSOR))
    return folder


def videomae(folder: Path) -> Path:
    """VideoMAE of the base size: 16 frames, 768 dimensions."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    torch.manual_seed(0)
    return _save(VideoMAEForVideoClassification(VideoMAEConfig(use_mean_pooling=True)), folder)


def xclip(folder: Path) -> Path:
    """X-CLIP base/32: 8 frames, 512 dimensions."""
    from transformers import XCLIPConfig, XCLIPModel

    torch.manual_seed(0)
    return _save(XCLIPModel(XCLIPConfig()), folder)
