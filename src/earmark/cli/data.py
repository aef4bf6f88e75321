"""`earmark data`: from song ids to a store of spectrograms."""

from __future__ import annotations

import typer

from earmark.cli import data_catalog, data_previews, data_shards

app = typer.Typer(help="From song ids to a store of spectrograms.", no_args_is_help=True)
data_catalog.add_commands(app)
data_previews.add_commands(app)
data_shards.add_commands(app)
