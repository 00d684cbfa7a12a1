"""clipdex retry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from ..core.limits import Limits
from ..core.types import Device
from ._options import (
    bank_option,
    device_option,
    effort_options,
    limit_options,
    output_option,
    processes_option,
    recipe_option,
)
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..extraction.runners import Runner


class _Options(TypedDict):
    recipe: str | None
    limits: Limits
    device: Device
    batch_size: int | None
    num_workers: int | None
    runner: Runner | str


@click.command("retry")
@bank_option
@recipe_option
@device_option
@effort_options
@processes_option
@limit_options
@output_option
def command(bank: Path, terminal: Terminal, allow_failures: bool, profile: bool, **options: Unpack[_Options]) -> None:
    """Read failed and partly stored videos again.

    The options of the original extraction are used, except those given here. No other video is read.

    \b
    Examples:
      clipdex retry
      clipdex retry --time-limit 1800 --max-lost-frames 2
    """
    from ._terminal import followed, report_extraction

    with followed(terminal) as update:
        from ..extraction.retry import retry

        done = retry(bank=bank, on_progress=update, **options)
    report_extraction(terminal, done, bank, profile=profile)
    if done.failed and not allow_failures:
        raise SystemExit(1)
