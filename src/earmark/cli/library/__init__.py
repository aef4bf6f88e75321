"""`earmark library`: scan a music folder, and show what was heard in it."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.library import playlist, write
from earmark.cli.library.options import (
    Below,
    Json,
    LibraryFile,
    ModelName,
    SettingsFile,
    opened,
    place_in,
)
from earmark.cli.tag import Rank, print_table
from earmark.cli.terminal import Exit, print_json, progress, say
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.scan import Counts
    from earmark.library.song import ScannedFile
    from earmark.tagger import Tags

library_app = typer.Typer(
    help="A person's music folder: tags for every file, playlists, songs that are alike.",
    no_args_is_help=True,
)


def add_commands(app: typer.Typer) -> None:
    """Mount `library`."""
    app.add_typer(library_app, name="library")


def scan(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of music.")],
    model: Annotated[
        str | None, typer.Option(help="A name of `earmark models list`, or a model file.")
    ] = None,
    library: LibraryFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores by default.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Hear three windows of each song, not every second.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what could not be heard or judged before.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget the songs whose files are gone.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and hear what comes, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How often to look, with --watch.")
    ] = 60.0,
    json: Json = False,
) -> None:
    """Hear every audio file below each folder once; run again, hear only what is new."""
    from earmark.library import scan as scanning
    from earmark.library.database import Library
    from earmark.tagger import Tagger

    tagger = Tagger.load(model)
    options = scanning.ScanOptions(workers, quick, retry)
    with Library.open(library, make=True) as opened_library:
        used = scanning.use_model(opened_library, tagger)
        found = scanning.look(opened_library, folders, model=used, options=options)
        with progress("hearing", total=len(found.new)) as advance:

            def report(song: ScannedFile) -> None:
                advance(1)
                _print_scanned(song, json=json, card=used.card)

            counts = scanning.scan(
                opened_library, found,
                tagger=tagger, model=used, options=options, report=report,
            )  # fmt: skip
        if forget:
            say(f"{opened_library.forget_missing(used)} songs are forgotten")
        _print_counts(counts, json=json)
        if watch:
            say(f"watching: looking every {every:g} s. Ctrl-C ends it")
            for counts in scanning.watch(
                opened_library, folders, tagger=tagger, model=used, options=options,
                every_seconds=every,
                report=lambda song: _print_scanned(song, json=json, card=used.card),
            ):  # fmt: skip
                _print_counts(counts, json=json)
    if counts.failed:
        raise typer.Exit(Exit.SOME_FAILED)


def show(
    path: Below = None,
    tag: Annotated[
        str | None, typer.Option(help='Songs with that tag, or of which "jazz, not sad" is true.')
    ] = None,
    least: Annotated[
        float | None, typer.Option("--min", min=0, max=1, help="Least score of --tag.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many tags to show of a song.")] = 5,
    rank: Annotated[Rank, typer.Option(help="What the tags of a song are sorted by.")] = Rank.score,
    failed: Annotated[
        bool, typer.Option("--failed", help="The files that could not be heard, and why.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="The songs whose files are gone.")
    ] = False,
    doubted: Annotated[
        bool, typer.Option("--doubted", help="Only silence, noise and hum.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="A table with every score.")] = False,
    json: Json = False,
    library: LibraryFile = None,
    model: ModelName = None,
    settings: SettingsFile = None,
) -> None:
    """Show what was heard."""
    from earmark.library.playlists.expression import parse
    from earmark.library.playlists.playlist import matching
    from earmark.library.settings import read_settings
    from earmark.library.show import tags_of

    if least is not None and tag is None:
        raise BadValue("--min is the least score of a tag: name it with --tag")
    with opened(library, model) as (library_, used):
        below = place_in(library_, used, path)
        songs: Any
        if tag is not None:
            text = tag if least is None else f'"{tag}" >= {least:.9f}'
            expression = parse(text, tags=used.card.tags, settings=read_settings(settings))
            songs = matching(library_, used, expression, below=below, doubted=True)
        else:
            songs = library_.songs(
                used, below=below, failed=True if failed else False if csv else None,
                missing=missing,
            )  # fmt: skip
        n_shown = 0
        table = _CsvTable(used.card.tags) if csv else None
        for song in songs:
            if doubted and song.headline is None:
                continue
            n_shown += 1
            if table is not None:
                table.print(song)
            elif json:
                _print_scanned(song, json=True, card=used.card, top=top, rank=rank.value)
            elif song.failure is not None:
                print(_reason(song))
            elif song.path == below:
                print_table(tags_of(song, used.card, rank=rank.value), top, rank=rank.value)
            else:
                _print_line(tags_of(song, used.card, rank=rank.value), top)
    say(f"{n_shown} songs")


def _print_scanned(
    song: ScannedFile, *, json: bool, card: Any, top: int | None = None, rank: Any = "score"
) -> None:
    from earmark.library.show import as_json

    if json:
        print_json(as_json(song, card, top=top, rank=rank))
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


def _print_counts(counts: Counts, *, json: bool) -> None:
    from dataclasses import asdict

    if json:
        print_json(asdict(counts))
    say(
        f"{counts.heard} songs heard, {counts.known} known from elsewhere or only tagged anew, "
        f"{counts.unchanged} unchanged, {counts.failed} failed, {counts.gone} gone"
        + (f", {counts.unsettled} still being written" if counts.unsettled else "")
    )
    if counts.doubted:
        say(
            f"{counts.doubted} of them are silence, noise or hum: they get no genre, and no place "
            "in playlists. `earmark library show --doubted` lists them"
        )
    if counts.unjudged:
        say(
            f"{counts.unjudged} were heard by an older earmark, which did not tell silence and "
            "noise from music. `earmark library scan --retry` hears them again"
        )
    if counts.failed:
        say("`earmark library show --failed` says why; `scan --retry` tries them again")


def _print_line(heard: Tags, top: int) -> None:
    minutes, seconds = divmod(round(heard.seconds), 60)
    tags = ", ".join(f"{tag.tag} {tag.score:.2f}" for tag in heard.tags[:top])
    print(f"{heard.path}  {minutes}:{seconds:02d}  {heard.headline or tags}")


class _CsvTable:
    """A line for each song, under a line of names."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(["path", "seconds", "artist", "title", "album", *tags, "warnings"])

    def print(self, song: ScannedFile) -> None:
        if song.scores is not None:
            facts = [str(song.path), f"{song.seconds:.3f}", song.artist, song.title, song.album]
            warnings = "|".join(warning.kind for warning in song.warnings or ())
            scores = (f"{score:.4f}" for score in song.scores)
            self._writer.writerow([*facts, *scores, warnings])


library_app.command("scan")(scan)
library_app.command("show")(show)
write.add_commands(library_app)
playlist.add_commands(library_app)
