"""Options of the `earmark library` commands, and opening the library and model that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.terminal import say

if TYPE_CHECKING:
    from earmark.library.database import Library, LibraryModel
    from earmark.library.settings import TagRules
    from earmark.tagger import Tagger

LibraryFile = Annotated[
    Path | None,
    typer.Option(
        "--library",
        metavar="FILE",
        help="The library file; by default $EARMARK_LIBRARY or your own.",
    ),
]
ScannedWith = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="The model of the scan, by name or file."),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Your own thresholds and names; see `library settings`."),
]
Below = Annotated[
    Path | None,
    typer.Argument(metavar="[PATH]", help="Only this folder or file."),
]
Doubted = Annotated[
    bool, typer.Option("--doubted", help="Also what is not music: speech, silence, noise.")
]


@contextmanager
def opened(library: Path | None, model: str | None) -> Iterator[tuple[Library, LibraryModel]]:
    """An existing library, and the model that a name, hash or file means; by default the last."""
    from earmark.files import sha256
    from earmark.library.database import Library

    name = sha256(model) if model is not None and Path(model).is_file() else model
    with Library.open(library) as opened_library:
        yield opened_library, opened_library.model(name)


def settings_in(path: Path | None, *, model: LibraryModel) -> TagRules:
    """The settings in a file of the user's, or the defaults; names that mean nothing are told."""
    from earmark.library.settings import read_settings, unknown_names

    rules = read_settings(path)
    for message in () if path is None else unknown_names(path, tags=model.card.tags):
        say(f"warning: {message}")
    return rules


def place_in(library: Library, model: LibraryModel, path: Path | None) -> Path | None:
    """A folder of a library, or the path by which it knows a file; None for all of it.

    Raises NotScanned where nothing was scanned there.
    """
    from earmark.errors import NotScanned
    from earmark.library.identity import absolute

    if path is None:
        return None
    place = library.known_path(model, path) or absolute(path)
    if next(library.songs(model, below=place, missing=None), None) is None:
        raise NotScanned(f"{place} is not in the library; scan it first")
    return place


def tagger_for(name: str | None, *, model: LibraryModel) -> Tagger:
    """A tagger for files that were not scanned; without a name, by that of the library's model."""
    from earmark import zoo
    from earmark.tagger import Tagger

    return Tagger.load(name or (model.card.name if model.card.name in zoo.names() else None))
