"""clipdex extract."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, get_args

import click

from ..core.registry import part_names
from ..core.types import Keep, Precision
from ._complete import complete_encoder
from ._options import (
    bank_option,
    device_option,
    effort_options,
    gathered,
    limit_options,
    output_option,
    processes_option,
)
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..extraction.extract_options import ExtractKeywords
    from ..extraction.run import Extraction


def _poll_seconds(given: dict[str, Any]) -> float | None:
    """Seconds between two scans, or None without ``--watch``."""
    poll_seconds: float = given.pop("poll_seconds")
    return poll_seconds if given.pop("watching") else None


@click.command("extract")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@bank_option
@click.option(
    "--encoder",
    shell_complete=complete_encoder,
    help=f"One of {', '.join(part_names('encoders'))}, a Hub id (org/name[@revision]), or a checkpoint folder [the "
    "bank's own; in a new bank xclip if its weights are here or the hub answers, else a built-in one].",
)
@click.option(
    "--clips",
    type=click.Choice(["whole", "windows"]),
    default="windows",
    show_default=True,
    help="whole: one clip per video. windows: longer videos are cut into windows.",
)
@click.option(
    "--window",
    "window_seconds",
    type=float,
    metavar="S",
    help="Length of a window in seconds [the span of the encoder].",
)
@click.option("--stride", "stride_seconds", type=float, metavar="S", help="Seconds between window starts [--window].")
@click.option("--frames", "num_frames", type=click.IntRange(1), metavar="N", help="Frames per clip [the encoder's].")
@click.option("--decoder", type=click.Choice(part_names("decoders")), help="Library that reads videos [pyav].")
@device_option
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Number format of the network [float32]; auto: bfloat16 on a GPU, if a test clip's vector stays close enough.",
)
@click.option(
    "--even-if-slower",
    "allow_slow_precision",
    is_flag=True,
    help="Accept a --precision that takes longer than float32 on this machine.",
)
@effort_options
@processes_option
@click.option("--pooling", metavar="NAME", help="How a clip's features become one vector [as its authors do].")
@click.option(
    "--keep",
    type=click.Choice(get_args(Keep)),
    multiple=True,
    help="Also store: frames, the features of each frame or time step; patches, needed by search --rerank (X-CLIP); "
    "patches-half, half the size and slightly less exact. Repeatable.",
)
@click.option("--labels-from-folders", is_flag=True, help="Label each video with the name of its folder.")
@click.option(
    "--labels-from-names",
    metavar="PATTERN",
    help="Label each video by its file name: a regular expression with (?P<label>...), and (?P<group>...) if wanted.",
)
@click.option("--min-seconds", type=click.FloatRange(0), default=0.0, metavar="S", help="Skip shorter videos.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Refuse files outside this folder, even if a manifest or a link names them.",
)
@click.option(
    "--watch",
    "watching",
    is_flag=True,
    help="Keep running until Ctrl-C or SIGTERM and extract new files once they are complete.",
)
@click.option(
    "--poll",
    "poll_seconds",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    metavar="S",
    help="With --watch: seconds between two scans; a file that did not change in between is complete.",
)
@gathered("poll_seconds", _poll_seconds)
@limit_options
@output_option
def command(
    sources: tuple[str, ...],
    bank: Path,
    terminal: Terminal,
    poll_seconds: float | None,
    profile: bool,
    allow_failures: bool,
    **options: Unpack[ExtractKeywords],
) -> None:
    """Encode videos into the bank.

    Clips that are stored already are not encoded again. SOURCE is a file, a moment FILE@START-STOP in seconds, a folder
    (with its subfolders), a glob pattern, or a CSV or Parquet manifest with a column path and optionally start_seconds,
    stop_seconds, label, group and any further columns.

    \b
    Examples:
      clipdex extract videos/
      clipdex extract match.mp4 --encoder MCG-NJU/videomae-base-finetuned-kinetics --window 2 --stride 1
      clipdex extract sports/ --encoder lite --labels-from-folders
      clipdex extract clips/ --labels-from-names "(?P<label>[a-z]+)_(?P<group>[a-z]+)"
      clipdex extract camera/ --watch
    """
    from ._terminal import report_extraction

    if poll_seconds is not None:
        failed = _watch(sources, bank, terminal, poll_seconds=poll_seconds, profile=profile, **options)
    else:
        done = _extract(sources, bank, terminal, **options)
        report_extraction(terminal, done, bank, profile=profile)
        failed = done.failed
    if failed and not allow_failures:
        raise SystemExit(1)


def _extract(
    sources: tuple[str, ...], bank: Path, terminal: Terminal, **options: Unpack[ExtractKeywords]
) -> Extraction:
    from ._terminal import followed

    with followed(terminal) as update:
        from ..extraction.extract import extract

        return extract(sources, bank=bank, on_progress=update, **options)


def _watch(
    sources: tuple[str, ...],
    bank: Path,
    terminal: Terminal,
    *,
    poll_seconds: float,
    profile: bool,
    **options: Unpack[ExtractKeywords],
) -> bool:
    from ._terminal import followed, report_extraction

    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # in a background job
    terminal.say(f"Watching {', '.join(sources)}; stop it with {f'kill {os.getpid()}' if ignored else 'Ctrl-C'}.")
    failed = False
    with contextlib.suppress(KeyboardInterrupt), followed(terminal, waiting="Waiting for videos") as update:
        from ..extraction.watch import watch

        for done in watch(sources, bank=bank, poll_seconds=poll_seconds, on_progress=update, **options):
            report_extraction(terminal, done, bank, profile=profile)
            failed = failed or done.failed
    return failed
