"""Extraction against the loop that articles show, side by side in one run, on the same videos and weights.

    python benchmarks/extraction.py [--videos N] [--repeats N]

The loop decodes each whole file with PyAV, keeps the same uniform frames, and runs the Pillow processor of transformers
and ``model(**inputs, output_hidden_states=True)``, one video at a time in float32. The model is a VideoMAE of the base
size with random weights, which is fine for speed. Videos are generated: noise over moving shapes, several sizes.
Prints a table of medians and writes ``benchmarks/results/extraction.json``. Read the ratio, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pipeline import Bank, extract

SIZES = ((320, 240), (640, 360), (1280, 720))
PROCESSOR = {
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def make_videos(folder: Path, count: int) -> list[Path]:
    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        path = folder / f"{number:03d}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            ground = random.integers(0, 255, size=(height // 8, width // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
            for step in range(125):
                image = np.roll(ground, 3 * step, axis=1) + random.integers(0, 12, size=(height, width, 1))
                frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        paths.append(path)
    return paths


def make_checkpoint(folder: Path) -> Path:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    torch.manual_seed(0)
    model = VideoMAEForVideoClassification(VideoMAEConfig(use_mean_pooling=True))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # drawn as zeros, which a trained checkpoint never has, and which is refused
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    VideoMAEImageProcessorPil(**PROCESSOR).save_pretrained(folder)
    return folder


def articles_loop(paths: list[Path], checkpoint: Path) -> Callable[[], np.ndarray]:
    from transformers import VideoMAEForVideoClassification
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    model = VideoMAEForVideoClassification.from_pretrained(checkpoint).eval()
    processor = VideoMAEImageProcessorPil.from_pretrained(checkpoint)

    def run() -> np.ndarray:
        vectors = []
        for path in paths:
            with av.open(str(path)) as container:
                every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            frames = [every[int((index + 0.5) * len(every) / 16)] for index in range(16)]
            with torch.no_grad():
                inputs = processor(list(frames), return_tensors="pt")
                output = model(**inputs, output_hidden_states=True)
                vectors.append(model.fc_norm(output.hidden_states[-1].mean(1))[0].numpy())
        return np.stack(vectors)

    return run


def clipdex(paths: list[Path], checkpoint: Path, folder: Path) -> Callable[[], np.ndarray]:
    from pipeline import load_encoder

    encoder = load_encoder(str(checkpoint))

    def run() -> np.ndarray:
        bank = Path(tempfile.mkdtemp(dir=folder))
        done = extract(paths, bank=bank, encoder=encoder, clips="whole")
        opened = Bank(bank)
        order = {
            row.video: vector
            for row, vector in zip(opened.clips(done.recipe.id).rows(), opened.embeddings(done.recipe.id), strict=True)
        }
        return np.stack([order[str(path)] for path in paths])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_videos(folder, arguments.videos)
        checkpoint = make_checkpoint(folder / "videomae")
        runs = {"articles' loop": articles_loop(paths, checkpoint), "clipdex": clipdex(paths, checkpoint, folder)}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        vectors: dict[str, Any] = {}
        for _ in range(arguments.repeats):  # in turn, so that a noisy neighbour hits both
            for name, run in runs.items():
                started = time.perf_counter()
                vectors[name] = run()
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["articles' loop"])
    rows = [
        {
            "name": name,
            "seconds_per_video": round(statistics.median(times) / arguments.videos, 3),
            "spread_seconds": [round(min(times) / arguments.videos, 3), round(max(times) / arguments.videos, 3)],
            "times_faster": round(base / statistics.median(times), 2),
        }
        for name, times in seconds.items()
    ]
    ours, theirs = vectors["clipdex"], vectors["articles' loop"]
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table, f"least cosine between the two loops' vectors: {cosine.min():.6f}")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    facts = {
        "videos": arguments.videos,
        "threads": torch.get_num_threads(),
        "rows": rows,
        "cosine": float(cosine.min()),
    }
    (results / "extraction.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
