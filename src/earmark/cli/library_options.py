"""What the commands of `earmark library` share: which library, which model, and opening both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from earmark.library.database import Library, Model

LibraryFile = Annotated[
    Path | None,
    typer.Option(
        "--library", metavar="FILE", help="The library; EARMARK_LIBRARY, or your own, without it."
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="Of the models it was scanned with; the last one without."
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Your own thresholds and names; see `library settings`."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@contextmanager
def opened(library: Path | None, model: str | None) -> Iterator[tuple[Library, Model]]:
    """A library that is there, and the model that is meant."""
    from earmark.library.database import Library

    with Library.open(library) as opened_library:
        yield opened_library, opened_library.model(model)
