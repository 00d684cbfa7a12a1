"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import click
from click.core import ParameterSource

from ..core.limits import Limits
from ..core.registry import part_names
from ..core.types import Device
from ._bank_option import bank_option
from ._complete import complete_head, complete_recipe
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..extraction.runners import Runner

__all__ = ["bank_option"]

Command = TypeVar("Command", bound=Callable[..., Any])
Keywords = TypeVar("Keywords", bound=Mapping[str, object])


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Options that go together, listed by ``--help`` in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def device_option(command: Command) -> Command:
    """``--device``."""
    return click.option(
        "--device",
        type=click.Choice(get_args(Device)),
        default="auto",
        show_default=True,
        help="Device that the encoder runs on; auto takes a GPU if there is one.",
    )(command)


def recipe_option(command: Command) -> Command:
    """``--recipe``."""
    return click.option(
        "--recipe",
        shell_complete=complete_recipe,
        help="Which vectors to use if the bank has several: a recipe's id, its encoder or its checkpoint.",
    )(command)


def labels_option(command: Command) -> Command:
    """``--labels``."""
    return click.option(
        "--labels",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="CSV",
        help="CSV or Parquet file of labels [the bank's labels].",
    )(command)


def head_name_option(command: Command) -> Command:
    """``--head-name``, or ``--name`` as training has it."""
    return click.option(
        "--head-name",
        "--name",
        "head_name",
        default="default",
        show_default=True,
        shell_complete=complete_head,
        help="Name of the head.",
    )(command)


def prompt_options(command: Command) -> Command:
    """``--template`` and ``--rerank``."""
    command = template_option(command)
    return click.option(
        "--rerank",
        is_flag=True,
        help="Use the full model's score for texts (X-CLIP); needs clips extracted with --keep patches.",
    )(command)


def template_option(command: Command) -> Command:
    """``--template``."""
    return click.option(
        "--template",
        "templates",
        multiple=True,
        metavar="'a video of {}'",
        help="Sentence to put each text into [the text alone]. Repeatable; several are averaged.",
    )(command)


effort_options = several(
    click.option("--profile", is_flag=True, help="Report where the time went."),
    click.option(
        "--workers", "num_workers", type=click.IntRange(1), metavar="N", help="Reading processes [one per core]."
    ),
    click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Clips per batch [suited to the device]."),
)


_RUNNER = "clipdex.runner"  # where ``--runner`` leaves its value for ``--processes``


def _named_runner(ctx: click.Context, _: click.Parameter, name: str | None) -> None:
    ctx.meta[_RUNNER] = name


def _runner(ctx: click.Context, _: click.Parameter, num_processes: int | None) -> Runner | str:
    name = ctx.meta.get(_RUNNER)
    if num_processes is None or (num_processes == 1 and name != "processes"):
        return name or "local"
    if name not in (None, "processes"):
        raise click.UsageError(f"--runner {name} takes no --processes")
    from ..extraction.runners.processes import Processes

    return Processes(num_processes)


def processes_option(command: Command) -> Command:
    """``--runner`` and ``--processes``; the command gets a ``Runner`` or its name as its argument ``runner``."""
    command = click.option(
        "--processes",
        "runner",
        type=click.IntRange(1),
        metavar="N",
        callback=_runner,
        help="Encoders in parallel, each in a process of its own and, with CUDA, on a GPU of its own [1].",
    )(command)
    return click.option(
        "--runner",
        "runner_name",
        type=click.Choice(part_names("extraction/runners")),
        is_eager=True,  # before --processes, whose meaning depends on it
        expose_value=False,
        callback=_named_runner,
        help="Where the encoders run [local; processes if --processes is above 1].",
    )(command)


def raw_cells_option(command: Command) -> Command:
    """``--raw-cells``."""
    return click.option(
        "--raw-cells",
        is_flag=True,
        help="CSV: no apostrophe before text that a spreadsheet would read as a formula (=x, +x, -x, @x).",
    )(command)


_cost_options = several(
    click.option(
        "--memory-limit",
        "memory_gb",
        type=click.FloatRange(0, min_open=True),
        default=4.0,
        show_default=True,
        metavar="GB",
        help="Maximum memory for reading one video (Linux).",
    ),
    click.option(
        "--time-limit",
        "time_seconds",
        type=click.FloatRange(0, min_open=True),
        default=120.0,
        show_default=True,
        metavar="S",
        help="Maximum seconds for reading one video, in addition to ten times its length.",
    ),
)

_loss_options = several(
    click.option("--allow-failures", is_flag=True, help="Exit with status 0 even if something failed or was lost."),
    _cost_options,
    click.option(
        "--max-lost-frames",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Store clips with up to N damaged frames, each replaced by its neighbour.",
    ),
)


def cost_options(command: Command) -> Command:
    """Limits on reading one video; the command gets them as its argument ``limits``."""
    return _cost_options(_with_limits(command))


def limit_options(command: Command) -> Command:
    """Limits on reading one video, as ``limits``, how many frames may be lost, and whether a failure counts."""
    return _loss_options(_with_limits(command))


def _with_limits(command: Command) -> Command:
    def limits_of(given: dict[str, Any]) -> Limits:
        return Limits(
            time_seconds=given.pop("time_seconds"),
            memory_bytes=int(given.pop("memory_gb") * 1e9),
            max_lost_frames=given.pop("max_lost_frames", 0),
            min_seconds=given.pop("min_seconds", 0.0),
        )

    return gathered("limits", limits_of)(command)


def gathered(name: str, make: Callable[[dict[str, Any]], object]) -> Callable[[Command], Command]:
    """Some options of a command as one argument.

    Args:
        name: of the argument.
        make: its value from all options; takes out those that it used.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: object) -> object:
            given[name] = make(given)
            return command(**given)

        return cast("Command", run)

    return decorate


def typed(*names: str) -> list[str]:
    """Those of the running command's options that were typed, as they are written."""
    context = click.get_current_context()
    return [
        option.opts[0]
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]


def chosen(options: Keywords) -> Keywords:
    """Without those that have no value, so that the called function's defaults count."""
    return cast("Keywords", {name: value for name, value in options.items() if value is not None})


def _terminal(ctx: click.Context, _: click.Parameter, as_json: bool) -> Terminal:
    story = bool((ctx.find_root().obj or {}).get("story"))  # set by the demo
    return Terminal(as_json=as_json, story=story)


def output_option(command: Command) -> Command:
    """``--json``; the command gets a ``Terminal`` as its argument ``terminal``."""
    return click.option(
        "--json",
        "terminal",
        is_flag=True,
        callback=_terminal,
        help="Print JSON lines; the default if the output is not a terminal.",
    )(command)
