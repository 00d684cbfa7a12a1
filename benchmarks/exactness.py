"""Are vectors what they claim to be? Every encoder against its library's own forward pass, and every planted fault.

    python benchmarks/exactness.py                                   print the tables
    python benchmarks/exactness.py --write                           and put them into docs/encoders.md
    python benchmarks/exactness.py --releases 5.18.0,5.23.0 --write  also load with these releases of transformers

Checkpoints are of the real architectures with small random weights in the layout of the Hub (``tests/checkpoints.py``);
the convolutional families are of real size. Releases of transformers are fetched from the package index into a
temporary folder and used one after the other, each in a process of its own, on the same checkpoints.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from pipeline.encoders._runtime.torchvision import make_importable

make_importable()

import faults
import numpy as np
import oracles
import pytest
from pages import put, table

from pipeline.core.errors import ClipdexError
from pipeline.encoders import Card, cards, encoders, load_encoder

PAGE = ROOT / "docs" / "encoders.md"
BATCHES = (1, 3, 8)


def _frames(card: Card) -> str:
    rate = card.frames_per_second
    return str(card.num_frames) if rate is None else f"{rate:g}/s, at most {card.num_frames},"


def listing() -> str:
    rows = [
        (
            f"`{name}`",
            f"`{card.default_checkpoint}`",
            f"{_frames(card)} x {card.image_size}",
            str(card.dim),
            f"{card.span_seconds:.1f}",
            "yes" if card.text else "",
            ", ".join(f"`{pooling}`" for pooling in encoders.get(name).poolings),
            ", ".join(f"`{one}`" for one in encoders.get(name).keeps),
            card.licence,
            f"`{card.extra}`" if card.extra else "",
        )
        for name, card in cards().items()
    ]
    header = ("encoder", "default weights", "frames x size", "dim", "span (s)", "text", "poolings", "keeps", "licence")
    return table((*header, "extra"), rows)


def differences(folder: Path) -> str:
    rows = []
    for name, case in oracles.CASES.items():
        path = case.build(folder / name)
        encoder = load_encoder(str(path), num_frames=case.frames)
        found = []
        for batch in BATCHES:
            clips = oracles.clips(case, batch)
            ours = encoder.encode(clips)
            theirs = oracles.expected(case, path, clips)
            found.append(float(np.abs((oracles.unit(ours) if case.unit else ours) - theirs).max()))
        text = ""
        if case.texts is not None:
            ours = oracles.unit(encoder.encode_text(oracles.TEXTS))
            text = f"{np.abs(ours - oracles.expected_texts(case, path)).max():.1e}"
        assert max(found) < 1e-5, (name, found)
        rows.append((name, encoder.facts.pooling, *(f"{one:.1e}" for one in found), text))
    return table(("checkpoint", "vector", *(f"batch {batch}" for batch in BATCHES), "texts"), rows)


def refusals(folder: Path) -> str:
    rows = []
    for number, (name, (fault, _)) in enumerate(faults.FAULTS.items()):
        place = folder / str(number)
        place.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            try:
                fault(patch, place)
            except ClipdexError as error:
                rows.append((name, str(error).replace(f"{place}/", "").replace("|", "\\|")))
                continue
        raise AssertionError(f"{name} was not refused")
    return table(("planted", "refused with"), rows)


def dump(folder: Path, out: Path) -> None:
    """Vectors and texts of every checkpoint in ``folder``, with the transformers of this process."""
    import transformers

    found = {"release": np.array(transformers.__version__)}
    for name, case in oracles.CASES.items():
        if name in oracles.SLOW or not (folder / name).exists():
            continue
        path = next((folder / name).glob("*.pyth"), folder / name)
        try:
            encoder = load_encoder(str(path), num_frames=case.frames)
        except ClipdexError as error:  # a release that reads it otherwise: refused, and said so in the table
            print(f"{transformers.__version__}: {name}: {error}", file=sys.stderr)
            continue
        found[f"{name}: vectors"] = encoder.encode(oracles.clips(case, 3))
        if case.texts is not None:
            found[f"{name}: texts"] = encoder.encode_text(oracles.TEXTS)
    np.savez(out, **found)


def releases(folder: Path, versions: Sequence[str]) -> str:
    results = []
    for version in versions:
        target, out = folder / f"transformers-{version}", folder / f"{version}.npz"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
        subprocess.run([*install, f"transformers=={version}"], check=True)
        environment = {**os.environ, "PYTHONPATH": str(target)}
        dumping = [sys.executable, __file__, "--dump", str(folder / "checkpoints"), str(out)]
        subprocess.run(dumping, check=True, env=environment)
        results.append(dict(np.load(out)))
        assert str(results[-1]["release"]) == version
    rows = []
    for name in results[-1]:
        if name == "release":
            continue
        cells = []
        for one in results[1:]:
            if name not in one or name not in results[0]:
                cells.append("refused to load by one of them")
                continue
            moved = float(np.abs(one[name] - results[0][name]).max())
            assert moved < 1e-5, (name, moved)
            cells.append(f"{moved:.1e}")
        rows.append((name, *cells))
    return table(("", *(f"{version} against {versions[0]}" for version in versions[1:])), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/encoders.md")
    parser.add_argument("--releases", default="", help="releases of transformers to compare, the first with the others")
    parser.add_argument("--dump", nargs=2, type=Path, metavar=("FOLDER", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.dump:
        dump(*options.dump)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "faults").mkdir()
        sections = {
            "list": listing(),
            "differences": differences(folder / "checkpoints"),
            "refusals": refusals(folder / "faults"),
        }
        if options.releases:
            sections["releases"] = releases(folder, options.releases.split(","))
    for section, content in sections.items():
        print(f"\n{section}\n\n{content}")
        if options.write:
            put(PAGE, section, content, script="exactness")


if __name__ == "__main__":
    main()
