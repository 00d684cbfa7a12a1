"""The contract of the command line: names, fields, streams, exit statuses."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import hard_videos
import pytest
from click.testing import CliRunner, Result

from pipeline import Bank
from pipeline.commands import main
from pipeline.commands._terminal import Terminal
from pipeline.encoders import FALLBACK_ENCODER

ROOT = Path(__file__).parents[2]
Start = Callable[..., subprocess.Popen[str]]

# What a row of an extraction tells beside the contract's fields.
MORE = ("stage", "error", "frames_planned", "frames_lost")


def run(*arguments: object, fails: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == fails, result.output
    return result


def lines(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def every_command(group: click.Group = main, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found


@pytest.fixture
def bank(tmp_path: Path, videos: Path, xclip: Path) -> Path:
    run("extract", videos, "--encoder", xclip, "--bank", tmp_path / "bank", "--labels-from-folders")
    return tmp_path / "bank"


def test_the_commands_of_the_contract_are_there() -> None:
    there = {" ".join(path) for path in every_command()}
    assert there >= {
        "extract",
        "search",
        "index build",
        "index stats",
        "label add",
        "label import",
        "label export",
        "label list",
        "label remove",
        "train-head",
        "add-class",
        "head list",
        "head show",
        "head remove",
        "predict",
        "info",
        "encoders",
        "doctor",
        "demo",
    }


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_help_shows_an_example_of_the_command_itself(path: tuple[str, ...]) -> None:
    text = run(*path, "--help").stdout
    assert f"clipdex {path[0]}" in text.split("Options:")[0].split("Usage:")[1].split("\n", 1)[1], text


def test_extract_prints_one_json_line_for_each_input_and_nothing_else(
    tmp_path: Path, videos: Path, xclip: Path
) -> None:
    (videos / "bad.mp4").touch()
    result = run("extract", videos, "--encoder", xclip, "--bank", tmp_path / "b", "--json", fails=1)
    rows = lines(result)
    assert [row["status"] for row in rows].count("ok") == 3
    (bad,) = [row for row in rows if row["status"] == "failed"]
    assert set(bad) == {"video", "video_id", "status", "clips", "reason", *MORE}
    assert "bad.mp4 is empty" in bad["reason"]
    assert "4 videos: 3 ok, 1 failed. 3 clips encoded" in result.stderr
    (videos / "bad.mp4").unlink()
    again = run("extract", videos, "--encoder", xclip, "--bank", tmp_path / "b")
    assert {row["status"] for row in lines(again)} == {"unchanged"}


def test_search_prints_hits_with_times_and_metadata(bank: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "hits.html"
    result = run("search", "a dog", "--bank", bank, "-k", 2, "--html", page)
    hits = lines(result)
    fields = {"rank", "score", "video", "video_id", "start_seconds", "stop_seconds", "clip_id", "metadata"}
    assert all(fields <= set(hit) for hit in hits)
    assert len(hits) == 2
    assert hits[0]["score"] >= hits[1]["score"]
    assert f"Pictures: {page}" in result.stderr
    assert "data:image/webp;base64," in page.read_text()


def test_labels_go_in_come_out_and_are_listed(bank: Path, tmp_path: Path, videos: Path) -> None:
    (added,) = lines(
        run("label", "add", f"{videos / 'red' / '0.mp4'}@0.2-0.8", "wave", "--group", "ann", "--bank", bank)
    )
    assert (added["label"], added["start_seconds"], added["stop_seconds"], added["group"]) == ("wave", 0.2, 0.8, "ann")
    out = tmp_path / "labels.csv"
    run("label", "export", out, "--bank", bank)
    before = lines(run("label", "list", "--bank", bank))
    assert len(before) == 4
    result = run("label", "import", out, "--bank", tmp_path / "other")
    assert "4 labels read, 4 of them new" in result.stderr
    strip = [{name: row[name] for name in row if name != "source"} for row in before]
    after = lines(run("label", "list", "--bank", tmp_path / "other"))
    assert [{name: row[name] for name in row if name != "source"} for row in after] == strip


def test_the_whole_story_train_add_predict(bank: Path, videos: Path, tmp_path: Path) -> None:
    options = ("--epochs", 3, "--bank", bank)
    (report,) = lines(run("train-head", "--loss", "triplet", "--set", "hidden-dim=64", *options))
    assert report["parameters"]["hidden_dim"] == 64
    assert (report["head"], report["kind"], report["loss"]) == ("default", "mlp", "triplet")
    assert report["classes"] == ["blue", "red"]
    assert (report["clips"], report["groups"]) == (3, 3)
    assert set(report["cv"]) >= {"protocol", "top1", "top5", "balanced_accuracy", "macro_f1", "ece"}

    green = tmp_path / "green.mp4"
    hard_videos.write(green, hard_videos.steady(40), options=hard_videos.X264, size=(200, 48))
    (added,) = lines(run("add-class", "green", f"{green}@0-0.8", f"{green}@0.8-1.6", "--bank", bank))
    assert set(added) >= {"class", "clips", "seconds", "encoded_clips", "other_scores_changed", "confusions"}
    assert (added["class"], added["clips"], added["encoded_clips"]) == ("green", 2, 2)
    (again,) = lines(run("add-class", "green", f"{green}@0-0.8", "--bank", bank))
    assert again["encoded_clips"] == 0

    more = tmp_path / "more"
    more.mkdir()
    hard_videos.write(more / "new.mp4", hard_videos.steady(30), options=hard_videos.X264, size=(200, 52))
    (one,) = lines(run("predict", more, "--bank", bank))
    assert set(one) >= {"video", "start_seconds", "stop_seconds", "label", "score", "top"}
    assert one["video"] == str(more / "new.mp4")
    assert one["top"][0] == [one["label"], one["score"]]
    assert len(one["top"]) == 3
    assert len(lines(run("predict", "--bank", bank))) == 5  # asking about a video does not store it in the bank
    (moment,) = lines(run("predict", f"{green}@0.1-0.5", "--bank", bank))
    assert (moment["start_seconds"], moment["stop_seconds"]) == (0.1, 0.5)

    (card,) = lines(run("head", "list", "--bank", bank))
    assert card["classes"] == ["blue", "green", "red"]
    assert card["cv"] is None
    assert lines(run("head", "show", "default", "--bank", bank)) == [card]
    run("head", "remove", "default", "--bank", bank)
    assert "there is no head 'default'" in run("predict", "--bank", bank, fails=1).stderr


def test_prompts_label_without_any_training(bank: Path) -> None:
    rows = lines(run("predict", "--prompts", "a dog, a cat", "--bank", bank))
    assert len(rows) == 3
    assert {name for name, _ in rows[0]["top"]} == {"a dog", "a cat"}
    assert sum(score for _, score in rows[0]["top"]) == pytest.approx(1)


def test_predict_names_what_it_could_not_read(bank: Path, videos: Path) -> None:
    run("train-head", "--head", "knn", "--bank", bank)
    (videos / "bad.mp4").write_text("no")
    result = run("predict", videos, "--bank", bank, fails=1)
    assert len(lines(result)) == 3
    assert "bad.mp4 is not a video" in result.stderr


def test_info_index_and_encoders_describe_what_is_there(bank: Path) -> None:
    (info,) = lines(run("info", "--bank", bank))
    assert info["labels"] == {"blue": 1, "red": 2}
    assert info["recipes"][0]["clips"] == 3
    assert info["recipes"][0]["videos"] == {"ok": 3}
    (stats,) = lines(run("index", "build", "--bank", bank))
    assert set(stats) == {"kind", "vectors", "dim", "bytes", "recall_at_10", "build_seconds"}
    assert (stats["vectors"], stats["recall_at_10"]) == (3, 1.0)
    assert lines(run("index", "stats", "--bank", bank))[0]["vectors"] == 3
    (compressed,) = lines(run("index", "build", "--kind", "sq8", "--min-recall", "1", "--bank", bank))
    assert (compressed["kind"], compressed["recall_at_10"]) == ("sq8", 1.0)
    assert lines(run("index", "stats", "--bank", bank))[0]["kind"] == "sq8"
    by_name = {row["name"]: row for row in lines(run("encoders"))}
    assert by_name["lite"]["at_hand"] is True
    assert "non-commercial" in by_name["videomae"]["licence"]


def test_doctor_finds_damage_and_repair_makes_room_for_a_rerun(bank: Path, videos: Path, xclip: Path) -> None:
    (part,) = (bank / "clips").glob("*/part-*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    assert f"{part.name} is damaged" in run("search", "a", "--bank", bank, fails=1).stderr
    found, redo = [row for row in lines(run("doctor", "--bank", bank, fails=1)) if not row["ok"]]
    assert part.name in found["detail"]
    assert str(videos / "blue" / "2.mp4") in redo["detail"]
    run("doctor", "--repair", "--bank", bank, fails=1)
    assert (bank / "damaged").is_dir()
    again = run("extract", videos, "--encoder", xclip, "--bank", bank)
    assert [row["status"] for row in lines(again)] == ["ok"] * 3
    assert all(row["ok"] for row in lines(run("doctor", "--bank", bank)))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["extract"], 2, "Missing argument 'SOURCE...'"),
        (["extract", "x.mp4", "--encoder", "nope"], 2, "unknown encoder 'nope'; there are: c2d, clip, "),
        (["extract", "x.mp4", "--encoder", "lite", "--window", "1", "--stride", "2"], 2, "skips video"),
        (["extract", "x.mp4", "--encoder", "lite"], 1, "there is no file or folder x.mp4"),
        (["extract", "{tmp}", "--encoder", "lite"], 1, "holds no video, at any depth"),
        (["extract", "{tmp}", "--encoder", "xclip"], 1, f"use --encoder {FALLBACK_ENCODER}"),
        (["search", "a dog"], 1, "there is no bank at bank; make one with: clipdex extract"),
        (["search"], 1, "there is no bank"),
        (["train-head", "--head", "forest"], 2, "'forest' is not one of 'knn', 'linear', 'mlp'"),
        (["train-head", "--set", "k"], 2, "'k' is not NAME=VALUE"),
        (["extract", "x.mp4", "--labels-from-names", "("], 2, "--labels-from-names: '(' is no regular expression"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_faults_are_said_with_the_right_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(argument.format(tmp=tmp_path) for argument in arguments), fails=status)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "mps"], "has no mps device; use --device auto"),
        (["--device", "cpu", "--precision", "float16"], "float16 is slower than float32 on a CPU"),
    ],
)
def test_a_device_or_precision_that_this_machine_lacks_is_wrong_usage(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    result = run("extract", videos, "--encoder", "lite", "--bank", tmp_path / "bank", *arguments, fails=2)
    assert message in " ".join(result.stderr.split())


def test_a_mistyped_source_costs_its_own_row_and_is_not_tried_again(bank: Path, videos: Path, tmp_path: Path) -> None:
    typo = videos / "typo.mp4"
    result = run("extract", videos / "red", typo, "--bank", bank, fails=1)
    rows = {Path(row["video"]).name: row for row in lines(result)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "0.mp4": "unchanged",
        "1.mp4": "unchanged",
        "typo.mp4": "failed",
    }
    assert rows["typo.mp4"]["reason"] == f"there is no file or folder {typo}"
    assert "Nothing to do." in run("retry", "--bank", bank).stderr
    run("train-head", "--bank", bank)
    result = run("predict", videos / "blue", typo, "--bank", bank, fails=1)
    assert [Path(row["video"]).name for row in lines(result)] == ["2.mp4"]
    assert f"failed: there is no file or folder {typo}" in result.stderr


def test_labels_and_groups_come_from_file_names_also_of_stored_videos(
    tmp_path: Path, videos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bank = tmp_path / "bank"
    for old, new in (("0", "walk_anna"), ("1", "run_bo"), ("2", "other")):
        (path,) = videos.rglob(f"{old}.mp4")
        path.rename(path.with_name(f"{new}.mp4"))
    run("extract", videos, "--encoder", "lite", "--bank", bank)
    pattern = ["--labels-from-names", "(?P<label>[a-z]+)_(?P<group>[a-z]+)"]
    done = run("extract", videos, "--bank", bank, *pattern)
    assert {row["status"] for row in lines(done)} == {"unchanged"}
    labels = {(row["label"], row["group"]) for row in lines(run("label", "list", "--bank", bank))}
    assert labels == {("walk", "anna"), ("run", "bo")}
    assert "1 of 3 file names do not fit" in caplog.text
    assert "the first: other.mp4" in caplog.text
    run("extract", videos, "--bank", bank, *pattern, "--labels-from-folders")
    assert {row["label"] for row in lines(run("label", "list", "--bank", bank))} == {"walk", "run", "blue"}
    run("extract", videos, "--bank", bank, "--labels-from-names", "[a-z]+", fails=2)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["extract", "{videos}", "--encoder", "lite"], ["Loading the encoder", "3/3"]),
        (["map", "--out", "{videos}/map"], ["Placing the clips", "Drawing picture 3 of 3"]),
    ],
)
def test_a_person_sees_what_is_being_done(bank: Path, videos: Path, arguments: list[str], texts: list[str]) -> None:
    program = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'pipeline', *sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *(one.format(videos=videos) for one in arguments), "--bank", str(bank)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "150"},
    )
    assert done.returncode == 0, done.stdout
    assert all(text in done.stdout for text in texts)


def test_a_person_sees_tables_and_no_json(tmp_path: Path, bank: Path) -> None:
    """Under a real terminal, made with the standard library's pty."""
    program = (
        "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'pipeline', 'search', 'a', '--bank', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bank)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "150"},
    )
    assert done.returncode == 0, done.stdout
    assert "rank" in done.stdout
    assert "start seconds" in done.stdout
    assert '{"' not in done.stdout


def test_the_bank_may_come_from_the_environment(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPDEX_BANK", str(bank))
    assert lines(run("info"))[0]["bank"] == str(bank)


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    from pipeline import ClipdexError

    with pytest.raises(ClipdexError):
        run("--debug", "info", "--bank", tmp_path / "none")


def test_cli_py_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "cli.py", "--version"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("clipdex, version")


def test_cli_py_in_a_python_without_the_packages_says_how_to_install_them() -> None:
    # -S leaves out site-packages, -E the environment that could name them.
    command = [sys.executable, "-S", "-E", "cli.py", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{sys.executable} -m pip install --editable {ROOT}" in done.stderr


def test_names_from_strangers_are_data_in_tables_pages_and_parquet(tmp_path: Path, xclip: Path) -> None:
    evil = tmp_path / "<script>alert(1)</script> [bold]'\"\n.mp4".replace("/", "_")
    hard_videos.write(evil, hard_videos.steady(20), options=hard_videos.X264)
    run("extract", tmp_path, "--encoder", xclip, "--bank", tmp_path / "b")
    page = tmp_path / "page.html"
    (hit,) = lines(run("search", "a", "--bank", tmp_path / "b", "--html", page))
    assert hit["video"] == str(evil)
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_and_devices_named_as_files_are_refused_and_nothing_waits(
    bank: Path, videos: Path, tmp_path: Path
) -> None:
    for name in ("pipe", "pipe.csv", "pipe.mp4"):
        os.mkfifo(tmp_path / name)
    pipe, table, clip = (str(tmp_path / name) for name in ("pipe", "pipe.csv", "pipe.mp4"))
    question = ["search", "--clip", f"{videos / 'red' / '0.mp4'}"]
    commands = (
        ["label", "import", table],
        ["label", "add", f"{clip}@0-1", "run"],
        ["label", "export", table],
        ["train-head", "--labels", table],
        ["evaluate-search", "--queries", table],
        ["search", "--image", pipe],
        ["search", "--clip", clip],
        ["search", "--clip", f"{clip}@0-1"],
        ["search", "--image", "/dev/zero"],
        [*question, "--html", pipe],
        [*question, "--export", pipe],
        [*question, "--format", "csv", "--out", table],
        ["extract", table, "--encoder", "lite"],
    )
    # In a process of its own: if one waits, it can be ended.
    program = (
        "import json, sys\nfrom click.testing import CliRunner\nfrom pipeline.commands import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    done = CliRunner().invoke(main, [*words, '--bank', sys.argv[2]])\n"
        "    print(json.dumps([done.exit_code, repr(done.exception), done.output]), flush=True)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands), str(bank)], stdout=subprocess.PIPE, text=True, timeout=240
    )
    for words, line in zip(commands, run.stdout.splitlines(), strict=True):
        status, error, said = json.loads(line)
        assert status in (1, 2), (words, said)
        assert error.startswith("SystemExit"), (words, error)
        assert re.search(r"a device(, a| or a) pipe|is a file", said), (words, said)


def test_what_steers_a_terminal_is_spelled_out_for_people(bank: Path, videos: Path, tmp_path: Path) -> None:
    name = "\x1b[31mred\u202egnp.mp4"
    shutil.copy(videos / "red" / "0.mp4", tmp_path / name)
    (tmp_path / f"broken{name}").write_bytes(b"x")
    for words in (
        ["label", "add", "--also", str(tmp_path / name), "run\x1b]0;x\x07"],
        ["label", "list"],
        ["search", "--clip", str(tmp_path / "gone\x1b[0m.mp4")],
        ["search", "--text", "x", "--\x1b[31m"],
        ["extract", str(tmp_path / f"broken{name}"), "--encoder", "lite"],
    ):
        done = CliRunner().invoke(main, [*words, "--bank", str(bank)], obj={"story": True})
        assert "\x1b" not in done.output
        assert "\u202e" not in done.output
        assert "\\x1b" in done.output


def test_a_name_in_a_table_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=False, story=True).rows([{"label": "\x1b[31m\n\u2067a"}], columns=["label"])
    assert capsys.readouterr().out.split() == ["label", r"\x1b[31m\n\u2067a"]


def test_add_class_through_the_real_path_takes_repeats_and_folders(bank: Path, videos: Path, tmp_path: Path) -> None:
    run("train-head", "--head", "linear", "--bank", bank)
    new = tmp_path / "new"
    new.mkdir()
    for number in range(2):
        hard_videos.write(new / f"{number}.mp4", hard_videos.steady(41 + number), options=hard_videos.X264)
    (report,) = lines(run("add-class", " green ", new, new / "0.mp4", new / "0.mp4", "--bank", bank))
    assert (report["class"], report["clips"], report["encoded_clips"]) == ("green", 2, 2)
    result = run("add-class", "mine", videos / "blue" / "2.mp4", "--bank", bank, fails=1)
    assert "belong to" in result.stderr
    assert "Traceback" not in result.stderr
    before = lines(run("label", "list", "--bank", bank))
    hard_videos.write(videos / "blue" / "3.mp4", hard_videos.steady(44), options=hard_videos.X264)
    (report,) = lines(run("add-class", "green", videos / "blue", "--bank", bank))  # one is blue's only clip
    assert report["clips"] == 1
    assert len(lines(run("label", "list", "--bank", bank))) == len(before) + 1


def test_predicting_a_stored_stretch_answers_under_the_name_that_was_given(
    bank: Path, videos: Path, tmp_path: Path
) -> None:
    run("train-head", "--head", "knn", "--bank", bank)
    (whole,) = lines(run("predict", videos / "red" / "0.mp4", "--bank", bank))
    (moment,) = lines(run("predict", f"{videos / 'red' / '0.mp4'}@0-1", "--bank", bank))
    assert moment["clip_id"] == whole["clip_id"]
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((videos / "red" / "0.mp4").read_bytes())
    both = lines(run("predict", videos / "red" / "0.mp4", copy, "--bank", bank))
    assert [row["video"] for row in both] == [str(videos / "red" / "0.mp4"), str(copy)]


def test_labels_are_removed_by_moment_and_by_class(bank: Path, videos: Path) -> None:
    video = videos / "red" / "0.mp4"
    run("label", "add", f"{video}@0.2-0.8", "wave", "--bank", bank)
    assert len(lines(run("label", "remove", f"{video}@0.2-0.8", "--bank", bank))) == 1
    assert len(lines(run("label", "remove", "--class", "red", "--bank", bank))) == 2
    assert [row["label"] for row in lines(run("label", "list", "--bank", bank))] == ["blue"]
    assert "say which labels" in run("label", "remove", "--bank", bank, fails=2).stderr
    assert "as one word" in " ".join(run("label", "add", video, "@1-2", "--bank", bank, fails=1).stderr.split())


def test_a_bank_whose_indexes_cannot_be_written_is_still_searched(bank: Path) -> None:
    (bank / "indexes").write_text("in the way")
    assert len(lines(run("search", "a", "--bank", bank))) == 3
    failure = run("index", "build", "--bank", bank, fails=1).stderr
    assert f"cannot write in {bank / 'indexes'}" in failure
    assert "Choose a writable bank" in failure


def test_damaged_labels_are_found_and_set_aside(bank: Path) -> None:
    (path,) = (bank / "labels").glob("part-*.parquet")
    path.write_bytes(path.read_bytes()[:50])
    assert f"{path.name} is damaged" in run("train-head", "--bank", bank, fails=1).stderr
    run("doctor", "--repair", "--bank", bank, fails=1)
    assert (bank / "damaged" / "labels" / path.name).exists()
    assert lines(run("label", "list", "--bank", bank)) == []


def test_every_command_line_of_the_readme_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed as written, up to the point where work would begin."""
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").touch()
    text = (ROOT / "README.md").read_text()
    told = [line.partition("#")[0].strip() for line in text.splitlines() if line.startswith("clipdex ")]
    assert len(told) >= 12
    for line in told:
        command, arguments = main, shlex.split(line)[1:]
        while isinstance(command, click.Group):
            command = command.get_command(click.Context(command), arguments.pop(0))
        context = command.make_context(line, arguments)
        assert context.params, line


def test_failures_are_told_allowed_and_tried_again(tmp_path: Path, videos: Path, videomae: Path) -> None:
    broken = videos / "broken.mp4"
    broken.write_bytes(b"not yet")
    call = ("extract", videos, "--encoder", videomae, "--bank", tmp_path / "bank")
    rows = lines(run(*call, fails=1))
    (failed,) = [row for row in rows if row["status"] == "failed"]
    assert (failed["stage"], failed["error"]) == ("scan", "DecodeError")
    assert len(lines(run(*call, "--allow-failures"))) == 4
    (again,) = lines(run("retry", "--bank", tmp_path / "bank", fails=1))
    assert again["video"] == str(broken)
    broken.write_bytes((videos / "red" / "0.mp4").read_bytes() + b"other content")
    (again,) = lines(run("retry", "--bank", tmp_path / "bank"))
    assert again["status"] == "ok"
    assert lines(run("retry", "--bank", tmp_path / "bank")) == []
    run(*call, "--max-lost-frames", "-1", fails=2)
    run(*call, "--time-limit", "0", fails=2)


def test_a_bank_is_compacted_and_pruned(bank: Path, videos: Path) -> None:
    run("predict", videos / "red" / "0.mp4", "--prompts", "a,b", "--bank", bank)
    run("extract", f"{videos / 'red' / '0.mp4'}@0.2-0.8", "--encoder", Bank(bank).recipe().checkpoint, "--bank", bank)
    (done,) = lines(run("bank", "compact", "--bank", bank))
    assert done["parts"] == 2 < done["parts_before"]
    (videos / "red" / "0.mp4").unlink()
    (asked,) = lines(run("bank", "prune", "--dry-run", "--bank", bank))
    (pruned,) = lines(run("bank", "prune", "--bank", bank))
    assert asked["videos"] == pruned["videos"] == [str(videos / "red" / "0.mp4")]
    assert pruned["clips"] > 0
    (nothing,) = lines(run("bank", "prune", "--bank", bank))
    assert nothing["videos"] == []


WATCH = ("--watch", "--poll", "0.3", "--profile", "--json")


def test_a_watched_folder_is_followed_until_ctrl_c(tmp_path: Path, videos: Path, videomae: Path, start: Start) -> None:
    call = [sys.executable, "-W", "ignore", "cli.py", "extract", videos, "--encoder", videomae, *WATCH]
    process = start([*call, "--bank", tmp_path / "bank"], cwd=ROOT)
    first = [json.loads(process.stdout.readline()) for _ in range(3)]
    hard_videos.write(tmp_path / "late.mp4", hard_videos.steady(40), options=hard_videos.X264)
    (tmp_path / "late.mp4").rename(videos / "late.mp4")  # complete at once, however slowly it was written
    late = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert [row["status"] for row in [*first, late]] == ["ok"] * 4
    assert late["video"].endswith("late.mp4")
    assert process.returncode == 0
    assert "stop it with Ctrl-C" in said
    assert "encode " in said
    assert "Traceback" not in said


def test_in_the_background_ctrl_c_is_not_for_it_and_sigterm_ends_watching(
    tmp_path: Path, videos: Path, videomae: Path, start: Start
) -> None:
    call = [sys.executable, "-W", "ignore", "cli.py", "extract", videos, "--encoder", videomae, *WATCH]
    process = start([*call, "--bank", tmp_path / "bank"], cwd=ROOT, sigint="SIG_IGN")
    first = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGINT)
    shutil.copy(videos / "red" / "0.mp4", tmp_path / "late.mp4")
    (tmp_path / "late.mp4").rename(videos / "late.mp4")
    late = json.loads(process.stdout.readline())  # so it still watches
    process.terminate()
    _, said = process.communicate()
    assert len(first) == 3
    assert late["video"].endswith("late.mp4")
    assert process.returncode == 0
    assert f"stop it with kill {process.pid}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("sigint", ["SIG_DFL", "SIG_IGN"])
def test_outcomes_are_printed_as_they_come_and_a_polite_end_keeps_them(
    tmp_path: Path, videomae: Path, start: Start, sigint: str
) -> None:
    for number in range(3):
        hard_videos.write(tmp_path / f"{number}.mp4", hard_videos.steady(30 + number), options=hard_videos.X264)
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 500)
    hang = hard_videos.write(tmp_path / "z.mp4", hard_videos.steady(40), options=hard_videos.X264).path
    call = [sys.executable, "-W", "ignore", "-c", HANGING, "extract", tmp_path, "--encoder", videomae, "--json"]
    process = start([*call, "--bank", tmp_path / "bank", "--batch-size", "1"], cwd=ROOT, sigint=sigint)
    rows = [json.loads(process.stdout.readline()) for _ in range(4)]
    process.send_signal(signal.SIGTERM)
    rest, said = process.communicate()
    assert {Path(row["video"]).name: row["status"] for row in rows} == {
        "0.mp4": "ok",
        "1.mp4": "ok",
        "2.mp4": "ok",
        "broken.mp4": "failed",
    }
    assert (rest, process.returncode) == ("", 1)
    assert "Stopped. What was finished is stored" in said
    assert hang.exists()
    assert len(Bank(tmp_path / "bank").clips(Bank(tmp_path / "bank").recipe().id)) == 3


HANGING = """
import os, signal, sys
from pipeline import commands
from pipeline.decoders._process import ReadingProcess
honest = ReadingProcess.frames
def frames(self, numbers):
    if self._path.name == "z.mp4":
        os.kill(self.pid, signal.SIGSTOP)
    yield from honest(self, numbers)
ReadingProcess.frames = frames
commands.main(sys.argv[1:])
"""


def test_a_message_names_its_file(tmp_path: Path, videos: Path, videomae: Path) -> None:
    moment = f"{videos / 'red' / '0.mp4'}@50-60"
    result = run("extract", moment, "--encoder", videomae, "--bank", tmp_path / "bank", fails=1)
    assert f"failed: {videos / 'red' / '0.mp4'}: the stretch 50-60 s" in result.stderr
