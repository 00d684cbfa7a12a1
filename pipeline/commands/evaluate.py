"""clipdex evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

import click

from ..core.types import Device
from ._options import (
    bank_option,
    device_option,
    head_name_option,
    labels_option,
    output_option,
    template_option,
    typed,
)
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..classification.cross_validation import Protocol

_PER_CLASS = ("class", "clips", "recall", "precision", "average_precision")


class _Options(TypedDict):
    head_name: str
    labels: Path | None
    bank: Path
    device: Device


def _numbers(shots: str | None) -> list[int] | None:
    """The numbers of ``--shots``."""
    try:
        return [int(part) for part in shots.split(",")] if shots else None
    except ValueError as error:
        raise click.UsageError(f"--shots takes numbers separated by commas, such as 1,2,4, not {shots!r}") from error


@click.command("evaluate")
@head_name_option
@labels_option
@click.option(
    "--protocol",
    type=click.Choice(["auto", "holdout", "cv", "leave-one-group-out", "k-shot"]),
    default="auto",
    show_default=True,
    help="How clips are held out; auto: the stored head on videos that it has never seen, else as in train-head.",
)
@click.option(
    "--shots",
    metavar="N,N,...",
    callback=lambda _ctx, _param, value: _numbers(value),
    help="k-shot: numbers of labelled clips per class [0,1,2,4, ... as far as the labels reach].",
)
@click.option("--draws", type=click.IntRange(1), help="k-shot: number of random draws [10].")
@template_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write metrics.json, report.html and plots as PNG.",
)
@bank_option
@device_option
@output_option
def command(
    protocol: str,
    shots: list[int] | None,
    draws: int | None,
    templates: tuple[str, ...],
    out: Path | None,
    terminal: Terminal,
    **options: Unpack[_Options],
) -> None:
    """Measure a head on clips that it was not trained on.

    If there are labels of videos that the head has never seen, the stored head is measured on them. Otherwise heads of
    its kind are trained on a part of the labelled clips and measured on the rest, with whole videos or groups held out.

    \b
    Examples:
      clipdex evaluate --out report
      clipdex evaluate --head-name sports --labels test.csv --out report
      clipdex evaluate --protocol k-shot --out few
    """
    if protocol == "k-shot":
        figures = _k_shot(terminal, out, shots=shots, draws=draws, templates=templates, **options)
    elif names := typed("shots", "draws", "templates"):
        raise click.UsageError(f"{names[0]} works only with --protocol k-shot")
    else:
        figures = _evaluation(terminal, out, cast("Protocol", protocol), **options)
    per_class = [] if terminal.json else figures.pop("per_class", {}).items()
    terminal.one({name: value for name, value in figures.items() if terminal.json or value is not None})
    terminal.rows([{"class": name, **row} for name, row in per_class], columns=_PER_CLASS)
    if out is not None:
        terminal.say(f"Wrote {out / 'report.html'}")


def _evaluation(
    terminal: Terminal, out: Path | None, protocol: Protocol, **options: Unpack[_Options]
) -> dict[str, Any]:
    from ..evaluation.evaluate_head import evaluate
    from ..report.evaluation import write_evaluation

    with terminal.training("Evaluating") as update:
        done = evaluate(protocol=protocol, on_progress=update, **options)
        if out is not None:
            write_evaluation(out, done)
    terminal.warn(done.warnings)
    return done.to_row()


def _points(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each point of k-shot curves as a row of a table."""
    columns = {"shots": "shots", "mean": "means", "low": "lows", "high": "highs"}
    return [
        {"curve": curve["name"], **{name: curve[field][place] for name, field in columns.items()}}
        for curve in curves
        for place in range(len(curve["shots"]))
    ]


def _k_shot(
    terminal: Terminal,
    out: Path | None,
    *,
    shots: list[int] | None,
    draws: int | None,
    templates: tuple[str, ...],
    **options: Unpack[_Options],
) -> dict[str, Any]:
    from ..evaluation.k_shot import k_shot_curves
    from ..report.evaluation import write_k_shot

    with terminal.training() as update:
        done = k_shot_curves(shots=shots, draws=draws or 10, templates=templates, on_progress=update, **options)
        if out is not None:
            write_k_shot(out, done)
    row = done.to_row()
    return row if terminal.json else {**row, "curves": _points(row["curves"])}
