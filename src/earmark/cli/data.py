"""`earmark data`: from song ids to a store of spectrograms."""

from __future__ import annotations

import typer

from earmark.cli import data_catalog, data_previews, data_shards

data_app = typer.Typer(help="From song ids to a store of spectrograms.", no_args_is_help=True)
data_catalog.add_commands(data_app)
data_previews.add_commands(data_app)
data_shards.add_commands(data_app)


def add_commands(app: typer.Typer) -> None:
    """Mount `data`."""
    app.add_typer(data_app, name="data")
