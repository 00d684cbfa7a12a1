"""clipdex retry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import (
    bank_option,
    device_option,
    effort_options,
    limit_options,
    output_option,
    processes_option,
    recipe_option,
    take_limits,
)
from ._terminal import Terminal


@click.command("retry")
@bank_option
@recipe_option
@device_option
@effort_options
@processes_option
@limit_options
@output_option
def command(bank: Path, terminal: Terminal, allow_failures: bool, profile: bool, **options: Any) -> None:
    """Read failed and partly stored videos again.

    The options of the original extraction are used, except those given here. No other video is read.

    \b
    Examples:
      clipdex retry
      clipdex retry --time-limit 1800 --max-lost-frames 2
    """
    from ..extraction.retry import retry
    from ._terminal import followed, report_extraction

    limits = take_limits(options)
    with followed(terminal) as update:
        done = retry(bank=bank, limits=limits, on_progress=update, **options)
    report_extraction(terminal, done, bank, profile=profile)
    if done.failed and not allow_failures:
        raise SystemExit(1)
