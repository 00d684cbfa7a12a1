"""clipdex studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._options import bank_option, device_option, recipe_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..core.types import Device


@click.command("studio")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", metavar="N", help="Port to serve on."
)
@click.option("--open/--no-open", "open_browser", default=True, show_default=True, help="Open the page in the browser.")
@bank_option
@recipe_option
@device_option
def command(port: int, open_browser: bool, bank: Path, recipe: str | None, device: Device) -> None:
    """Search, label and train in the browser.

    The page is served on this machine alone, under an address with a random token. Ctrl-C ends it; every label is in
    the bank at once. Needs the extra studio.

    \b
    Examples:
      clipdex studio --bank sports
    """
    from ..studio.serve import serve

    terminal = Terminal(as_json=False)
    ready = "Studio: {}\nCtrl-C ends it."
    serve(
        bank=bank,
        recipe=recipe,
        device=device,
        port=port,
        open_browser=open_browser,
        on_ready=lambda address: terminal.say(ready.format(address)),
    )
