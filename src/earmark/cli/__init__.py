"""The command line: each command parses, makes one library call and prints.

Nothing heavy is imported here or at the top of a command's module, so that `earmark --help`
answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from earmark import __version__
from earmark.cli import data, doctor, evaluate, models, serve, tag, train
from earmark.cli.terminal import Exit, say
from earmark.errors import EarmarkError

app = typer.Typer(
    name="earmark",
    help="earmark listens to music and says what it hears.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tag.add_commands(app)
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
train.add_commands(app)
evaluate.add_commands(app)
serve.add_commands(app)
doctor.add_commands(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"earmark {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error of ours or of the disk is one line, and exit code 1.

    Typer itself sees to Ctrl-C (exit code 130) and to a reader that has gone (`| head`).
    """
    for stream in (sys.stdout, sys.stderr):
        # names of files and tags are UTF-8 whatever the terminal's locale is
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except EarmarkError as error:
        say(f"error: {error}")
        sys.exit(Exit.ERROR)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        say(f"error: {place}{error.strerror or error}. Make room or mend the rights, and try again")
        sys.exit(Exit.ERROR)
