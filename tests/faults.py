"""Ways in which vectors came out wrong for others, planted on purpose: each has to be refused before a row is stored.

Used by the tests, and by the script that writes the table in ``docs/encoders.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import hard_videos
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline import extract
from pipeline.encoders import load_encoder, load_for

# A fault gets a way to patch and an empty folder, plants itself, and runs what has to be refused.
Fault = Callable[[pytest.MonkeyPatch, Path], Any]


def _rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def _processor(folder: Path, **changes: Any) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _is_bias(name: str) -> bool:
    return name.endswith(("q_bias", "v_bias", "query.bias", "value.bias"))


def _loaded(patch: pytest.MonkeyPatch, spoil: Callable[[Any], None]) -> None:
    """Every model from now on is spoilt after it was loaded, as by a library that says nothing."""
    from pipeline.encoders._families import transformers as _transformers

    honest = _transformers.load_strictly

    def load(model_class: Any, checkpoint: Any, **options: Any) -> Any:
        model = honest(model_class, checkpoint, **options)
        with torch.no_grad():
            spoil(model)
        return model

    patch.setattr(_transformers, "load_strictly", load)


def _some_biases(model: Any) -> None:
    """Half of what they were: zeros would be noticed at once."""
    biases = [parameter for name, parameter in model.named_parameters() if _is_bias(name)]
    assert len(biases) == 4
    for bias in biases[:3]:
        bias.mul_(0.5)


def _extract(folder: Path, checkpoint: Path, *, number: int = 1, **options: Any) -> None:
    """What a user would do: the fault has to be refused before a row is stored."""
    video = folder / f"{number}.mp4"
    hard_videos.write(video, hard_videos.steady(20 + 5 * number), options=hard_videos.X264)
    extract([video], bank=folder / "bank", encoder=str(checkpoint), **options)


def bias_keys_missing(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videomae(folder / "mae")
    _rewrite(checkpoint, lambda weights: {name: value for name, value in weights.items() if not _is_bias(name)})
    _extract(folder, checkpoint)


def biases_saved_as_zero(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videomae(folder / "mae")
    _rewrite(checkpoint, lambda old: {key: value * 0 if _is_bias(key) else value for key, value in old.items()})
    _extract(folder, checkpoint)


def biases_lost_by_the_library(patch: pytest.MonkeyPatch, folder: Path) -> None:
    recipe = load_encoder(str(checkpoints.videomae(folder / "mae"))).recipe(decoder="pyav")
    _loaded(patch, _some_biases)
    load_for(recipe)


def biases_lost_between_two_extractions(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videomae(folder / "mae")
    _extract(folder, checkpoint)
    _loaded(patch, _some_biases)
    _extract(folder, checkpoint, number=2)


def final_norm_dropped_on_loading(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videomae(folder / "mae")
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "architectures": ["VideoMAEModel"]}))
    _extract(folder, checkpoint)


def final_norm_dropped_by_the_library(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videomae(folder / "mae")
    _extract(folder, checkpoint)

    def unnormed(model: Any) -> None:
        model.fc_norm.weight.fill_(1)
        model.fc_norm.bias.zero_()

    _loaded(patch, unnormed)
    _extract(folder, checkpoint, number=2)


def stray_weights(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.xclip(folder / "xclip")
    _rewrite(checkpoint, lambda weights: {**weights, "vision_model.stray.weight": torch.ones(3)})
    _extract(folder, checkpoint)


def channels_swapped(patch: pytest.MonkeyPatch, folder: Path) -> None:
    from pipeline.encoders import _preprocess as preprocess

    honest = preprocess.fit
    patch.setattr(preprocess, "fit", lambda frames, settings: honest(frames.flip(3), settings))
    _extract(folder, checkpoints.videomae(folder / "mae"))


def pixels_not_scaled(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videomae(folder / "mae")
    _processor(checkpoint, do_rescale=False)
    _extract(folder, checkpoint)


def pixels_not_normalised_by_the_code(patch: pytest.MonkeyPatch, folder: Path) -> None:
    from pipeline.encoders import _preprocess as preprocess

    patch.setattr(preprocess, "normalise", lambda pixels, _: pixels.float())
    _extract(folder, checkpoints.videomae(folder / "mae"))


def normalised_twice_in_the_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.timesformer(folder / "timesformer")
    _processor(checkpoint, rescale_factor=1 / 127.5, offset=True, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    _extract(folder, checkpoint)


def normalised_twice_by_the_code(patch: pytest.MonkeyPatch, folder: Path) -> None:
    from pipeline.encoders import _preprocess as preprocess

    honest = preprocess.normalise

    def twice(pixels: Any, settings: Any) -> Any:
        values = honest(pixels, settings)
        mean, std = (torch.tensor(one).view(3, 1, 1) for one in (settings.mean, settings.std))
        return (values - mean) / std

    patch.setattr(preprocess, "normalise", twice)
    _extract(folder, checkpoints.vivit(folder / "vivit"))


def scaled_twice_in_the_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.videoprism(folder / "videoprism")
    _processor(checkpoint, rescale_factor=1 / 255 / 255)
    _extract(folder, checkpoint)


def another_frame_count(patch: pytest.MonkeyPatch, folder: Path) -> None:
    _extract(folder, checkpoints.timesformer(folder / "timesformer"), num_frames=16)


def another_picture_size(patch: pytest.MonkeyPatch, folder: Path) -> None:
    checkpoint = checkpoints.timesformer(folder / "timesformer")
    _processor(checkpoint, crop_size={"height": 24, "width": 24})
    _extract(folder, checkpoint)


def weights_exchanged(patch: pytest.MonkeyPatch, folder: Path) -> None:
    recipe = load_encoder(str(checkpoints.videomae(folder / "mae"))).recipe(decoder="pyav")
    checkpoints.videomae(folder / "mae", seed=3)
    load_for(recipe)


def vectors_not_finite(patch: pytest.MonkeyPatch, folder: Path) -> None:
    _loaded(patch, lambda model: model.fc_norm.weight[0].fill_(float("nan")))
    _extract(folder, checkpoints.videomae(folder / "mae"))


def vectors_constant(patch: pytest.MonkeyPatch, folder: Path) -> None:
    def dull(model: Any) -> None:
        model.fc_norm.weight.zero_()
        model.fc_norm.bias.fill_(0.5)

    _loaded(patch, dull)
    _extract(folder, checkpoints.videomae(folder / "mae"))


# Those that need an honest extraction first, to differ from.
AFTER_AN_HONEST_ONE = ("the same between two extractions into one bank", "the final norm lost, without a report")

# What was planted, and a piece of the message that has to come.
FAULTS: dict[str, tuple[Fault, str]] = {
    "VideoMAE query and value biases not in the file": (bias_keys_missing, r"missing keys, the first .*bias"),
    "VideoMAE query and value biases saved as zeros": (biases_saved_as_zero, r"query and value biases .* are zero"),
    "biases lost while loading, without a report": (biases_lost_by_the_library, r"canary clip moved by"),
    "the same between two extractions into one bank": (biases_lost_between_two_extractions, r"canary clip moved by"),
    "VideoMAE's final norm dropped, as AutoModel does": (final_norm_dropped_on_loading, r"unexpected keys, the first"),
    "the final norm lost, without a report": (final_norm_dropped_by_the_library, r"canary clip moved by"),
    "weights that have no place in the model": (stray_weights, r"unexpected keys, the first vision_model.stray"),
    "weights exchanged under the same name": (weights_exchanged, r"weights_sha256"),
    "red and blue swapped": (channels_swapped, r"canary's red pixels .* channels are swapped"),
    "pixels from 0 to 255, by the processor file": (pixels_not_scaled, r"leads to pixels from -2.\d* to 1.\d*e\+03"),
    "pixels from 0 to 255, by the code": (pixels_not_normalised_by_the_code, r"canary's red pixels came out as 200"),
    "normalised twice, by the processor file": (normalised_twice_in_the_file, r"leads to pixels from -3 to 1"),
    "normalised twice, by the code": (normalised_twice_by_the_code, r"canary's red pixels"),
    "scaled twice, by the processor file": (scaled_twice_in_the_file, r"leads to pixels from 0 to 0.0039"),
    "another number of frames": (another_frame_count, r"takes exactly 4 frames a clip, not 16"),
    "another picture size": (another_picture_size, r"pictures of \(24, 24\), but the model takes 32x32"),
    "vectors that are not finite": (vectors_not_finite, r"not finite"),
    "vectors that are constant": (vectors_constant, r"constant vector"),
}
