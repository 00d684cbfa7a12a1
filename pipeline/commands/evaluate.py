"""clipdex evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import bank_option, device_option, head_name_option, labels_option, output_option, template_option
from ._terminal import Terminal

_PER_CLASS = ("class", "clips", "recall", "precision", "average_precision")


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
@click.option("--shots", metavar="N,N,...", help="k-shot: numbers of labelled clips per class [0,1,2,4,8,16].")
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
def command(terminal: Terminal, protocol: str, out: Path | None, **options: Any) -> None:
    """Measure a head on clips that it was not trained on.

    If there are labels of videos that the head has never seen, the stored head is measured on them. Otherwise heads of
    its kind are trained on a part of the labelled clips and measured on the rest, with whole videos or groups held out.

    \b
    Examples:
      clipdex evaluate --out report
      clipdex evaluate --head-name sports --labels test.csv --out report
      clipdex evaluate --protocol k-shot --out few
    """
    figures = dict((_k_shot if protocol == "k-shot" else _evaluation)(terminal, out, protocol=protocol, **options))
    per_class = [] if terminal.json else figures.pop("per_class", {}).items()
    terminal.one({name: value for name, value in figures.items() if terminal.json or value is not None})
    terminal.rows([{"class": name, **row} for name, row in per_class], columns=_PER_CLASS)
    if out is not None:
        terminal.say(f"Wrote {out / 'report.html'}")


def _evaluation(terminal: Terminal, out: Path | None, **options: Any) -> Any:
    from ..evaluation.evaluate_head import evaluate
    from ..report.evaluation import write_evaluation

    for name in ("shots", "draws", "templates"):
        if options.pop(name):
            raise click.UsageError(f"--{name.replace('templates', 'template')} works only with --protocol k-shot")
    with terminal.working("Evaluating"):
        done = evaluate(**options)
        if out is not None:
            write_evaluation(out, done)
    return done.figures


def _k_shot(
    terminal: Terminal, out: Path | None, *, shots: str | None, draws: int | None, protocol: str, **options: Any
) -> Any:
    from ..evaluation.k_shot import SHOTS, k_shot_curves
    from ..report.evaluation import write_k_shot

    del protocol
    try:
        counts = [int(part) for part in shots.split(",")] if shots else SHOTS
    except ValueError as error:
        raise click.UsageError(f"--shots takes numbers separated by commas, such as 1,2,4, not {shots!r}") from error
    with terminal.working("Drawing clips and training"):
        curves, figures = k_shot_curves(shots=counts, draws=draws or 10, **options)
        if out is not None:
            write_k_shot(out, curves, figures)
    return figures
