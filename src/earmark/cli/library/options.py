"""What the commands of `earmark library` share: which library, which model, and opening both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from earmark.library.database import Library, LibraryModel
    from earmark.tagger import Tagger

LibraryFile = Annotated[
    Path | None,
    typer.Option(
        "--library", metavar="FILE", help="The library; EARMARK_LIBRARY, or your own, without it."
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="One it was scanned with, by name or file.",
    ),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Your own thresholds and names; see `library settings`."),
]
Below = Annotated[
    Path | None, typer.Argument(metavar="[PATH]", help="A folder or file; all without it.")
]
Doubted = Annotated[
    bool, typer.Option("--doubted", help="Also silence, noise and hum, whose tags mean nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@contextmanager
def opened(library: Path | None, model: str | None) -> Iterator[tuple[Library, LibraryModel]]:
    """A library that is there, and the model that is meant: by its name, hash or file."""
    from earmark.files import sha256
    from earmark.library.database import Library

    name = sha256(model) if model is not None and Path(model).is_file() else model
    with Library.open(library) as opened_library:
        yield opened_library, opened_library.model(name)


def place_in(library: Library, used: LibraryModel, path: Path | None) -> Path | None:
    """The folder or file of a library that is meant; None for all of it.

    Raises NotScanned where nothing was scanned there.
    """
    from earmark.errors import NotScanned
    from earmark.library.song import absolute

    if path is None:
        return None
    place = absolute(path)
    if next(library.songs(used, below=place, missing=None), None) is None:
        raise NotScanned(f"nothing is known of {place}; scan it first")
    return place


def tagger_of(model: str | None, used: LibraryModel) -> Tagger:
    """A tagger for files that were not scanned, with the library's model where it has a name."""
    from earmark import zoo
    from earmark.tagger import Tagger

    named = used.card.name if used.card.name in zoo.names() else None
    return Tagger.load(model or named)
