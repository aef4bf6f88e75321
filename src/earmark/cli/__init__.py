"""The command line: each command parses, makes one library call and prints.

A command's module is imported when the command is called, and its heavy libraries inside it, so
that `earmark --help` is fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from earmark import __version__
from earmark.cli.terminal import (
    Exit,
    Terminated,
    close_stdout,
    ended_by_kill,
    open_streams,
    say,
    show,
)
from earmark.errors import EarmarkError

# name -> the first line of its help
COMMANDS = {
    "tag": "Say what is heard in each file, and in each audio file below each folder.",
    "library": "Your music folder: tags for every file, playlists, similar songs.",
    "serve": "Serve a page where you drop songs and see what is heard in them, and a JSON API.",
    "page": "Write a page that hears songs in the browser, without a server, for any static host.",
    "models": "The models that earmark can use: list, info, pull, import.",
    "doctor": "Show what is installed and in use, how fast it is, and what to do about the rest.",
    "data": "From song ids to a store of spectrograms.",
    "train": "Train a network.",
    "sweep": "Train a network with several settings, and rank the runs.",
    "curve": "Train on more and more songs, and measure what they bring.",
    "export": "Write a run as a model file, or any model as a graph that takes samples.",
    "evaluate": "Measure how well a model's scores agree with known tags.",
    "probe": "Measure how well a model's embeddings tell the tags of a store.",
}
_MODULES = {"export": "train"}  # modules with another name than the command


class Commands(typer.core.TyperGroup):
    """A group whose commands are imported when they are called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command; None for an unknown name."""
        if cmd_name not in self.commands:
            return None
        mounted = typer.Typer(rich_markup_mode=None)
        module = import_module(f"earmark.cli.{_MODULES.get(cmd_name, cmd_name)}")
        module.add_commands(mounted)
        command = typer.main.get_group(mounted).commands[cmd_name]
        _leave_out_types(command)
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list of `--help` without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _leave_out_types(command: Any) -> None:
    """Have the help show arguments without Python's words for their types."""
    for parameter in command.params:
        if isinstance(parameter, typer.core.TyperArgument):
            parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005
    for each in getattr(command, "commands", {}).values():
        _leave_out_types(each)


app = typer.Typer(
    cls=Commands,
    name="earmark",
    help="earmark listens to music and says what it hears.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich takes longer to load than all else of `--help`
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        show(f"earmark {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an EarmarkError or an OSError is one message, and exit code 1.

    Typer itself handles Ctrl-C (exit code 130) and a reader that has gone (`| head`, code 1);
    SIGTERM is exit code 143.
    """
    open_streams()
    try:
        with ended_by_kill():
            _run()
    finally:
        close_stdout()


def _run() -> None:
    try:
        app(prog_name="earmark")  # also as `python -m earmark`, so that completion knows its name
    except EarmarkError as error:  # before ImportError: a MissingExtra is both
        first, *others = error.lines
        say(f"error: {first}", *others)
        sys.exit(Exit.ERROR)
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # a native library was being loaded
            sys.exit(Exit.INTERRUPTED)
        if isinstance(error.__cause__, Terminated):
            sys.exit(Exit.TERMINATED)
        raise
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        say(f"error: {place}{error.strerror or error}. Check the disk's space and permissions")
        sys.exit(Exit.ERROR)
