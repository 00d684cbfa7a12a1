"""What the model library's own forward pass says, for a tiny checkpoint of each architecture.

Pixels are normalised here by the plainest arithmetic, from numbers written down here and not read by the code
under test; features are taken where the library's own forward pass shows them: what its classifier is given, or
what it returns as its embeddings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import torch

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5,) * 3, (0.5,) * 3)
KINETICS = ((0.45,) * 3, (0.225,) * 3)
UNIT = ((0.0,) * 3, (1.0,) * 3)

TEXTS = ("a dog", "two cats on a table")

Vectors = np.ndarray


@dataclasses.dataclass(frozen=True)
class Case:
    """A tiny checkpoint and its oracle.

    Attributes:
        encoder: the file in ``encoders/`` that reads it.
        build: writes it into a folder.
        oracle: folder and normalised clips (n, t, 3, h, w) to vectors (n, dim).
        unit: the oracle's vectors have length 1 and ours need not.
        texts: folder and clips to the text vectors of ``TEXTS``, length 1, where there is a text tower.
        frames, size: of a clip.
    """

    encoder: str
    build: Callable[[Path], Path]
    oracle: Callable[[Path, torch.Tensor], torch.Tensor]
    pixels: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    unit: bool = False
    texts: Callable[[Path, torch.Tensor], torch.Tensor] | None = None
    frames: int = 4
    size: int = 32


def clips(case: Case, num: int) -> np.ndarray:
    """(num, t, 3, h, w) uint8."""
    return np.random.default_rng(5).integers(0, 256, size=(num, case.frames, 3, case.size, case.size), dtype=np.uint8)


def normalised(pixels: np.ndarray, case: Case) -> torch.Tensor:
    """By the plainest arithmetic, one channel after the other."""
    values = torch.from_numpy(pixels).double() / 255
    for channel in range(3):
        values[:, :, channel] = (values[:, :, channel] - case.pixels[0][channel]) / case.pixels[1][channel]
    return values.float()


def expected(case: Case, folder: Path, pixels: np.ndarray) -> Vectors:
    """The oracle's vectors."""
    with torch.inference_mode():
        return case.oracle(folder, normalised(pixels, case)).numpy()


def expected_texts(case: Case, folder: Path) -> Vectors:
    """The oracle's vectors of ``TEXTS``, each of length 1."""
    assert case.texts is not None
    with torch.inference_mode():
        found = case.texts(folder, normalised(clips(case, 1), case)).numpy()
    return unit(found)


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _load(name: str, folder: Path) -> Any:
    import transformers

    return getattr(transformers, name).from_pretrained(folder).eval()


def _classified(name: str) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    """What the classifier of this class is given."""

    def oracle(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
        model, seen = _load(name, folder), []
        model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        model(pixels)
        return seen[0].flatten(1)

    return oracle


def _tokens(name: str) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    """The mean over the tokens that this class returns."""
    return lambda folder, pixels: _load(name, folder)(pixels).last_hidden_state.mean(1)


def _class_token(name: str) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    return lambda folder, pixels: _load(name, folder)(pixels).last_hidden_state[:, 0]


def _tokenized(folder: Path, **options: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)(list(TEXTS), return_tensors="pt", **options)


def _xclip(folder: Path, pixels: torch.Tensor) -> Any:
    return _load("XCLIPModel", folder)(**_tokenized(folder, padding=True), pixel_values=pixels)


def _xclip_text(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    # The forward pass returns texts that a video has moved; before that they are these.
    return _load("XCLIPModel", folder).get_text_features(**_tokenized(folder, padding=True)).pooler_output


def _lvt(folder: Path, pixels: torch.Tensor) -> Any:
    tokens = _tokenized(folder, padding="max_length", max_length=32)
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    return _load("VideoPrismClipModel", folder)(pixel_values_videos=pixels, **inputs)


def _image_text(name: str, **options: Any) -> Callable[[Path, torch.Tensor], Any]:
    """One frame of one clip after the other."""

    def oracle(folder: Path, pixels: torch.Tensor) -> Any:
        tokens = _tokenized(folder, **options)
        inputs = {key: tokens[key] for key in (("input_ids",) if options.get("max_length") else tokens.keys())}
        model = _load(name, folder)
        return [[model(pixel_values=frame[None], **inputs) for frame in clip] for clip in pixels]

    return oracle


def _mean_of_frames(run: Callable[[Path, torch.Tensor], Any]) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    return lambda folder, pixels: torch.stack(
        [torch.cat([one.image_embeds for one in clip]).mean(0) for clip in run(folder, pixels)]
    )


def _text_of(run: Callable[[Path, torch.Tensor], Any]) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    return lambda folder, pixels: run(folder, pixels)[0][0].text_embeds


_clip = _image_text("CLIPModel", padding=True)
_siglip = _image_text("SiglipModel", padding="max_length", max_length=32)


def _dino(name: str) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    def oracle(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
        model = _load(name, folder)
        return torch.stack([torch.cat([model(frame[None]).pooler_output for frame in clip]).mean(0) for clip in pixels])

    return oracle


def _pe(folder: Path, pixels: torch.Tensor) -> Any:
    from transformers import AutoConfig

    tokens = _tokenized(folder, padding=True)
    config = checkpoints.pe_video_config(AutoConfig.from_pretrained(folder))
    model = checkpoints.pe_video_class(config.architectures[0]).from_pretrained(folder, config=config).eval()
    model = getattr(model, "video_model", model)
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    return model(pixel_values_videos=pixels, **inputs)


def _conv(stem: str) -> Callable[[Path], Path]:
    """A published file's name with random weights in it."""

    def build(folder: Path) -> Path:
        from pipeline.encoders import encoders
        from pipeline.encoders._families.pytorchvideo import _build

        (variant,) = (
            part.variants[stem] for part in map(encoders.get, encoders.names()) if stem in getattr(part, "variants", {})
        )
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        network = _build(variant.builder)
        _settle_norms(network)
        path = folder / f"{stem}.pyth"
        torch.save({"model_state": network.state_dict()}, path)
        return path

    return build


def _settle_norms(network: torch.nn.Module) -> None:
    """Running statistics that are not 0 and 1, so that a network in training mode would show."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)


def _conv_oracle(builder: str, *, alpha: int = 0, token: bool = False) -> Callable[[Path, torch.Tensor], torch.Tensor]:
    """What the network's last linear layer is given, averaged over the places where it is applied."""

    def oracle(path: Path, pixels: torch.Tensor) -> torch.Tensor:
        from pipeline.encoders._families.pytorchvideo import _build

        network = _build(builder)
        network.load_state_dict(torch.load(path, weights_only=True)["model_state"])
        network.eval()
        linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
        seen: list[torch.Tensor] = []
        linear.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        vectors = []
        for clip in pixels:
            video = clip.permute(1, 0, 2, 3)[None]
            network([video[:, :, _slow(video.shape[2], alpha)], video] if alpha else video)
            place = seen.pop()
            vectors.append(place[0] if token else place.reshape(-1, place.shape[-1]).mean(0))
        return torch.stack(vectors)

    return oracle


def _slow(total: int, alpha: int) -> list[int]:
    return [int(number * (total - 1) / (total // alpha - 1)) for number in range(total // alpha)]


CASES: dict[str, Case] = {
    "videomae, fine-tuned": Case("videomae", checkpoints.videomae, _classified("VideoMAEForVideoClassification")),
    "videomae, self-supervised": Case(
        "videomae", lambda folder: checkpoints.videomae(folder, pretraining=True), _tokens("VideoMAEModel")
    ),
    "xclip": Case("xclip", checkpoints.xclip, lambda *a: _xclip(*a).video_embeds, unit=True, texts=_xclip_text),
    "timesformer": Case(
        "timesformer", checkpoints.timesformer, _classified("TimesformerForVideoClassification"), KINETICS
    ),
    "vivit": Case("vivit", checkpoints.vivit, _classified("VivitForVideoClassification"), HALVES),
    "vjepa2": Case("vjepa2", checkpoints.vjepa2, _tokens("VJEPA2Model")),
    "vjepa2, with a probe": Case(
        "vjepa2",
        lambda folder: checkpoints.vjepa2(folder, classifier=True),
        _classified("VJEPA2ForVideoClassification"),
    ),
    "videoprism, LvT": Case(
        "videoprism",
        checkpoints.videoprism,
        lambda *a: _lvt(*a).video_embeds,
        UNIT,
        texts=lambda *a: _lvt(*a).text_embeds,
    ),
    "videoprism, video only": Case(
        "videoprism",
        lambda folder: checkpoints.videoprism(folder, kind="vision"),
        _tokens("VideoPrismVisionModel"),
        UNIT,
    ),
    "videoprism, with a classifier": Case(
        "videoprism",
        lambda folder: checkpoints.videoprism(folder, kind="tuned"),
        _classified("VideoPrismForVideoClassification"),
        UNIT,
    ),
    "pe_video": Case(
        "pe_video",
        checkpoints.pe_video,
        lambda *a: _pe(*a).video_embeds,
        HALVES,
        texts=lambda *a: _pe(*a).text_video_embeds,
    ),
    "pe_video, with sound": Case(
        "pe_video",
        lambda folder: checkpoints.pe_video(folder, sound=True),
        lambda *a: _pe(*a).video_embeds,
        HALVES,
        texts=lambda *a: _pe(*a).text_video_embeds,
    ),
    "clip": Case("clip", checkpoints.clip, _mean_of_frames(_clip), texts=_text_of(_clip)),
    "siglip": Case("siglip", checkpoints.siglip, _mean_of_frames(_siglip), HALVES, texts=_text_of(_siglip)),
    "dinov2": Case("dinov2", checkpoints.dinov2, _dino("Dinov2Model")),
    "dinov2, with registers": Case(
        "dinov2",
        lambda folder: checkpoints.dinov2(folder, registers=True),
        _dino("Dinov2WithRegistersModel"),
    ),
    "dinov3": Case("dinov2", checkpoints.dinov3, _dino("DINOv3ViTModel")),
    "c2d": Case("c2d", _conv("C2D_8x8_R50"), _conv_oracle("c2d_r50"), KINETICS, frames=8, size=256),
    "i3d": Case("i3d", _conv("I3D_8x8_R50"), _conv_oracle("i3d_r50"), KINETICS, frames=8, size=256),
    "r2plus1d": Case(
        "r2plus1d", _conv("R2PLUS1D_16x4_R50"), _conv_oracle("r2plus1d_r50"), KINETICS, frames=16, size=256
    ),
    "slowfast": Case(
        "slowfast", _conv("SLOWFAST_8x8_R50"), _conv_oracle("slowfast_r50", alpha=4), KINETICS, frames=32, size=256
    ),
    "x3d": Case("x3d", _conv("X3D_XS"), _conv_oracle("x3d_xs"), KINETICS, frames=4, size=182),
    "mvit": Case(
        "mvit", _conv("MVIT_B_16x4"), _conv_oracle("mvit_base_16x4", token=True), KINETICS, frames=16, size=224
    ),
}

# Real sizes: seconds each. The table in docs/encoders.md is made of all; the normal test run takes one of them.
SLOW = ("c2d", "i3d", "r2plus1d", "slowfast", "mvit")
