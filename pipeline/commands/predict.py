"""clipdex predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

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
    typed,
)
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..classification.predict import FromSources, Predictions, Segments
    from ..classification.predict_options import DetectKeywords

_ONLY_SEGMENTS = ("window_seconds", "stride_seconds", "min_score", "merge_gap_seconds", "min_seconds", "export")
_SEGMENT_COLUMNS = ("start_seconds", "stop_seconds", "label", "score", "peak", "video")


def _texts(prompts: str | None) -> list[str]:
    """The texts of ``--prompts``."""
    texts = [text.strip() for text in (prompts or "").split(",") if text.strip()]
    if prompts is not None and not texts:
        raise click.UsageError("--prompts needs at least one text")
    return texts


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
        default=0.5,
        show_default=True,
        metavar="P",
        help="With --segments: lowest probability of a class to report.",
    ),
    click.option(
        "--merge-gap",
        "merge_gap_seconds",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        metavar="S",
        help="With --segments: join segments of one class at most S seconds apart.",
    ),
    click.option(
        "--min-seconds",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        metavar="S",
        help="With --segments: drop segments shorter than S seconds.",
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
    "--prompts",
    metavar="A,B,C",
    callback=lambda _ctx, _param, value: _texts(value),
    help="Instead of a head: texts to choose from (zero-shot), separated by commas.",
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
@click.option(
    "--top", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="How many classes to list."
)
@_segment_options
@bank_option
@recipe_option
@device_option
@processes_option
@output_option
def command(
    sources: tuple[str, ...],
    bank: Path,
    top: int,
    whole: bool,
    export: Path | None,
    raw_cells: bool,
    terminal: Terminal,
    **options: Unpack[DetectKeywords],
) -> None:
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

    _check_typed(whole)
    if whole:
        found: FromSources[Any] = _segments(terminal, sources, bank, export=export, raw_cells=raw_cells, **options)
    else:
        found = _clips(terminal, sources, bank, top=top, **options)
    terminal.say(*troubles(() if found.extraction is None else found.extraction.rows))
    terminal.warn(found.warnings)
    if found.failed:
        raise SystemExit(1)


def _check_typed(whole: bool) -> None:
    """Refuse options that have no effect on clips, or on segments."""
    if whole and typed("top"):
        raise click.UsageError("--top lists the classes of clips and does not work with --segments")
    if not whole and (names := typed(*_ONLY_SEGMENTS)):
        raise click.UsageError(f"{names[0]} works only with --segments")
    if not whole and typed("raw_cells"):
        raise click.UsageError("--raw-cells works only with --segments --export FILE.csv")


def _clips(
    terminal: Terminal, sources: Sequence[str], bank: Path, *, top: int, **options: Unpack[DetectKeywords]
) -> Predictions:
    with terminal.progress("Loading") as update:
        from ..classification.predict import predict
        from ..classification.predict_options import PredictOptions

        own: Any = {name: value for name, value in options.items() if name in PredictOptions.__annotations__}
        found = predict(sources, bank=bank, top=top, on_progress=update, options=PredictOptions(**own))
    shown = ("label", "score", *(("top",) if top > 1 else ()), "known", "start_seconds", "stop_seconds")
    terminal.rows(found.to_rows(), columns=(*shown, "video"))
    return found


def _segments(
    terminal: Terminal,
    sources: Sequence[str],
    bank: Path,
    *,
    export: Path | None,
    raw_cells: bool,
    **options: Unpack[DetectKeywords],
) -> Segments:
    from ..classification.segments import check_format, export_segments

    if export is not None:
        check_format(export)
    with terminal.progress("Loading") as update:
        from ..classification.predict import detect

        found = detect(sources, bank=bank, on_progress=update, **options)
    terminal.rows(found.to_rows(), columns=_SEGMENT_COLUMNS)
    if export is not None:
        for path in export_segments(found, export, raw_cells=raw_cells):
            terminal.say(f"Wrote {path}")
    return found
