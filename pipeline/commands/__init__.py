"""The command line, made with click. A command is a file here: ``train_head`` is ``train-head``."""

from __future__ import annotations

from pathlib import Path

import click

from .._version import __version__
from ._bank_option import main_bank_option
from ._commands import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="clipdex")
@main_bank_option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool, bank: Path) -> None:
    """Find moments in folders of video, and teach new actions from a few clips.

    A frozen encoder runs once over the videos. Everything else works on the stored vectors.

    \b
    Examples:
      clipdex extract videos/
      clipdex search "a dog catching a ball"
      clipdex train-head --loss triplet
      clipdex add-class "backhand" match.mp4@12.5-14 match.mp4@31-32.5
      clipdex predict more-videos/
      clipdex --bank sports search "a goal"
    """
