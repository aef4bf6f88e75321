"""`earmark data`: from song ids to a store of spectrograms."""

from __future__ import annotations

import typer

from earmark.cli.data import catalog, previews, shards

data_app = typer.Typer(help="From song ids to a store of spectrograms.", no_args_is_help=True)
catalog.add_commands(data_app)
previews.add_commands(data_app)
shards.add_commands(data_app)


def add_commands(app: typer.Typer) -> None:
    """Mount `data`."""
    app.add_typer(data_app, name="data")
