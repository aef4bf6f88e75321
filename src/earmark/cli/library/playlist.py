"""`earmark library playlist | similar`: songs in an order, and songs that are alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.library.options import (
    Doubted,
    LibraryFile,
    ScannedWith,
    SettingsFile,
    opened,
    settings_in,
    tagger_for,
)
from earmark.cli.options import JsonLines
from earmark.cli.terminal import print_json, say
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.song import ScannedFile


def add_commands(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("playlist")(playlist)
    app.command("similar")(similar)


def playlist(
    expression: Annotated[
        str | None,
        typer.Argument(
            metavar="[EXPRESSION]", help='Tags, such as "jazz and not vocal, calm > .6".'
        ),
    ] = None,
    like: Annotated[
        list[Path] | None,
        typer.Option(metavar="SONG", help="Songs like this one; may be repeated."),
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="SONG", help="First song of a journey.")
    ] = None,
    end: Annotated[
        Path | None, typer.Option("--to", metavar="SONG", help="Last song of the journey.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="An M3U8 file; stdout without it."),
    ] = None,
    songs: Annotated[
        int | None, typer.Option(min=1, help="Most songs; 25 if no length is given.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Most minutes.")] = None,
    per_artist: Annotated[int | None, typer.Option(min=1, help="Most songs of one artist.")] = None,
    absolute: Annotated[
        bool,
        typer.Option("--absolute", help="Write absolute paths, not relative ones."),
    ] = False,
    doubted: Doubted = False,
    settings: SettingsFile = None,
    library: LibraryFile = None,
    model: ScannedWith = None,
    json: JsonLines = False,
) -> None:
    """Make a playlist: by what is heard, by examples, or on the way from one song to another."""
    from earmark.files import write_bytes
    from earmark.library import PlaylistRequest, make_playlist
    from earmark.library.playlists.m3u import m3u8
    from earmark.library.playlists.playlist import Length

    request = PlaylistRequest(
        expression, like or (), start, end, Length(songs, minutes, per_artist), doubted
    )
    with opened(library, model) as (library_, scan_model):
        chosen = make_playlist(
            library_, request, model=scan_model,
            settings=settings_in(settings, model=scan_model),
            load=lambda: tagger_for(model, model=scan_model),
        )  # fmt: skip
    if not chosen:
        raise BadValue("no song of the library fits. Loosen the expression, or lower its scores")
    folder = None if output is None or absolute else Path(output).absolute().parent
    data, left_out = m3u8(chosen, relative_to=folder)
    for song in left_out:
        say(f"left out: a playlist cannot hold a path with a line break: {song.path!r}")
    if output is not None:
        write_bytes(output, data)
    elif not json:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    if json:
        for song in chosen:
            print_json(_facts(song))
    total = round(sum(song.seconds for song in chosen) / 60)
    say(f"{len(chosen) - len(left_out)} songs, {total} minutes" + (f": {output}" if output else ""))


def similar(
    song: Annotated[
        Path | None, typer.Argument(metavar="[SONG]", help="Any file, scanned or not.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many songs.")] = 20,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Show groups that are probably one recording.")
    ] = False,
    library: LibraryFile = None,
    model: ScannedWith = None,
    json: JsonLines = False,
) -> None:
    """Find the songs of the library that sound most like one."""
    from earmark.library import similar_songs
    from earmark.library.identity import absolute
    from earmark.library.playlists.similar import near_duplicates

    if (song is None) != duplicates:
        raise BadValue("give one song, or --duplicates for all groups of copies")
    with opened(library, model) as (library_, scan_model):
        if song is None:
            groups = near_duplicates(library_, scan_model)
            for group in groups:
                if json:
                    print_json({"near_duplicates": [_facts(each) for each in group]})
                else:
                    print("\n".join(str(each.path) for each in group), end="\n\n")
            say(f"{len(groups)} groups of songs that are probably one recording each")
            return
        for found in similar_songs(
            library_, absolute(song), model=scan_model, n=n,
            load=lambda: tagger_for(model, model=scan_model),
        ):  # fmt: skip
            if json:
                line = {"similarity": round(found.similarity, 5)}
                print_json(_facts(found.song) | line | {"near_duplicate": found.near_duplicate})
            else:
                mark = "  (near-duplicate)" if found.near_duplicate else ""
                print(f"{found.similarity:.3f}  {found.song.path}{mark}")


def _facts(song: ScannedFile) -> dict[str, object]:
    names = {"artist": song.artist, "title": song.title, "seconds": round(song.seconds, 3)}
    return {"path": str(song.path)} | {key: value for key, value in names.items() if value}
