"""`earmark library show` and `where`: what was heard in the songs of a library, and its file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli import terminal
from earmark.cli.library.options import (
    Below,
    LibraryFile,
    ScannedWith,
    SettingsFile,
    opened,
    place_in,
    settings_in,
)
from earmark.cli.options import JsonLines, Rank
from earmark.cli.tag import print_table
from earmark.cli.terminal import print_json, say
from earmark.counted import clock, counted
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.song import ScannedFile
    from earmark.model_file import Card
    from earmark.results import Tags


def add_commands(app: typer.Typer) -> None:
    """Mount `show` and `where`."""
    app.command("show")(show)
    app.command("where")(where)


def show(
    path: Below = None,
    tag: Annotated[
        str | None, typer.Option(help='Songs with a tag, or that fit "jazz, not sad".')
    ] = None,
    least: Annotated[
        float | None, typer.Option("--min", min=0, max=1, help="Least score of --tag.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many tags to show of a song.")] = 5,
    rank: Annotated[
        Rank | None, typer.Option(help="What the tags of a song are sorted by.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only files that could not be heard, and why.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only songs whose files are gone.")
    ] = False,
    doubted: Annotated[
        bool, typer.Option("--doubted", help="Only what is not music: speech, silence, noise.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="A CSV table of all scores.")] = False,
    json: JsonLines = False,
    library: LibraryFile = None,
    model: ScannedWith = None,
    settings: SettingsFile = None,
) -> None:
    """Show what was heard."""
    from earmark.library.playlists.expression import parse
    from earmark.library.playlists.playlist import matching
    from earmark.library.show import as_json, tags_of

    if least is not None and tag is None:
        raise BadValue("--min is the least score of a tag: name it with --tag")
    if csv and json:
        raise BadValue("--csv and --json are two forms of the answer: give one of them")
    if failed and (csv or tag is not None):
        raise BadValue("files that could not be heard have no scores: give --failed alone")
    if failed and doubted:
        raise BadValue("a file is --failed or --doubted, never both: give one of them")
    if settings is not None and tag is None:
        raise BadValue("--settings says from what score on a song has a tag: name it with --tag")
    if missing and tag is not None:
        raise BadValue("--tag finds songs whose files are there: give it without --missing")
    with opened(library, model) as (library_, scan_model):
        below = place_in(library_, scan_model, path)
        songs: Iterable[ScannedFile]
        if tag is not None:
            text = tag if least is None else f'"{tag}" >= {least:.9f}'
            rules = settings_in(settings, model=scan_model)
            expression = parse(text, tags=scan_model.card.tags, settings=rules)
            songs = matching(library_, scan_model, expression, below=below, doubted=True)
        else:
            songs = library_.songs(
                scan_model, below=below, failed=True if failed else False if csv else None,
                missing=missing,
            )  # fmt: skip
        n_shown = 0
        table = _CsvTable(scan_model.card.tags) if csv else None
        for song in songs:
            if doubted and song.headline is None:
                continue
            n_shown += 1
            if table is not None:
                table.show(song)
            elif json:
                print_json(as_json(song, scan_model.card, top=top, rank=rank))
            elif song.failure is not None:
                terminal.show(_reason(song))
            elif song.path == below:
                print_table(tags_of(song, scan_model.card, rank=rank), top, rank=rank)
            else:
                terminal.show(line_of(tags_of(song, scan_model.card, rank=rank), top=top))
    say(counted(n_shown, "song"))


def where(library: LibraryFile = None) -> None:
    """Say which file the library is."""
    from earmark.library.database import library_path

    place = library or library_path()
    terminal.show(place)
    if not place.exists():
        say("there is none yet: `earmark library scan DIR` makes it")


def print_song(song: ScannedFile, *, card: Card, json: bool) -> None:
    """A song as a scan reports it: its JSON line, or why it failed or is doubted."""
    from earmark.library.show import as_json

    if json:
        print_json(as_json(song, card))
    elif song.failure is not None:
        say(f"error: {_reason(song)}")
    else:
        for warning in song.warnings or ():
            say(f"warning: {song.path}: {warning.message}")


def _reason(song: ScannedFile) -> str:
    """Why a file could not be heard, with its name."""
    assert song.failure is not None
    message = song.failure.message
    return message if str(song.path) in message else f"{song.path}: {message}"


def line_of(heard: Tags, *, top: int) -> str:
    """A song in one line: its file, its length and its first tags, or what it is."""
    tags = ", ".join(f"{tag.tag} {tag.score:.2f}" for tag in heard.tags[:top])
    return f"{heard.path}  {clock(heard.seconds)}  {heard.headline or tags}"


class _CsvTable:
    """A line for each song, under a line of names."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self._plain = csv.writer(self, lineterminator="\n")
        self._quoted = csv.writer(self, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._plain.writerow(
            ["path", "seconds", "artist", "title", "album", *tags, "warnings", "kind"]
        )

    def write(self, line: str) -> None:
        """Print a line that csv has made."""
        terminal.show(line.removesuffix("\n"))

    def show(self, song: ScannedFile) -> None:
        if song.scores is not None:
            facts = [str(song.path), f"{song.seconds:.3f}", song.artist, song.title, song.album]
            warnings = "|".join(warning.kind for warning in song.warnings or ())
            scores = (f"{score:.4f}" for score in song.scores)
            # of line ends Python quotes only the one that it writes
            writer = self._quoted if any("\r" in fact for fact in facts) else self._plain
            writer.writerow([*facts, *scores, warnings, song.kind])
