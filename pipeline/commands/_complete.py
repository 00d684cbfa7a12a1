"""Shell completion of names that are no fixed choice. It lists folders and imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ..core.registry import part_names


def complete_encoder(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of encoders; if none begins like this, folders, as a checkpoint's."""
    return _matching(part_names("encoders"), incomplete) or [CompletionItem(incomplete, type="dir")]


def complete_head(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the bank's heads."""
    return _matching([path.stem for path in _listed(ctx, "heads") if path.suffix == ".json"], incomplete)


def complete_recipe(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the bank's recipes, and names of encoders."""
    return _matching([*(path.name for path in _listed(ctx, "clips")), *part_names("encoders")], incomplete)


def _listed(ctx: click.Context, folder: str) -> list[Path]:
    """What is in a folder of the bank that the command line names so far."""
    bank = Path(ctx.params.get("bank") or ctx.find_root().params.get("bank") or "bank")
    try:
        return sorted((bank / folder).iterdir())
    except OSError:  # no bank yet, or one that cannot be read: nothing to complete
        return []


def _matching(names: tuple[str, ...] | list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete) and not name.startswith(".")]
