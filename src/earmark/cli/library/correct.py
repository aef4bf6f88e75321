"""`earmark library correct | corrections`: what a person says of a song's tags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.library.options import (
    LibraryFile,
    ScannedWith,
    SettingsFile,
    opened,
    settings_in,
)
from earmark.cli.options import JsonLines
from earmark.cli.terminal import print_json, say, show, show_bytes
from earmark.counted import counted
from earmark.errors import BadValue, NotScanned


def add_commands(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("correct")(correct)
    app.command("corrections")(list_corrections)


def correct(
    path: Annotated[Path, typer.Argument(metavar="SONG", help="A file of the library.")],
    tag: Annotated[str, typer.Argument(metavar="TAG", help="A tag of the model, such as jazz.")],
    carries_not: Annotated[
        bool, typer.Option("--not", help="The song does not carry the tag.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what was said; what was heard counts again.")
    ] = False,
    library: LibraryFile = None,
    model: ScannedWith = None,
) -> None:
    """Say that a song carries a tag, or not; it beats what was heard, and stays with the audio."""
    from earmark.library.corrections import correct as say_of

    if carries_not and forget:
        raise BadValue("--not says something and --forget forgets it: give one of them")
    with opened(library, model) as (library_, scan_model):
        known = library_.known_path(scan_model, path)
        song = None if known is None else library_.song(scan_model, known)
        if song is None:
            raise NotScanned(f"{path} is not in the library; scan it first")
        holds = None if forget else not carries_not
        name = say_of(library_, scan_model, song, tag=tag, holds=holds)
        again = library_.song(scan_model, song.path)
        assert again is not None
        assert again.scores is not None
        score = float(again.scores[scan_model.card.tags.index(name)])
    words = {None: "as it was heard", True: "yes", False: "no"}[holds]
    say(f"{song.path}: {name}: {words} ({score:.2f})")


def list_corrections(
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A CSV catalog of the corrected songs, to learn from.")
    ] = False,
    json: JsonLines = False,
    settings: SettingsFile = None,
    library: LibraryFile = None,
    model: ScannedWith = None,
) -> None:
    """Show the corrections of songs that are there, or the corrected songs as a catalog."""
    from earmark.library.corrections import as_catalog, corrections

    if as_csv and json:
        raise BadValue("--csv and --json are two forms of the answer: give one of them")
    with opened(library, model) as (library_, scan_model):
        found = list(corrections(library_, scan_model))
        if as_csv:
            rules = settings_in(settings, model=scan_model)
            show_bytes(as_catalog(library_, scan_model, settings=rules))
        for one in () if as_csv else found:
            if json:
                print_json(one.as_json())
            else:
                show(f"{one.song.path}  {one.tag}: {'yes' if one.holds else 'no'}")
    say(counted(len(found), "correction"))
