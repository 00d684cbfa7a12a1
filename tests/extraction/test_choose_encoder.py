"""Which encoder an extraction takes if none is named; no hub on the network is asked."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from pipeline import Bank, ExtractOptions, extract, watch
from pipeline.core.errors import EncoderError, UsageError
from pipeline.encoders import FALLBACK_ENCODER, Checkpoint, _checkpoint, _default
from pipeline.encoders._checkpoint import is_cached
from pipeline.encoders.xclip import XCLIP
from pipeline.extraction.import_features import import_features
from pipeline.extraction.runners.processes import Processes

NO_HUB = "To insist on X-CLIP, name it"


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a hub that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:  # the server was closed
                    return

        threading.Thread(target=accept, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        online(monkeypatch, address)
        yield address
        for connection in held:
            connection.close()
        server.shutdown(socket.SHUT_RDWR)


def online(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Have the hub's client ask this address, and wait for it as long as a test can."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(_default, "_HUB_SECONDS", 0.3)
    monkeypatch.setattr(_checkpoint, "_HUB_SECONDS", 0.3)


def no_choice() -> str:
    pytest.fail("the bank's own encoder was not taken")


def make_bank(folder: Path, videos: Path, **options: object) -> Bank:
    extract(videos / "red", bank=folder, encoder="lite", clips="whole", **options)  # type: ignore[arg-type]
    return Bank(folder)


class TestNewBank:
    def test_a_hub_that_never_answers_costs_seconds_and_the_bank_stays_with_the_fallback(
        self,
        tmp_path: Path,
        videos: Path,
        silent_hub: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert silent_hub
        done = extract(videos / "red", bank=tmp_path / "bank")
        assert (done.recipe.encoder, done.count("ok")) == (FALLBACK_ENCODER, 2)
        assert [NO_HUB in record.message for record in caplog.records] == [True]
        monkeypatch.setattr("pipeline.extraction.choose_encoder.default_encoder", no_choice)
        assert extract(videos / "blue", bank=tmp_path / "bank").recipe.id == done.recipe.id
        assert len(caplog.records) == 1

    def test_a_hub_that_refuses_is_as_good_as_none(
        self, tmp_path: Path, videos: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        online(monkeypatch, f"http://127.0.0.1:{port}")  # nobody listens there any more
        assert extract(videos / "blue", bank=tmp_path / "bank").recipe.encoder == FALLBACK_ENCODER
        assert NO_HUB in caplog.text

    def test_a_named_checkpoint_and_a_silent_hub_are_an_error_that_names_the_way_out(
        self, tmp_path: Path, videos: Path, silent_hub: str
    ) -> None:
        way_out = f"{silent_hub}: no answer within 0.3 s.*use encoder='{FALLBACK_ENCODER}'"
        with pytest.raises(EncoderError, match=way_out):
            extract(videos, bank=tmp_path / "bank", encoder="xclip")
        assert not (tmp_path / "bank").exists()

    def test_xclip_is_taken_if_its_weights_are_here(
        self,
        tmp_path: Path,
        videos: Path,
        xclip: Path,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(XCLIP, "cached", lambda: True)
        monkeypatch.setattr(XCLIP, "find", lambda _: Checkpoint("microsoft/xclip-base-patch32", xclip, None))
        assert extract(videos / "blue", bank=tmp_path / "bank").recipe.encoder == "xclip"
        assert caplog.records == []

    def test_xclip_is_taken_if_the_hub_gives_it(
        self, tmp_path: Path, videos: Path, xclip: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []
        monkeypatch.setattr(_default, "ask_hub", lambda name, _, *, seconds: asked.append((name, seconds <= 10)))
        monkeypatch.setattr(XCLIP, "find", lambda name: Checkpoint(name, xclip, None))
        assert extract(videos / "blue", bank=tmp_path / "bank").recipe.encoder == "xclip"
        assert asked == [("microsoft/xclip-base-patch32", True)]

    def test_a_wrong_source_is_reported_before_any_hub_is_asked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.extraction.choose_encoder.default_encoder", no_choice)
        with pytest.raises(Exception, match="there is no file or folder"):
            extract(tmp_path / "typo.mp4", bank=tmp_path / "bank")

    def test_a_configuration_without_weights_is_not_at_hand(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = tmp_path / "config.json"
        config.write_text("{}")
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(config))
        assert not is_cached("some/model")
        (tmp_path / "model.safetensors").touch()
        assert is_cached("some/model")


class TestBankThatHasClips:
    def test_its_frames_and_decoder_go_on(self, tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pipeline.extraction.choose_encoder.default_encoder", no_choice)
        bank = make_bank(tmp_path / "bank", videos, num_frames=3)
        for done in (
            extract(videos, bank=bank, clips="whole"),
            extract(videos, bank=bank, clips="whole", precision="auto", num_frames=3),
            extract(videos, bank=bank, clips="whole", encoder=bank.recipe()),
            next(watch(videos, bank=bank, clips="whole", sleep=lambda _: None)),
            extract(videos, bank=bank.folder, clips="whole", runner=Processes(2)),
        ):
            assert (done.recipe.num_frames, done.failed) == (3, False)
        assert list(bank.recipes()) == [bank.recipe().id]
        assert len(bank) == 3

    @pytest.mark.parametrize(
        "other", [{"num_frames": 2}, {"decoder": "decord"}, {"precision": "bfloat16"}, {"pooling": "no such"}]
    )
    def test_options_that_would_make_a_second_recipe_need_the_encoders_name(
        self, tmp_path: Path, videos: Path, other: dict[str, object]
    ) -> None:
        bank = make_bank(tmp_path / "bank", videos, num_frames=1)
        ((name, value),) = other.items()
        with pytest.raises(UsageError, match=rf"{name}='?{value}.*name the encoder \(encoder='lite'\)"):
            extract(videos, bank=bank, **other)  # type: ignore[arg-type]

    def test_of_several_recipes_one_has_to_be_named(self, tmp_path: Path, videos: Path, videomae: Path) -> None:
        bank = make_bank(tmp_path / "bank", videos, num_frames=1)
        extract(videos / "red", bank=bank, encoder=str(videomae), clips="whole")
        with pytest.raises(UsageError, match="vectors of 2 recipes, so name the encoder") as error:
            extract(videos, bank=bank)
        assert "lite (1 frames" in str(error.value)
        assert str(videomae.resolve()) in str(error.value)
        assert extract(videos, bank=bank, encoder=str(videomae), clips="whole").count("ok") == 1

    def test_imported_vectors_alone_have_no_encoder_to_go_on_with(self, tmp_path: Path, videos: Path) -> None:
        paths = sorted(videos.rglob("*.mp4"))
        np.save(tmp_path / "X.npy", np.eye(len(paths), 4, dtype=np.float32))
        (tmp_path / "t.csv").write_text("\n".join(["path", *map(str, paths)]))
        import_features(tmp_path / "X.npy", tmp_path / "t.csv", name="vgg16", bank=tmp_path / "bank")
        with pytest.raises(EncoderError, match="imported as 'vgg16'.*or extract with an encoder"):
            extract(videos, bank=tmp_path / "bank")
        bank = make_bank(tmp_path / "bank", videos, num_frames=1)
        assert extract(videos / "red", bank=bank, clips="whole").count("unchanged") == 2


def test_watching_settles_the_encoder_once(tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "pipeline.extraction.choose_encoder.default_encoder", lambda: asked.append(time.monotonic()) or "lite"
    )
    runs = watch(videos / "red", bank=tmp_path / "bank", sleep=lambda _: None)
    assert next(runs).count("ok") == 2
    (videos / "red" / "new.mp4").write_bytes((videos / "blue" / "2.mp4").read_bytes())
    assert next(runs).count("ok") == 1
    assert len(asked) == 1


def test_the_options_say_that_no_encoder_is_named() -> None:
    assert ExtractOptions().encoder is None
