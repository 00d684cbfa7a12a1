"""clipdex predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._complete import complete_head
from ._options import (
    bank_option,
    device_option,
    output_option,
    processes_option,
    prompt_options,
    raw_cells_option,
    recipe_option,
    several,
)
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..core.types import VideoRow

_segment_options = several(
    click.option("--segments", "whole", is_flag=True, help="Report segments, each with a class, a start and a stop."),
    click.option(
        "--window",
        "window_seconds",
        type=float,
        metavar="S",
        help="With --segments: length of a window in seconds [as the head's examples].",
    ),
    click.option(
        "--stride",
        "stride_seconds",
        type=float,
        metavar="S",
        help="With --segments: seconds between window starts [half a window].",
    ),
    click.option(
        "--min-score",
        type=click.FloatRange(0, 1),
        metavar="P",
        help="With --segments: lowest probability of a class to report [0.5].",
    ),
    click.option(
        "--merge-gap",
        "merge_gap_seconds",
        type=click.FloatRange(0),
        metavar="S",
        help="With --segments: join segments of one class at most S seconds apart [0].",
    ),
    click.option(
        "--min-seconds",
        type=click.FloatRange(0),
        metavar="S",
        help="With --segments: drop segments shorter than S seconds [0].",
    ),
    click.option(
        "--export",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="With --segments: write them to a .csv, .json or .vtt file (subtitles for any player).",
    ),
    raw_cells_option,
)


@click.command("predict")
@click.argument("sources", nargs=-1, metavar="[SOURCE or MOMENT]...")
@click.option("--head-name", shell_complete=complete_head, help="Name of the head [default].")
@click.option(
    "--prompts", metavar="A,B,C", help="Instead of a head: texts to choose from (zero-shot), separated by commas."
)
@prompt_options
@click.option("--never-abstain", is_flag=True, help="Always report the likeliest class, even for unfamiliar clips.")
@click.option(
    "--accept-known",
    type=click.FloatRange(0, 1),
    default=0.95,
    show_default=True,
    metavar="SHARE",
    help="Share of clips of known classes that must not be rejected as unknown.",
)
@click.option("--top", type=click.IntRange(1), metavar="N", help="How many classes to list [5].")
@_segment_options
@bank_option
@recipe_option
@device_option
@processes_option
@output_option
def command(sources: tuple[str, ...], prompts: str | None, whole: bool, terminal: Terminal, **options: Any) -> None:
    """Predict the classes of videos or of the whole bank.

    Without SOURCE it predicts all clips of the bank. New videos are encoded and stored first. The label is null if the
    clip is unlike every class that the head was trained on ("unknown"), or if the class does not reach the precision
    requested in training ("unsure"). The field known is the share of held-out clips of known classes that look at most
    as familiar as this clip.

    \b
    Examples:
      clipdex predict new-videos/
      clipdex predict match.mp4@10-12 --head-name sports
      clipdex predict match.mp4 --segments --merge-gap 1 --export match.vtt
      clipdex predict --prompts "a dog running,a person cycling" --template "a video of {}"
    """
    from ._terminal import troubles

    if prompts is not None and not prompts.strip(" ,"):
        raise click.UsageError("--prompts needs at least one text")
    texts = [text.strip() for text in (prompts or "").split(",") if text.strip()]
    rows = (_segments if whole else _clips)(terminal, sources, prompts=texts, **options)
    terminal.say(*troubles(rows))
    if any(row.status in ("failed", "partial") for row in rows):
        raise SystemExit(1)


_ONLY_SEGMENTS = ("window_seconds", "stride_seconds", "min_score", "merge_gap_seconds", "min_seconds", "export")
_SEGMENT_COLUMNS = ("start_seconds", "stop_seconds", "label", "score", "peak", "video")


def _clips(terminal: Terminal, sources: Sequence[str], **options: Any) -> Sequence[VideoRow]:
    from ..classification.predict import predict
    from ..report.summary import prediction_rows

    for name in _ONLY_SEGMENTS:
        if options.pop(name) is not None:
            raise click.UsageError(f"--{name.split('_seconds')[0].replace('_', '-')} works only with --segments")
    if options.pop("raw_cells"):
        raise click.UsageError("--raw-cells works only with --segments --export FILE.csv")
    top = options.pop("top") or 5
    with terminal.progress() as update:
        predictions, rows = predict(sources, top=top, on_progress=update, **options)
    shown = ("label", "score", *(("top",) if top > 1 else ()), "known", "start_seconds", "stop_seconds")
    terminal.rows(prediction_rows(predictions), columns=(*shown, "video"))
    return rows


def _segments(
    terminal: Terminal, sources: Sequence[str], *, export: Path | None, raw_cells: bool, **options: Any
) -> Sequence[VideoRow]:
    from ..classification.predict import detect
    from ..classification.segments import check_format, export_segments

    if options.pop("top") is not None:
        raise click.UsageError("--top lists the classes of clips and does not work with --segments")
    if export is not None:
        check_format(export)
    given = {name: value for name, value in options.items() if value is not None}
    with terminal.progress() as update:
        found, rows = detect(sources, on_progress=update, **given)
    terminal.rows([dataclasses.asdict(one) for one in found], columns=_SEGMENT_COLUMNS)
    if export is not None:
        for path in export_segments(found, export, raw_cells=raw_cells):
            terminal.say(f"Wrote {path}")
    return rows
