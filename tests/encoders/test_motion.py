"""The built-in encoder for actions: what its vectors tell apart, and what they do not depend on."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from pipeline.core.errors import EncoderError, RecipeMismatch, UsageError
from pipeline.core.types import Span
from pipeline.encoders import Encoder, load_encoder, load_for
from pipeline.encoders._families.motion_description import DIM, NUM_STEPS, STEP_DIM, describe
from pipeline.encoders._families.optical_flow import SIDE, moving_parts
from pipeline.sources.sampling import Sampling

pytestmark = [pytest.mark.versions, pytest.mark.numeric]


@pytest.fixture(scope="module")
def motion() -> Encoder:
    return load_encoder("motion", device="cpu")


def walker(num_frames: int, *, step: tuple[float, float] = (4.0, 0.0), camera: float = 0.0) -> np.ndarray:
    """(t, 3, 224, 224): a textured square that moves over a textured ground, which moves with the camera."""
    rng = np.random.default_rng(3)
    ground, square = (np.kron(rng.integers(0, 256, (size, size)), np.ones((8, 8))) for size in (60, 6))
    clip = np.empty((num_frames, 3, 224, 224), np.uint8)
    for number in range(num_frames):
        shift = round(camera * number)
        picture = ground[100 : 100 + 224, 100 + shift : 100 + shift + 224].copy()
        y, x = (round(at + by * number) for at, by in zip((70, 40), step[::-1], strict=True))
        picture[y : y + 48, x : x + 48] = square
        clip[number] = picture.astype(np.uint8)
    return clip


def described(clip: np.ndarray, *, burst: int = 99, num_threads: int = 1) -> np.ndarray:
    return describe(moving_parts(clip, burst=burst, num_threads=num_threads))[0]


def test_flow_is_what_moved_and_only_there() -> None:
    moving = moving_parts(walker(4), burst=99, num_threads=1)
    flows = moving.flows
    assert moving.spans == [(0, 1), (1, 2), (2, 3)]
    y, x = np.nonzero(flows[0].any(axis=2))
    scale = SIDE / 224
    assert np.median(flows[0][y, x, 0]) == pytest.approx(4 * scale, abs=0.5)
    assert abs(np.median(flows[0][y, x, 1])) < 0.3
    assert y.min() > 60 * scale
    assert y.max() < 130 * scale


def test_the_cameras_movement_is_taken_out() -> None:
    flows = moving_parts(walker(6, step=(0.0, 4.0), camera=3.0), burst=99, num_threads=1).flows
    inside = np.stack(flows)[:, 50:85, 28:62].mean(axis=(1, 2))
    outside = np.stack(flows)[:, 120:150, 90:150].mean(axis=(1, 2))
    assert (inside[:, 1] > 1.5).all()
    assert np.abs(outside).max() < 0.3


@pytest.mark.parametrize("num_threads", [2, 3, 7])
def test_the_number_of_threads_changes_no_bit(num_threads: int) -> None:
    assert np.array_equal(described(walker(9)), described(walker(9), num_threads=num_threads))


def test_a_mirror_image_moves_alike_and_another_direction_does_not() -> None:
    right = described(walker(12))
    mirrored = described(np.ascontiguousarray(walker(12)[..., ::-1]))
    down = described(walker(12, step=(0.0, 4.0)))
    assert right @ mirrored > 0.98
    assert right @ down < 0.9


def test_a_still_clip_has_no_movement_and_a_vector(motion: Encoder) -> None:
    still = np.repeat(walker(1), 20, axis=0)
    vector = motion.encode(still[None])[0]
    assert (vector[-DIM:] == 0).all()
    assert np.linalg.norm(vector) > 1


def test_repeated_frames_of_a_slower_video_do_not_count() -> None:
    clip = walker(8)
    assert np.array_equal(described(clip), described(np.repeat(clip, 2, axis=0)))


def test_between_bursts_nothing_moves() -> None:
    clip = np.concatenate([walker(16), np.repeat(walker(1), 16, axis=0)])
    moving = moving_parts(clip, burst=16, num_threads=1)
    assert [stop for _, stop in moving.spans] == list(range(1, 16))
    assert moving.num_frames == 32
    assert moving_parts(walker(6), burst=3, num_threads=1).spans == [(0, 1), (1, 2), (3, 4), (4, 5)]


def test_what_is_before_and_after_a_pause_is_not_taken_for_neighbours() -> None:
    """A clip that stands still for a while is described as two bursts with nothing between them."""
    clip = walker(31)
    bursts = described(np.concatenate([clip[:16], clip[15:]]), burst=16)
    for num_frames in (6, 12):
        pause = np.repeat(clip[15:16], num_frames, axis=0)
        assert np.array_equal(described(np.concatenate([clip[:16], pause, clip[16:]])), bursts)
    assert not np.array_equal(described(clip), bursts)


def test_vectors_of_an_earlier_description_are_not_mixed_with_new_ones(motion: Encoder) -> None:
    recipe = motion.recipe(decoder="pyav")
    earlier = dataclasses.replace(recipe, pooling=recipe.pooling.replace("(2)", "(1)"))
    assert earlier.id != recipe.id
    with pytest.raises(RecipeMismatch, match=r"pooling: .*\(2\).*\(1\)"):
        load_for(earlier, device="cpu")


def test_steps_are_eighths_of_the_clip_and_a_pause_has_no_movement() -> None:
    walk, still = walker(9), np.repeat(walker(1), 24, axis=0)
    _, steps = describe(moving_parts(np.concatenate([still, walk]), burst=33, num_threads=1))
    assert (steps[:6] == 0).all()  # frames 0 to 24 of 32
    assert np.linalg.norm(steps[6:], axis=1) == pytest.approx([1, 1])
    _, plain = describe(moving_parts(walk, burst=9, num_threads=1))
    _, slower = describe(moving_parts(np.repeat(walk, 2, axis=0)[1:], burst=17, num_threads=1))
    assert np.linalg.norm(slower, axis=1) == pytest.approx(np.linalg.norm(plain, axis=1))
    assert (slower * plain).sum(axis=1) == pytest.approx(np.ones(NUM_STEPS), abs=0.02)


def test_opencv_keeps_the_number_of_threads_that_a_program_has_set() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        described(walker(4), num_threads=2)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_clips_of_unequal_length_are_encoded_as_one_by_one(motion: Encoder) -> None:
    clips = [walker(num) for num in (2, 9, 16)]
    together = motion.features(clips, keep=("frames",))
    assert together.vectors.shape == (3, motion.facts.dim)
    assert together.extra["frames"].shape == (3, NUM_STEPS, 1280 + STEP_DIM)
    for clip, vector in zip(clips, together.vectors, strict=True):
        alone = motion.encode(clip[None])[0]
        assert np.abs(alone - vector).max() < 1e-4
        assert np.array_equal(motion.encode([clip])[0], alone)


def test_both_parts_are_equally_long_and_text_goes_by_appearance(motion: Encoder) -> None:
    lite = load_encoder("lite", device="cpu", num_frames=8)
    clip = walker(16)
    vector = motion.encode(clip[None])
    looks, moves = vector[0, :-DIM], vector[0, -DIM:]
    assert np.linalg.norm(moves) == pytest.approx(np.linalg.norm(looks), rel=1e-5)
    seen = lite.encode(clip[None, 1::2])
    assert np.allclose(looks**2, seen[0], atol=1e-3)
    assert np.allclose(motion.text_space(vector), lite.text_space(seen), atol=1e-3)
    assert "appearance only" in str(motion.caution)


def test_too_many_frames_or_one_are_refused_with_the_limits(motion: Encoder) -> None:
    for num in (1, 65):
        with pytest.raises(EncoderError, match=rf"\(2 to 64, 3, 224, 224\), not \({num}, "):
            motion.encode([np.zeros((num, 3, 224, 224), np.uint8)])
    with pytest.raises(UsageError, match="bursts of 16: at most 20 frames"):
        load_encoder("motion", device="cpu", num_frames=20)


def test_its_recipe_says_the_rate_and_leads_back_to_it(motion: Encoder) -> None:
    recipe = motion.recipe(decoder="pyav")
    assert recipe.sampling == "12.5 frames a second, at most 64, then in bursts of 16"
    assert Sampling.of_recipe(recipe) == motion.sampling == Sampling(64, 12.5)
    again = load_for(recipe, device="cpu")
    assert again.recipe(decoder="pyav").id == recipe.id
    assert again.canary == motion.canary


def test_frames_at_a_rate_follow_each_other_and_a_long_clip_has_bursts() -> None:
    sampling = Sampling(64, 12.5)
    assert sampling.times(Span(1.0, 3.0)) == pytest.approx([1.04 + 0.08 * number for number in range(25)])
    assert len(sampling.times(Span(0.0, 0.01))) == 2
    times = np.array(sampling.times(Span(0.0, 100.0))).reshape(4, 16)
    assert np.diff(times, axis=1) == pytest.approx(0.08)
    assert times.mean(axis=1) == pytest.approx([12.5, 37.5, 62.5, 87.5])
    for seconds in (5.12, 5.16, 5.2, 6.0):
        assert (np.diff(sampling.times(Span(0.0, seconds))) > 0).all()
