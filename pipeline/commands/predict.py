"""clipdex predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from ._complete import complete_head
from ._options import (
    bank_option,
    device_option,
    gathered,
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
    from ..classification.exports import Answer, Order
    from ..classification.predict import FromSources, Predictions, Segments
    from ..classification.predict_options import DetectKeywords
    from ..core.results import Prediction

_ONLY_SEGMENTS = ("window_seconds", "stride_seconds", "min_score", "merge_gap_seconds", "min_seconds")
_SEGMENT_COLUMNS = ("start_seconds", "stop_seconds", "label", "score", "peak", "video")


def _texts(prompts: str | None) -> list[str]:
    """The texts of ``--prompts``."""
    texts = [text.strip() for text in (prompts or "").split(",") if text.strip()]
    if prompts is not None and not texts:
        raise click.UsageError("--prompts needs at least one text")
    return texts


@dataclasses.dataclass(frozen=True)
class _Output:
    """In which order results come, and the file that they are also written to."""

    export: Path | None
    raw_cells: bool
    order: Order | None

    def ordered(self, found: Sequence[Answer]) -> Sequence[Answer]:
        """The results in that order."""
        from ..classification.exports import in_order

        return found if self.order is None else in_order(found, self.order)

    def write(self, terminal: Terminal, found: Sequence[Answer], kind: type[Answer]) -> None:
        """Write the file, if there is to be one."""
        from ..classification.exports import export

        if self.export is not None:
            for path in export(found, self.export, kind=kind, raw_cells=self.raw_cells):
                terminal.say(f"Wrote {path}")


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
        help="Write the results to a .csv, .json or .vtt file (subtitles for any player).",
    ),
    raw_cells_option,
    click.option(
        "--sort",
        "order",
        type=click.Choice(["score", "unsure", "label", "video"]),
        help="Order: highest score, lowest score, label or video first, clips without a label last [as stored].",
    ),
)


@click.command("predict")
@click.argument("sources", nargs=-1, metavar="[SOURCE or MOMENT]...")
@click.option("--head-name", "--name", "head_name", shell_complete=complete_head, help="Name of the head [default].")
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
@gathered("output", lambda given: _Output(*(given.pop(name) for name in ("export", "raw_cells", "order"))))
def command(
    sources: tuple[str, ...],
    bank: Path,
    top: int,
    whole: bool,
    output: _Output,
    terminal: Terminal,
    **options: Unpack[DetectKeywords],
) -> None:
    """Predict the classes of videos or of the whole bank.

    Without SOURCE it predicts all clips of the bank. New videos are encoded, but not added to the bank. The label is
    null if the clip is unlike every class that the head was trained on ("unknown"), or if the class does not reach the
    minimum precision set in training ("unsure"). The field known is the share of held-out clips of known classes that
    look at most as familiar as this clip.

    \b
    Examples:
      clipdex predict new-videos/
      clipdex predict match.mp4@10-12 --head-name sports
      clipdex predict --sort unsure --export predictions.csv
      clipdex predict match.mp4 --segments --merge-gap 1 --export match.vtt
      clipdex predict --prompts "a dog running,a person cycling" --template "a video of {}"
    """
    from ..classification.exports import check_format
    from ._terminal import troubles

    _check_typed(whole, output.export)
    if output.export is not None:
        check_format(output.export)
    if whole:
        found: FromSources[Any] = _segments(terminal, sources, bank, output, **options)
    else:
        found = _clips(terminal, sources, bank, output, top=top, **options)
    terminal.say(*troubles(() if found.extraction is None else found.extraction.rows))
    terminal.warn(found.warnings)
    if found.failed:
        raise SystemExit(1)


def _check_typed(whole: bool, export: Path | None) -> None:
    """Refuse options that have no effect on clips, on segments, or on the file that is written."""
    if whole and typed("top"):
        raise click.UsageError("--top lists the classes of clips and does not work with --segments")
    if not whole and (names := typed(*_ONLY_SEGMENTS)):
        raise click.UsageError(f"{names[0]} works only with --segments")
    if typed("raw_cells") and (export is None or export.suffix.lower() != ".csv"):
        raise click.UsageError("--raw-cells works only with --export FILE.csv")


def _clips(
    terminal: Terminal,
    sources: Sequence[str],
    bank: Path,
    output: _Output,
    *,
    top: int,
    **options: Unpack[DetectKeywords],
) -> Predictions:
    with terminal.progress("Loading") as update:
        from ..classification.predict import predict
        from ..classification.predict_options import PredictOptions
        from ..core.results import Prediction

        own: Any = {name: value for name, value in options.items() if name in PredictOptions.__annotations__}
        found = predict(sources, bank=bank, top=top, on_progress=update, options=PredictOptions(**own))
    answers = output.ordered(found)
    _show(terminal, answers)
    output.write(terminal, answers, Prediction)
    return found


def _show(terminal: Terminal, answers: Sequence[Prediction]) -> None:
    """A line of JSON for each clip, or a line of a table and why some have no label."""
    from ..classification.exports import abstentions

    rows = [one.to_row() for one in answers]
    if terminal.json:
        terminal.rows(rows, columns=())
        return
    listed = bool(typed("top"))  # who asks for classes gets them, at two lines a clip
    terminal.rows([_readable(row) for row in rows], columns=_columns(rows, listed), lines=2 if listed else 1)
    terminal.say(abstentions(answers))


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A prediction as a row of the table, with the class that was nearly chosen."""
    others = row["top"] if row["label"] is None else row["top"][1:]
    return {
        "label": row["label"],
        "score": row["score"],
        "abstained": row["abstained"],
        "next_best": others[:1],
        "top": row["top"],
        "known": row["known"],
        "seconds": f"{row['start_seconds']:.2f}-{row['stop_seconds']:.2f}",
        "video": row["video"],
    }


def _columns(rows: Sequence[Mapping[str, Any]], listed: bool) -> list[str]:
    """Of the table, without those that are empty in all rows."""
    others = "top" if listed else "next_best"
    empty = {name for name in ("abstained", "known") if all(row[name] is None for row in rows)}
    if all(len(row["top"]) < 2 for row in rows):
        empty.add(others)
    return [name for name in ("label", "score", "abstained", others, "known", "seconds", "video") if name not in empty]


def _segments(
    terminal: Terminal, sources: Sequence[str], bank: Path, output: _Output, **options: Unpack[DetectKeywords]
) -> Segments:
    with terminal.progress("Loading") as update:
        from ..classification.predict import detect
        from ..classification.segments import Segment

        found = detect(sources, bank=bank, on_progress=update, **options)
    answers = output.ordered(found)
    terminal.rows([one.to_row() for one in answers], columns=_SEGMENT_COLUMNS, lines=1)
    output.write(terminal, answers, Segment)
    return found
