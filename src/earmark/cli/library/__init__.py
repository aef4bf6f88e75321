"""`earmark library`: the commands for a music folder."""

from __future__ import annotations

import typer

from earmark.cli.library import correct, playlist, scan, show, write

library_app = typer.Typer(
    help="Your music folder: tags for every file, playlists, similar songs.",
    no_args_is_help=True,
)
for commands in (scan, show, correct, write, playlist):
    commands.add_commands(library_app)


def add_commands(app: typer.Typer) -> None:
    """Mount `library`."""
    app.add_typer(library_app, name="library")
