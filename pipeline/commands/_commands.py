"""The group of all commands: it loads a command when it is used, lists them in sections, and reports our errors."""

# Not in the package itself: there an imported command's module, such as ``map``, hides the built-in name.

from __future__ import annotations

import difflib
import importlib
import signal
import sys
from typing import Any

import click

from ..core.errors import ClipdexError, UsageError
from ..core.files import printable
from ..core.registry import part_names
from ._flags import as_options
from ._sections import OTHERS, SECTIONS

# Commands that store as they go, so that a stopped one can go on.
_GO_ON = ("extract", "retry", "watch", "predict", "add-class")

# What a mistyped command must share with one to be taken for it (``difflib``).
_NEAR = 0.6


class Commands(click.Group):
    """Loads a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        names = [name.replace("_", "-") for name in part_names("commands")]
        order = [name for section in SECTIONS.values() for name in section]
        return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands in sections. Only one that no section names is imported for it."""
        names = self.list_commands(ctx)
        width = max(map(len, names))  # one width, so that the sections line up
        others = [name for name in names if not any(name in section for section in SECTIONS.values())]
        commands = {name: command for name in others if (command := self.get_command(ctx, name))}
        limit = formatter.width - width - 6
        lines = {name: command.get_short_help_str(limit) for name, command in commands.items()}
        for title, section in {**SECTIONS, OTHERS: lines}.items():
            if section:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), text) for name, text in section.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``--debug`` may also stand behind the command."""
        before = args[: args.index("--")] if "--" in args else args
        if "--debug" in before:
            args = ["--debug", *(word for word in before if word != "--debug"), *args[len(before) :]]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            near = difflib.get_close_matches(cmd_name, self.list_commands(ctx), n=1, cutoff=_NEAR)
            if near:
                ctx.fail(f"there is no command {cmd_name!r}; did you mean {near[0]!r}?")
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __package__)
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
            raise click.UsageError(printable(as_options(str(error)))) from error
        except ClipdexError as error:
            if ctx.params.get("debug"):
                raise
            raise click.ClickException(printable(as_options(str(error)))) from error
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:  # it quotes what was typed
            raise click.UsageError(printable(error.format_message(), keep="\n\t"), error.ctx) from error
        except KeyboardInterrupt:
            goes_on = ctx.invoked_subcommand in _GO_ON
            how = " What was finished is stored; run the same command again to continue." if goes_on else ""
            click.echo(f"Stopped.{how}", err=True)
            sys.exit(1)
