"""clipdex doctor."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, output_option
from ._terminal import Terminal

_MOST_LINES = 99  # what to do is said in full


@click.command("doctor")
@click.option(
    "--repair",
    is_flag=True,
    help="Move damaged parts aside, so that the next extraction encodes their videos again.",
)
@bank_option
@output_option
def command(repair: bool, bank: Path, terminal: Terminal) -> None:
    """Check the installation and the bank.

    Every part of the bank is read and its checksums are verified. The exit status is 1 if a check fails.

    \b
    Examples:
      clipdex doctor --bank bank
    """
    from ..maintenance.doctor import doctor

    with terminal.working("Checking"):
        checks = doctor(bank=bank, repair=repair)
    terminal.rows(checks.to_rows(), columns=("check", "ok", "detail"), lines=_MOST_LINES)
    if not checks.ok:
        raise SystemExit(1)
