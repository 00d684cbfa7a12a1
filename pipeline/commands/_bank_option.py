"""``--bank``, taken before and after the command's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])

_FOLDER = click.Path(path_type=Path, file_okay=False)
_DEFAULT = Path("bank")


def main_bank_option(command: Command) -> Command:
    """``--bank DIR`` before the command's name, with the environment variable and the default."""
    return click.option(
        "--bank",
        type=click.Path(path_type=Path),  # checked by the command: its own --bank may replace it
        metavar="DIR",
        default=_DEFAULT,
        envvar="CLIPDEX_BANK",
        help="Folder of the bank; --bank after the command takes precedence [variable CLIPDEX_BANK, or ./bank].",
    )(command)


def bank_option(command: Command) -> Command:
    """``--bank DIR`` of a command; without it the one before the command's name."""
    return click.option(
        "--bank",
        type=_FOLDER,
        metavar="DIR",
        default=_bank_of_main,
        help="Folder of the bank [clipdex --bank DIR, variable CLIPDEX_BANK, or ./bank].",
    )(command)


def named_before_command(ctx: click.Context) -> Path | None:
    """The bank of ``clipdex --bank DIR COMMAND``; None if it was not typed there."""
    root = ctx.find_root()
    typed = root is not ctx and root.get_parameter_source("bank") is ParameterSource.COMMANDLINE
    return root.params["bank"] if typed else None


def _bank_of_main() -> Path:
    root = click.get_current_context().find_root()
    bank: Path = root.params.get("bank") or _DEFAULT
    return bank
