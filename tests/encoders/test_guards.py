"""No way that is known to make wrong vectors gets as far as a stored row."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import checkpoints
import faults
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline import Bank, extract
from pipeline.core.errors import EncoderError, RecipeMismatch, SourceError
from pipeline.core.recipe import Recipe
from pipeline.encoders import DRIFT_LIMIT, check_canary, load_encoder
from pipeline.encoders._runtime.canary import canary_clip, drift, encode_canary
from pipeline.encoders._runtime.torchvision import make_importable
from pipeline.maintenance.doctor import doctor


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_planted_fault_is_refused_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault, message = faults.FAULTS[name]
    with pytest.raises((EncoderError, RecipeMismatch), match=message) as refusal:
        fault(monkeypatch, tmp_path)
    print(f"{name}: {refusal.value}")
    clips = list((tmp_path / "bank" / "clips").rglob("*.parquet"))
    assert len(clips) == (name in faults.AFTER_AN_HONEST_ONE)  # nothing came to what was there


def test_the_published_vivit_file_normalises_twice_and_is_put_right(tmp_path: Path) -> None:
    encoder = load_encoder(str(checkpoints.vivit(tmp_path / "vivit")))
    assert encoder.canary.pixel_min >= -1
    assert encoder.canary.pixel_max <= 1
    assert encoder.facts.preprocessing.mean == (0.5,) * 3


def test_a_vivit_of_other_pixels_is_read_as_its_file_says(tmp_path: Path) -> None:
    folder = checkpoints.vivit(tmp_path / "vivit")
    path = folder / "preprocessor_config.json"
    own = {
        **json.loads(path.read_text()),
        "rescale_factor": 1 / 255,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    path.write_text(json.dumps({**own, "offset": False}))
    assert load_encoder(str(folder)).facts.preprocessing.mean == (0.485, 0.456, 0.406)
    path.write_text(json.dumps({name: value for name, value in own.items() if name != "offset"}))
    with pytest.raises(EncoderError, match="does not say 'offset'"):
        load_encoder(str(folder))


def test_an_older_vivit_file_that_centres_alone_gives_the_same_pixels(tmp_path: Path) -> None:
    folder = checkpoints.vivit(tmp_path / "vivit")
    first = load_encoder(str(folder)).recipe(decoder="pyav")
    path = folder / "preprocessor_config.json"
    content = json.loads(path.read_text())
    del content["offset"]
    path.write_text(json.dumps({**content, "do_normalize": False, "do_zero_centering": True}))
    assert load_encoder(str(folder)).recipe(decoder="pyav").id == first.id


def test_what_the_code_computes_by_itself_may_stand_in_an_old_checkpoint(tmp_path: Path) -> None:
    folder = checkpoints.xclip(tmp_path / "xclip")
    before = load_encoder(str(folder))
    path = folder / "model.safetensors"
    ids = {"text_model.embeddings.position_ids": torch.arange(32)[None]}
    save_file({**load_file(path), **ids}, path, metadata={"format": "pt"})
    after = load_encoder(str(folder))
    assert drift(after.canary, before.canary) == 0


@pytest.mark.parametrize("damage", ["truncated weights", "pointer", "odd size", "no tubelet"])
def test_a_checkpoint_that_contradicts_itself_is_our_error(damage: str, tmp_path: Path) -> None:
    folder = checkpoints.videomae(tmp_path / "mae")
    weights, config = folder / "model.safetensors", folder / "config.json"
    if damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "pointer":
        weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    else:
        change = {"hidden_size": "abc"} if damage == "odd size" else {"tubelet_size": 0}
        config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(EncoderError, match="mae"):
        load_encoder(str(folder))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_in_the_place_of_weights_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.videomae(tmp_path / "mae")
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(SourceError, match="device, a pipe"):
        load_encoder(str(folder))


class _Runs:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, ("it ran",)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_pickle_that_would_run_code_is_refused_in_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "folder":
        named = checkpoints.videomae(tmp_path / "mae")
        weights = named / "pytorch_model.bin"
        (named / "model.safetensors").unlink()
    else:
        named = weights = tmp_path / "X3D_XS.pyth"
    torch.save({"model_state": {"weight": _Runs()}}, weights)
    with pytest.raises(
        EncoderError, match=rf"{weights} is damaged, or a pickle .* convert it to safetensors"
    ) as refusal:
        load_encoder(str(named))
    assert "\n" not in str(refusal.value)
    assert "weights_only" not in str(refusal.value)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_settings_file_nested_too_deep_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    folder = checkpoints.videomae(tmp_path / "mae")
    (folder / name).write_text("[" * 100_000)
    with pytest.raises(EncoderError, match=name) as refusal:
        load_encoder(str(folder))
    assert "\n" not in str(refusal.value)


class TestCanary:
    def test_other_pixels_of_the_same_settings_are_heard(self, videomae: Path) -> None:
        now = load_encoder(str(videomae)).recipe(decoder="pyav")
        then = dataclasses.replace(now, canary=dataclasses.replace(now.canary, pixel_mean=now.canary.pixel_mean + 0.1))
        with pytest.raises(RecipeMismatch, match="gets other pixels than it got: pixel mean"):
            check_canary(now, then)

    def test_a_bank_whose_first_part_has_no_canary_listens_to_the_next(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checkpoint = checkpoints.videomae(tmp_path / "mae")
        honest = Bank.add
        with monkeypatch.context() as patch:
            patch.setattr(
                Bank,
                "add",
                lambda self, recipe, *a, **k: honest(self, dataclasses.replace(recipe, canary=None), *a, **k),
            )
            faults._extract(tmp_path, checkpoint)
        faults._extract(tmp_path, checkpoint, number=2)
        faults._loaded(monkeypatch, faults._some_biases)
        with pytest.raises(RecipeMismatch, match="canary clip moved"):
            faults._extract(tmp_path, checkpoint, number=3)

    def test_the_clip_is_the_same_everywhere(self) -> None:
        clip = canary_clip(4)
        assert (clip.shape, clip.dtype) == ((4, 240, 320, 3), np.uint8)
        # Written down once: another numpy or another machine has to make the same.
        assert [int(clip[..., channel].astype(np.int64).sum()) for channel in range(3)] == [
            39199680,
            29369600,
            18530304,
        ]
        assert len({frame.tobytes() for frame in clip}) == 4

    def test_it_sings_the_same_twice_and_is_kept_in_the_recipe(self, videomae: Path) -> None:
        encoder = load_encoder(str(videomae))
        assert encode_canary(encoder) == encoder.canary
        recipe = encoder.recipe(decoder="pyav")
        again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
        assert again == recipe
        assert check_canary(recipe, again) == 0
        assert len(recipe.canary.fingerprint) == 16

    def test_it_is_no_part_of_a_recipes_identity_and_old_recipes_have_none(self, videomae: Path) -> None:
        recipe = load_encoder(str(videomae)).recipe(decoder="pyav")
        old = dataclasses.replace(recipe, canary=None)
        assert old.id == recipe.id
        facts = old.to_dict()
        del facts["canary"]  # as banks of earlier releases hold it
        assert Recipe.from_dict(facts) == old
        assert check_canary(recipe, old) is None

    def test_noise_of_a_processor_passes_and_a_lost_norm_does_not(self, videomae: Path) -> None:
        canary = load_encoder(str(videomae)).canary
        noise = np.random.default_rng(0).normal(size=16) * canary.length * 1e-6
        hummed = dataclasses.replace(canary, fingerprint=tuple(np.array(canary.fingerprint) + noise))
        assert 0 < drift(hummed, canary) < DRIFT_LIMIT / 100
        louder = dataclasses.replace(canary, length=canary.length * 1.01)
        assert drift(louder, canary) > DRIFT_LIMIT
        silent = dataclasses.replace(canary, fingerprint=(float("nan"),) * 16)
        recipe = load_encoder(str(videomae)).recipe(decoder="pyav")
        with pytest.raises(RecipeMismatch):
            check_canary(dataclasses.replace(recipe, canary=silent), recipe)

    def test_the_refusal_names_the_releases_that_changed(self, videomae: Path) -> None:
        recipe = load_encoder(str(videomae)).recipe(decoder="pyav")
        moved = tuple(2 * value for value in recipe.canary.fingerprint)
        then = dataclasses.replace(
            recipe,
            canary=dataclasses.replace(recipe.canary, fingerprint=moved),
            libraries={**recipe.libraries, "transformers": "5.10.0"},
        )
        with pytest.raises(RecipeMismatch, match=r"Libraries: transformers 5.10.0 then, "):
            check_canary(recipe, then)


class TestDoctor:
    def test_it_sings_for_every_recipe_and_says_how_far_it_drifted(
        self, videos: Path, tmp_path: Path, videomae: Path
    ) -> None:
        extract([videos], bank=tmp_path / "bank", encoder=str(videomae))
        checks = {check.check: check for check in doctor(bank=tmp_path / "bank")}
        (recipe,) = (check for name, check in checks.items() if name.startswith("recipe"))
        assert recipe.ok
        assert "canary drifted by 0" in recipe.detail
        assert "pixels -1.98" in recipe.detail
        assert all(check.ok for check in checks.values() if check.check.startswith(("pixels", "release")))

    def test_it_finds_an_encoder_that_changed_without_a_word(
        self, videos: Path, tmp_path: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extract([videos], bank=tmp_path / "bank", encoder=str(videomae))
        faults._loaded(monkeypatch, faults._some_biases)
        bad = [check for check in doctor(bank=tmp_path / "bank") if not check.ok]
        assert len(bad) == 1
        assert "canary clip moved" in bad[0].detail

    def test_it_finds_a_decoder_that_swaps_red_and_blue(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from pipeline.decoders import pyav

        honest = pyav.PyAV.frames

        def swapped(self, numbers):
            for frame in honest(self, numbers):
                yield dataclasses.replace(frame, pixels=frame.pixels[..., ::-1].copy())

        monkeypatch.setattr(pyav.PyAV, "frames", swapped)
        (check,) = (check for check in doctor() if check.check == "pixels pyav")
        assert not check.ok
        assert "red" in check.detail

    def test_it_finds_a_release_that_is_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from importlib import metadata

        honest = metadata.version
        monkeypatch.setattr(metadata, "version", lambda name: "5.10.0" if name == "transformers" else honest(name))
        (bad,) = (check for check in doctor() if check.check.startswith("release") and not check.ok)
        assert "transformers 5.10.0" in bad.detail
        assert re.search(r"and >=5\.\d+ is needed", bad.detail)


def test_torchvision_that_fits_or_is_absent_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: asked.append(name))
    make_importable.__wrapped__()
    assert asked == ["torchvision"]


def test_after_loading_an_encoder_transformers_can_be_imported_whatever_torchvision_is(videomae: Path) -> None:
    load_encoder(str(videomae))
    from transformers import AutoImageProcessor

    assert isinstance(sys.modules["transformers"], ModuleType)
    assert AutoImageProcessor is not None


def test_a_weights_file_of_ones_own_training_has_its_own_classes(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its libraries of 2022
        hub = pytest.importorskip("pytorchvideo.models.hub")
        network = hub.x3d_xs(pretrained=False, model_num_class=12)
    path = tmp_path / "X3D_XS-wildlife.pyth"
    torch.save({"model_state": network.state_dict()}, path)
    assert load_encoder(str(path)).facts.dim == 2048
