"""Half precision that takes longer than float32 is refused before anything is stored, unless it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import Bank, extract, load_encoder
from pipeline.commands import main
from pipeline.core.errors import UsageError
from pipeline.encoders import precision_slowdown
from pipeline.encoders._runtime import slowdown, tuning
from pipeline.extraction import slow_precision

RATIO = 4.6


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_precision, "precision_slowdown", lambda _encoder: RATIO)


@pytest.mark.usefixtures("slow")
def test_a_slower_precision_is_refused_with_the_ratio_and_nothing_is_stored(
    videos: Path, tmp_path: Path, videomae: Path
) -> None:
    bank = tmp_path / "bank"
    with pytest.raises(UsageError, match=r"bfloat16 takes 4\.6 times as long as float32 .*allow_slow_precision=True"):
        extract(videos, bank=bank, encoder=str(videomae), precision="bfloat16")
    assert not Bank(bank).recipes()


@pytest.mark.usefixtures("slow")
def test_it_runs_with_a_warning_if_it_was_asked_for(videos: Path, tmp_path: Path, videomae: Path) -> None:
    done = extract(
        videos, bank=tmp_path / "bank", encoder=str(videomae), precision="bfloat16", allow_slow_precision=True
    )
    assert done.count("ok") == 3
    assert "bfloat16 takes 4.6 times as long as float32" in " ".join(done.warnings)
    # With nothing left to encode, nothing is measured and nothing refused.
    again = extract(videos, bank=tmp_path / "bank", encoder=str(videomae), precision="bfloat16")
    assert again.count("unchanged") == 3


@pytest.mark.usefixtures("slow")
def test_the_command_ends_with_2_and_names_its_option(videos: Path, tmp_path: Path, videomae: Path) -> None:
    words = ["extract", str(videos), "--bank", str(tmp_path / "bank"), "--encoder", str(videomae)]
    refused = CliRunner().invoke(main, [*words, "--precision", "bfloat16", "--json"])
    assert refused.exit_code == 2
    assert "4.6 times" in refused.stderr
    assert "--even-if-slower" in refused.stderr
    assert "--precision float32" in refused.stderr
    allowed = CliRunner().invoke(main, [*words, "--precision", "bfloat16", "--even-if-slower", "--json"])
    assert allowed.exit_code == 0
    assert "4.6 times" in allowed.stderr


def test_a_precision_that_is_not_slower_has_no_warning(
    videos: Path, tmp_path: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_precision, "precision_slowdown", lambda _encoder: 1.1)
    done = extract(videos, bank=tmp_path / "bank", encoder=str(videomae), precision="bfloat16")
    assert "times as long" not in " ".join(done.warnings)


def test_the_slowdown_is_the_ratio_of_the_best_times_and_measured_once(
    videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = load_encoder(str(videomae), device="cpu", precision="bfloat16")
    taken = iter([6.0, 3.0, 8.0, 2.0])  # half, single, half, single
    monkeypatch.setattr(slowdown, "_seconds", lambda _encoder, _clip: next(taken))
    assert precision_slowdown(half) == 3.0
    assert precision_slowdown(half) == 3.0
    assert precision_slowdown(load_encoder(str(videomae), device="cpu")) == 1.0


def test_auto_never_takes_a_slower_precision(videomae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    single = load_encoder(str(videomae), device="cpu")
    chosen = {}
    for ratio in (0.5, 1.5):
        monkeypatch.setattr(tuning, "precision_slowdown", lambda _encoder, ratio=ratio: ratio)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
        monkeypatch.setattr(single, "device", "cuda")
        monkeypatch.setattr(tuning, "_in_half_precision", lambda encoder, *_args, **_: _half(encoder))
        chosen[ratio] = tuning.lower_precision(single, "auto").run.precision
    assert chosen == {0.5: "bfloat16", 1.5: "float32"}


def _half(encoder: object) -> object:
    from pipeline.encoders._runtime.settings import RunSettings

    return encoder.replaced(run=RunSettings("bfloat16", computes_in="bfloat16"))
