"""clipdex mcp."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._options import bank_option, device_option, recipe_option

if TYPE_CHECKING:
    from ..core.types import Device


@click.command("mcp")
@bank_option
@recipe_option
@device_option
def command(bank: Path, recipe: str | None, device: Device) -> None:
    """Let assistants search the bank (MCP).

    It speaks the Model Context Protocol on standard input and output, and changes no clip, label or head. Name this
    command in the assistant's list of MCP servers. Needs the extra mcp.

    \b
    Examples:
      clipdex mcp --bank sports
    """
    from ..studio.mcp_server import serve_mcp

    serve_mcp(bank=bank, recipe=recipe, device=device)
