"""Weizmann: 90 real clips of 10 actions by 9 people. For those who have it; see CLIPDEX_DATA."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.commands import main

DATA = Path(os.environ.get("CLIPDEX_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
WEIZMANN = DATA / "weizmann"

pytestmark = pytest.mark.skipif(
    not WEIZMANN.is_dir(),
    reason="the Weizmann videos are not here: set CLIPDEX_DATA to the folder that holds weizmann/",
)


def run(*arguments: object) -> list[dict]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weizmann") / "bank"
    rows = run("extract", WEIZMANN / "video", "--encoder", "lite", "--labels-from-folders", "--bank", folder)
    assert [row["status"] for row in rows] == ["ok"] * 90
    assert sum(row["clips"] for row in rows) == 90
    return folder


def test_a_second_run_encodes_nothing(bank: Path) -> None:
    again = run("extract", WEIZMANN / "video", "--encoder", "lite", "--labels-from-folders", "--bank", bank)
    assert {row["status"] for row in again} == {"unchanged"}
    assert len(run("label", "list", "--bank", bank)) == 90


@pytest.mark.parametrize(
    ("head", "least"), [(["--head", "linear"], 0.75), (["--head", "knn"], 0.6), (["--loss", "triplet"], 0.75)]
)
def test_heads_tell_actions_of_people_they_never_saw(bank: Path, head: list[str], least: float) -> None:
    (report,) = run("train-head", *head, "--labels", WEIZMANN / "manifest.csv", "--bank", bank)
    assert report["cv"]["protocol"] == "leave-one-group-out"
    assert report["groups"] == 9
    assert report["cv"]["top1"] >= least


def test_a_tenth_action_is_learned_from_five_clips(bank: Path, tmp_path: Path) -> None:
    with (WEIZMANN / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    nine = tmp_path / "nine.csv"
    with nine.open("w") as file:
        file.write("path,label,group\n")
        file.writelines(
            f"{WEIZMANN / row['path']},{row['label']},{row['group']}\n" for row in rows if row["label"] != "bend"
        )
    run("train-head", "--head", "linear", "--labels", nine, "--name", "nine", "--bank", bank)
    bends = [WEIZMANN / row["path"] for row in rows if row["label"] == "bend"]
    before = {row["clip_id"]: row["label"] for row in run("predict", "--head-name", "nine", "--bank", bank)}
    (report,) = run("add-class", "bend", *bends[:5], "--head-name", "nine", "--bank", bank)
    assert (report["clips"], report["encoded_clips"]) == (5, 0)
    after = run("predict", "--head-name", "nine", "--bank", bank)
    unseen = [row["label"] for row in after if row["video"] in {str(path) for path in bends[5:]}]
    assert unseen.count("bend") >= 3
    others = [row for row in after if row["video"] not in {str(path) for path in bends}]
    assert sum(row["label"] != before[row["clip_id"]] for row in others) <= 4
