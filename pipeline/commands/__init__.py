"""The command line: click, and nothing but click. A command is a file here; ``train_head`` is ``train-head``."""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

import click

from .._version import __version__
from ..core.errors import ClipdexError, UsageError
from ..core.files import printable
from ..core.registry import part_names

# As in the story they tell; what is not listed comes after, by name.
_ORDER = ("demo", "extract", "search", "label", "train-head", "add-class", "predict")


class _Commands(click.Group):
    """Loads a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        names = [name.replace("_", "-") for name in part_names("commands")]
        return sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __name__)
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Our errors become a message and an exit status; ``--debug`` shows where they came from."""
        # What systemd and cluster schedulers send: stop as with Ctrl-C, with what is finished stored. SIGINT is left as
        # inherited: a shell starts background jobs with it ignored, so that Ctrl-C stops the foreground alone.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if ctx.params.get("debug"):
                raise
            raise click.UsageError(printable(str(error))) from error
        except ClipdexError as error:
            if ctx.params.get("debug"):
                raise
            raise click.ClickException(printable(str(error))) from error
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:  # it quotes what was typed
            raise click.UsageError(printable(error.format_message(), keep="\n\t"), error.ctx) from error
        except KeyboardInterrupt:
            click.echo("Stopped. What was finished is stored; the same command goes on from there.", err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="clipdex")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def main(debug: bool) -> None:
    """Find moments in folders of video, and teach new actions from a few clips.

    \b
    A frozen encoder runs once over the videos; all the rest works on the stored vectors:
      clipdex extract videos/ --encoder lite
      clipdex search "a dog catching a ball"
      clipdex train-head --loss triplet
      clipdex add-class "backhand" match.mp4@12.5-14 match.mp4@31-32.5
      clipdex predict more-videos/

    clipdex demo shows it on three short videos, offline.
    """
