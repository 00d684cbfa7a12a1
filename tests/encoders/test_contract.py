"""What every encoder promises, on tiny checkpoints of the real architectures, by the library's own forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import torch
from oracles import CASES, SLOW

from pipeline.core.errors import EncoderError
from pipeline.encoders import Encoder, at_hand, cards, encoder_class, encoders, libraries, load_encoder, load_for
from pipeline.encoders._families.transformers import TransformersEncoder

pytestmark = pytest.mark.versions


class Loaded:
    """Checkpoints and encoders, each made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, tuple[Path, Encoder]] = {}

    def __call__(self, name: str) -> tuple[Path, Encoder]:
        if name not in self._made:
            case = CASES[name]
            missing = encoders.get(case.encoder).missing()
            if missing is not None:
                pytest.skip(missing)
            path = case.build(self._folder / name)
            self._made[name] = path, load_encoder(str(path), num_frames=case.frames)
        return self._made[name]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("checkpoints"))


# Attention with and without text, and convolutions.
NUMERIC = ("videomae, fine-tuned", "xclip", "dinov2", "x3d")


def of_names(names: Iterable[str]) -> pytest.MarkDecorator:
    """A test for each of these cases, some of them in the matrix of processors."""
    marked = [pytest.param(name, marks=pytest.mark.numeric if name in NUMERIC else ()) for name in names]
    return pytest.mark.parametrize("name", marked)


every_case = of_names(CASES)
quick_case = pytest.mark.parametrize("name", [name for name in CASES if name not in SLOW])
quick_numeric_case = of_names(name for name in CASES if name not in SLOW)


def test_every_encoder_has_a_case() -> None:
    assert {case.encoder for case in CASES.values()} == set(encoders.names()) - {
        "lite",
        "motion",
    }  # see TestLite and test_motion


@every_case
def test_what_an_encoder_of_transformers_takes_is_known_before_its_weights_are_read(name: str, loaded: Loaded) -> None:
    path, encoder = loaded(name)
    part = type(encoder)
    if issubclass(part, TransformersEncoder):
        assert part.input_of(part.find(str(path)), num_frames=CASES[name].frames) == encoder.input


@every_case
def test_vectors_are_those_of_the_librarys_own_forward_pass(name: str, loaded: Loaded) -> None:
    path, encoder = loaded(name)
    case = CASES[name]
    assert encoder.name == case.encoder
    for batch in (1,) if name in SLOW else (1, 3, 8):
        clips = oracles.clips(case, batch)
        ours = encoder.encode(clips)
        assert (ours.dtype, ours.shape) == (np.float32, (batch, encoder.facts.dim))
        difference = (oracles.unit(ours) if case.unit else ours) - oracles.expected(case, path, clips)
        assert np.abs(difference).max() < 1e-5


@pytest.fixture
def several_lanes() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@quick_numeric_case
@pytest.mark.usefixtures("several_lanes")
def test_a_batch_equals_one_by_one_in_order_and_the_same_twice(name: str, loaded: Loaded) -> None:
    encoder, clips = loaded(name)[1], oracles.clips(CASES[name], 6)
    together = encoder.encode(clips)
    alone = np.concatenate([encoder.encode(clips[number : number + 1]) for number in range(len(clips))])
    assert np.abs(together - alone).max() < 1e-5
    assert np.array_equal(together, encoder.encode(clips))
    assert np.abs(encoder.encode(clips[::-1].copy()) - together[::-1]).max() < 1e-5
    assert not np.allclose(together[0], together[1], atol=1e-4)


@quick_case
def test_nothing_can_be_trained(name: str, loaded: Loaded) -> None:
    encoder = loaded(name)[1]
    modules = [value for value in vars(encoder).values() if isinstance(value, torch.nn.Module)]
    assert modules
    assert not any(parameter.requires_grad for module in modules for parameter in module.parameters())
    assert not any(part.training for module in modules for part in module.modules())


@of_names(name for name, case in CASES.items() if case.texts)
def test_texts_are_those_of_the_librarys_own_forward_pass(name: str, loaded: Loaded) -> None:
    path, encoder = loaded(name)
    ours = encoder.encode_text(oracles.TEXTS)
    assert ours.dtype == np.float32
    assert encoder.shares_text_space()
    assert np.abs(oracles.unit(ours) - oracles.expected_texts(CASES[name], path)).max() < 1e-5
    alone = np.concatenate([encoder.encode_text([text]) for text in oracles.TEXTS])
    assert np.abs(ours - alone).max() < 1e-5
    assert encoder.encode_text(["word " * 500]).shape == ours[:1].shape
    assert encoder.text_scale != 0


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.texts and name not in SLOW])
def test_no_text_tower_says_so(name: str, loaded: Loaded) -> None:
    with pytest.raises(EncoderError, match=r"no text tower.*\(clipdex encoders lists them\)"):
        loaded(name)[1].encode_text(["a dog"])


# Where the vector is the mean over the steps, or that and a norm: how to get from one to the other.
POOLED = {
    "videomae, fine-tuned": lambda encoder, mean: encoder._model.fc_norm(torch.from_numpy(mean)).detach().numpy(),
    "xclip": None,
    "timesformer": None,
    "vivit": None,
    "vjepa2, with a probe": None,
    "videoprism, LvT": None,
    "videoprism, with a classifier": None,
    "pe_video": None,
    "pe_video, with sound": None,
    "x3d": None,
}


@quick_case
def test_frames_are_kept_in_the_order_of_time(name: str, loaded: Loaded) -> None:
    encoder, case = loaded(name)[1], CASES[name]
    clips = oracles.clips(case, 2)
    features = encoder.features(clips, keep=("frames",))
    frames = features.extra["frames"]
    assert (frames.dtype, frames.ndim, len(frames)) == (np.float16, 3, 2)
    assert case.frames % frames.shape[1] == 0
    assert np.abs(features.vectors - encoder.encode(clips)).max() < 1e-5
    pool = POOLED.get(name, lambda _, mean: mean)
    if pool is not None:
        mean = frames.astype(np.float32).mean(axis=1)
        assert np.abs(pool(encoder, mean) - features.vectors).max() < 5e-3
    # A change in the last frames moves the last step more than the first.
    changed = clips.copy()
    last = case.frames // frames.shape[1]
    changed[:, -last:] = 255 - changed[:, -last:]
    moved = np.linalg.norm((encoder.features(changed, keep=("frames",)).extra["frames"] - frames).astype(float), axis=2)
    assert (moved[:, -1] > moved[:, 0]).all()


@quick_case
def test_what_an_encoder_does_not_have_cannot_be_kept(name: str, loaded: Loaded) -> None:
    encoder = loaded(name)[1]
    if "patches" not in encoder.keeps:
        with pytest.raises(EncoderError, match=r"has no patches to keep; it has: frames"):
            encoder.features(oracles.clips(CASES[name], 1), keep=("patches",))


@quick_case
def test_another_shape_of_clips_is_refused_with_both(name: str, loaded: Loaded) -> None:
    encoder, case = loaded(name)[1], CASES[name]
    clips = oracles.clips(case, 1)
    with pytest.raises(
        EncoderError, match=rf"\({case.frames}, 3, {case.size}, {case.size}\), not \({case.frames + 1}, "
    ):
        encoder.encode(np.concatenate([clips, clips[:, :1]], axis=1))
    with pytest.raises(EncoderError, match=r"must be .* uint8"):
        encoder.encode(clips.astype(np.float32) / 255)


@quick_case
def test_a_wrong_number_of_frames_is_refused_where_the_checkpoint_fixes_it(name: str, loaded: Loaded) -> None:
    path, encoder = loaded(name)
    free = {"clip", "siglip", "dinov2", "pe_video"}
    if encoder.name in free:
        assert load_encoder(str(path), num_frames=6).facts.num_frames == 6
    else:
        with pytest.raises(EncoderError, match="takes exactly 4 frames a clip, not 6"):
            load_encoder(str(path), num_frames=6)


@quick_case
def test_the_recipe_leads_back_to_the_same_encoder(name: str, loaded: Loaded) -> None:
    encoder = loaded(name)[1]
    recipe = encoder.recipe(decoder="pyav")
    assert type(recipe).from_dict(recipe.to_dict()) == recipe
    again = load_for(recipe)
    assert again.recipe(decoder="pyav").id == recipe.id
    assert np.array_equal(again.encode(oracles.clips(CASES[name], 1)), encoder.encode(oracles.clips(CASES[name], 1)))


@quick_case
def test_each_pooling_is_another_recipe_and_comes_back_from_it(name: str, loaded: Loaded) -> None:
    path, encoder = loaded(name)
    ids = {encoder.recipe(decoder="pyav").id}
    for pooling in encoder.poolings:
        if pooling == encoder.pooling:
            continue
        try:
            other = load_encoder(str(path), num_frames=CASES[name].frames, pooling=pooling)
        except EncoderError as error:
            assert "cannot pool by" in str(error)  # noqa: PT017 -- not every checkpoint can
            continue
        assert other.pooling == pooling
        recipe = other.recipe(decoder="pyav")
        assert recipe.id not in ids
        ids.add(recipe.id)
        assert load_for(recipe).pooling == pooling
        assert not np.allclose(
            other.encode(oracles.clips(CASES[name], 1)), encoder.encode(oracles.clips(CASES[name], 1)), atol=1e-3
        )
    with pytest.raises(EncoderError, match="cannot pool by 'whirl'"):
        load_encoder(str(path), pooling="whirl")


@pytest.mark.parametrize("name", encoders.names())
def test_a_file_has_a_complete_card(name: str) -> None:
    part, card = encoders.get(name), cards()[name]
    assert min(card.num_frames, card.image_size, card.dim, card.span_seconds) > 0
    assert all((card.licence, card.knows, card.default_checkpoint, card.source))
    assert card.commercial in (None, "non-commercial" not in card.licence)
    assert part.poolings
    assert len(set(part.poolings.values())) == len(part.poolings)
    assert "frames" in part.keeps
    assert bool(part.needs) == bool(card.extra)
    assert str(inspect.getdoc(inspect.getmodule(part)))
    assert isinstance(at_hand(name), bool)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    part: Any = encoders.get("slowfast")
    monkeypatch.setattr(part, "needs", ("a_module_that_is_not_there",))
    with pytest.raises(
        EncoderError, match=r"slowfast: .* needs a_module_that_is_not_there: pip install 'clipdex\[conv\]'"
    ):
        encoder_class("slowfast")
    assert not at_hand("slowfast")


def test_a_library_that_is_there_as_another_distribution_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV also comes as opencv-python; no encoder fails for that."""
    installed = metadata.version

    def version(name: str) -> str:
        if name.startswith("opencv"):
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    assert set(libraries()) == {"python", "av", "numpy", "torch", "transformers"}
