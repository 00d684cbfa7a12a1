"""clipdex extract."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from .._registry import part_names
from .._types import Keep
from ..report.terminal import Terminal
from ._options import bank_option, device_option, output_option


@click.command("extract")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@bank_option
@click.option(
    "--encoder",
    default="xclip",
    show_default=True,
    help=f"One of {', '.join(part_names('encoders'))}, a Hub id (org/name[@revision]), or a checkpoint folder.",
)
@click.option(
    "--clips",
    type=click.Choice(["whole", "windows"]),
    default="windows",
    show_default=True,
    help="whole: one clip of each video. windows: videos longer than a window are cut.",
)
@click.option(
    "--window",
    "window_seconds",
    type=float,
    metavar="S",
    help="Seconds of a window [encoder's natural span].",
)
@click.option("--stride", "stride_seconds", type=float, metavar="S", help="Seconds between window starts [the window].")
@click.option("--frames", "num_frames", type=click.IntRange(1), metavar="N", help="Frames a clip [the encoder's].")
@click.option("--decoder", type=click.Choice(part_names("decoders")), default="pyav", show_default=True)
@device_option
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Clips a batch.")
@click.option("--workers", "num_workers", type=click.IntRange(1), metavar="N", help="Decoding threads [one a core].")
@click.option("--pooling", metavar="NAME", help="How a clip's features become one vector [the encoder's authors' way].")
@click.option(
    "--keep",
    type=click.Choice(get_args(Keep)),
    multiple=True,
    help="Also store: frames, the features of each frame or step; patches, what search --rerank needs (X-CLIP); "
    "patches-half, half as large and a little less exact. Repeatable.",
)
@click.option("--labels-from-folders", is_flag=True, help="Label each video with the name of its folder.")
@output_option
def command(sources: tuple[str, ...], bank: Path, terminal: Terminal, **options: Any) -> None:
    """Encode videos into the bank; what is stored already is not done again.

    SOURCE is a file, a moment FILE@START-STOP in seconds, a folder (searched through), a glob pattern, or a
    CSV or Parquet manifest with a column path and optionally start_seconds, stop_seconds, label, group and
    any further columns.

    \b
    Examples:
      clipdex extract videos/ --encoder lite
      clipdex extract match.mp4 --encoder MCG-NJU/videomae-base-finetuned-kinetics --window 2 --stride 1
      clipdex extract sports/ --encoder lite --labels-from-folders
    """
    from ..extract import extract
    from ..report.summary import cautions, extraction_rows, extraction_summary, troubles

    with terminal.progress() as update:
        done = extract(sources, bank=bank, on_progress=update, **options)
    terminal.rows(extraction_rows(done) if terminal.json else [], columns=())
    terminal.say(*troubles(done.rows), *cautions(done), extraction_summary(done, bank))
    if done.failed:
        raise SystemExit(1)
