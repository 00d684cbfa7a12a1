"""Encoders and heads of other packages, offered by the entry points of a small installed distribution."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hard_videos
import numpy as np
import pytest
from conftest import clusters
from small_banks import fill, label

import pipeline
from pipeline import Bank, extract, load_encoder, load_head, search, train_head
from pipeline.core.errors import BrokenPart, EncoderError, UnknownPart, UsageError
from pipeline.core.registry import part_names
from pipeline.encoders import Encoder, cards, encoders, load_for
from pipeline.heads import heads
from pipeline.maintenance.doctor import doctor

_CODE = '''
"""An encoder without a network and a head, as another package would bring them."""

from pathlib import Path

from pipeline.core.recipe import PreprocessSettings
from pipeline.encoders import Card, Checkpoint, Encoder, Facts, Output
from pipeline.heads.prototype import PrototypeHead

SETTINGS = PreprocessSettings(16, (16, 16), "bilinear", 1 / 255, (0.5,) * 3, (0.5,) * 3)


class Corners(Encoder):
    card = Card("corners of acme", (), 2, 16, 12, 1.0, False, "nothing", "Apache-2.0", "tests")
    poolings = {"mean": "mean over frames"}

    @classmethod
    def packaged(cls):
        return Checkpoint("corners of acme", Path(__file__).parent, None)

    @classmethod
    def load(cls, checkpoint, *, device, num_frames, pooling):
        return cls(
            Facts(checkpoint.name, None, "0" * 64, num_frames or 2, 16, 12, SETTINGS, cls._pooled(pooling, "mean")),
            device=device,
        )

    def _forward(self, pixels):  # (n, t, 3, 16, 16)
        corners = pixels[..., ::15, ::15].flatten(2)  # (n, t, 12)
        return Output(corners.mean(dim=1), corners)


class Middle(PrototypeHead):
    pass


number = 5
'''

_ENTRY_POINTS = """
[clipdex.encoders]
acme = acme_video:Corners
lite = acme_video:Corners
acme/base = acme_video:Corners
boom = acme_video_that_is_missing:Corners
number = acme_video:number
unfinished = pipeline.encoders:Encoder

[clipdex.heads]
middle = acme_video:Middle
"""


def install(folder: Path, name: str, entry_points: str) -> None:
    """Put a distribution's metadata where an installer would."""
    facts = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed distribution."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "acme_video.py").write_text(_CODE)
    install(folder, "acme-video", _ENTRY_POINTS)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("acme_video", None)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    hard_videos.write(path, hard_videos.steady(50), options=hard_videos.X264)
    return path


def test_names_list_what_is_installed_without_importing_it(installed: Path) -> None:
    built_in = encoders.names()[: encoders.names().index("xclip") + 1]
    assert encoders.names() == (*built_in, "acme", "boom", "number", "unfinished")
    assert part_names("heads")[-1] == "middle"
    assert "acme_video" not in sys.modules
    assert part_names("indexes") == tuple(sorted(part_names("indexes")))


def test_without_the_package_there_are_the_built_in_parts_alone() -> None:
    assert set(encoders.names()) == {path.stem for path in Path(pipeline.__file__).parent.glob("encoders/[a-z]*.py")}
    assert encoders.problems() == heads.problems() == []


def test_a_built_in_name_cannot_be_taken(installed: Path) -> None:
    from pipeline.encoders.lite import Lite

    assert encoders.get("lite") is Lite
    assert encoders.name_of(Lite) == "lite"


def test_what_cannot_be_used_is_named_and_leaves_the_others_alone(installed: Path) -> None:
    problems = dict(zip(["acme/base", "boom", "lite", "number", "unfinished"], encoders.problems(), strict=True))
    assert "acme-video 1.0 offers 'acme/base', which is no name" in problems["acme/base"]
    assert (
        "'boom' of acme-video 1.0 (acme_video_that_is_missing:Corners) cannot be imported (Module" in problems["boom"]
    )
    assert "offers 'lite', which is the name of a built-in one: it is ignored" in problems["lite"]
    assert "a class derived from pipeline.encoders.Encoder that implements all of it" in problems["number"]
    assert "a class derived from pipeline.encoders.Encoder" in problems["unfinished"]
    assert {"acme", "lite", "xclip"} <= cards().keys()
    assert not {"boom", "number", "unfinished"} & cards().keys()
    with pytest.raises(BrokenPart, match="boom.*update or uninstall that package"):
        load_encoder("boom")
    with pytest.raises(UnknownPart, match="unknown encoder 'zoom'; there are: .*acme"):
        load_encoder("zoom")
    checks = [check for check in doctor() if check.check == "other packages"]
    assert [check.detail for check in checks] == encoders.problems()
    assert not any(check.ok for check in checks)


def test_two_packages_that_offer_one_name_are_both_named(installed: Path, tmp_path: Path, monkeypatch) -> None:
    install(tmp_path, "other-video", "[clipdex.encoders]\nacme = other_video:Corners\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "acme" not in encoders.names()
    with pytest.raises(BrokenPart, match="both offer 'acme': uninstall one"):
        encoders.get("acme")
    assert "other-video 1.0 and acme-video 1.0 both offer 'acme': uninstall one" in " ".join(encoders.problems())


def test_an_encoder_of_another_package_extracts_and_searches(installed: Path, video: Path, tmp_path: Path) -> None:
    done = extract(video, bank=tmp_path / "bank", encoder="acme", window_seconds=0.5)
    assert [row.status for row in done.rows] == ["ok"]
    assert (done.recipe.encoder, done.recipe.dim) == ("acme", 12)
    (best, *_) = search(clips=f"{video}@0.5-1", bank=tmp_path / "bank", each_clip=True)
    assert best.score == pytest.approx(1)
    loaded = load_encoder("acme")
    assert loaded.name == "acme"
    again = extract(video, bank=tmp_path / "bank", encoder=loaded, window_seconds=0.5)
    assert [row.status for row in again.rows] == ["unchanged"]


def test_its_bank_says_what_is_missing_once_the_package_is_gone(site: Path, video: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        recipe = extract(video, bank=tmp_path / "bank", encoder="acme").recipe
    sys.modules.pop("acme_video", None)
    assert len(Bank(tmp_path / "bank")) == 2
    with pytest.raises(EncoderError, match=r"made by the encoder 'acme', which is not installed: install the package"):
        load_for(recipe)


def test_an_encoder_that_no_name_leads_to_is_refused_before_anything_is_stored(video: Path, tmp_path: Path) -> None:
    from pipeline.encoders.lite import Lite

    class Own(Lite):
        pass

    loaded = load_encoder("lite")
    own = Own(loaded.facts, device="cpu", network=loaded._network)
    assert encoders.name_of(Own) is None
    with pytest.raises(EncoderError, match=r"Own is registered under no name.*group 'clipdex.encoders', or compute"):
        extract(video, bank=tmp_path / "bank", encoder=own)
    assert not (tmp_path / "bank").exists()
    with pytest.raises(UsageError, match="an encoder is a name or what load_encoder gives, not 5"):
        extract(video, bank=tmp_path / "bank", encoder=5)  # type: ignore[arg-type]
    assert issubclass(Own, Encoder)


def test_a_head_of_another_package_is_trained_stored_and_loaded(installed: Path, tmp_path: Path) -> None:
    X, y = clusters(each=8)
    label(tmp_path, fill(tmp_path, X), y)
    assert train_head(bank=tmp_path, head="middle").kind == "middle"
    assert (np.array(load_head(tmp_path).head.predict(X)) == y).mean() > 0.9


def test_the_command_line_offers_them_in_another_process(site: Path, video: Path, tmp_path: Path) -> None:
    def clipdex(*words: str) -> subprocess.CompletedProcess[str]:
        program = f"import sys; sys.path.insert(0, {str(site)!r}); from pipeline.commands import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, cwd=tmp_path, timeout=120
        )

    extracted = clipdex("extract", str(video), "--encoder", "acme")
    assert extracted.returncode == 0, extracted.stderr
    hit, *_ = map(json.loads, clipdex("search", "--clip", str(video), "--include-query").stdout.splitlines())
    assert (hit["rank"], hit["video"]) == (1, str(video))
    listed = clipdex("encoders", "--json")
    assert "acme" in [json.loads(line)["name"] for line in listed.stdout.splitlines()]
    assert "warning: the encoder 'boom' of acme-video 1.0" in listed.stderr
    assert "middle" in clipdex("train-head", "--help").stdout


def test_the_metadata_of_all_packages_is_read_once(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = part_names("encoders")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("it was read again"))
    assert part_names("encoders") == names
