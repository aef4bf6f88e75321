"""`earmark page`: the page without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.options import ModelName
from earmark.cli.terminal import say
from earmark.web import require_libraries

Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="The folder to write, for a static host."),
]


def add_commands(app: typer.Typer) -> None:
    """Mount `page`."""
    app.command("page")(page)


def page(output: Output, model: ModelName = None) -> None:
    """Write a page that hears songs in the browser, without a server, for any static host.

    It holds the model and ONNX Runtime for browsers, which is fetched once from the npm registry.
    Songs stay on the machine of whoever opens it, and it works without a network once it was
    loaded. Browsers open it by https or at localhost, not as a file:
    python -m http.server --directory DIR.
    """
    require_libraries()
    from earmark.web.static_page import write_page

    written = write_page(output, model=model)
    say(
        f"{output}: the page of {written.model}, {written.n_files} files, "
        f"{written.n_bytes / 1e6:.0f} MB. See it: python -m http.server --directory {output}"
    )
