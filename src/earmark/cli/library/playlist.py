"""`earmark library playlist | similar`: songs in an order, and songs that are alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.library.options import (
    Doubted,
    Json,
    LibraryFile,
    ModelName,
    SettingsFile,
    opened,
    tagger_of,
)
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
        typer.Argument(metavar="[EXPRESSION]", help='Such as "jazz and not vocal, calm > .6".'),
    ] = None,
    like: Annotated[
        list[Path] | None, typer.Option(metavar="SONG", help="Songs like this one; or several.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="SONG", help="Where a journey begins.")
    ] = None,
    end: Annotated[Path | None, typer.Option("--to", metavar="SONG", help="Where it ends.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="An M3U8 file; stdout without it."),
    ] = None,
    songs: Annotated[
        int | None, typer.Option(min=1, help="At most; 25 where no length is given.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="At most.")] = None,
    per_artist: Annotated[int | None, typer.Option(min=1, help="Songs of one at most.")] = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Whole paths, not from the playlist's folder.")
    ] = False,
    doubted: Doubted = False,
    settings: SettingsFile = None,
    library: LibraryFile = None,
    model: ModelName = None,
    json: Json = False,
) -> None:
    """Make a playlist: by what is heard, by examples, or on the way from one song to another."""
    from earmark.files import write_bytes
    from earmark.library.playlists import playlist as making
    from earmark.library.playlists.expression import parse
    from earmark.library.playlists.m3u import m3u8
    from earmark.library.playlists.similar import embedding_of
    from earmark.library.settings import read_settings
    from earmark.library.song import absolute as absolute_path

    if (start is None) != (end is None):
        raise BadValue("a journey needs both --from SONG and --to SONG")
    if not expression and not like and start is None:
        raise BadValue('what is wanted? An expression such as "jazz", --like, or --from and --to')
    if like and start is not None:
        raise BadValue("--like and --from make different playlists; choose one")
    length = making.Length(songs, minutes, per_artist)
    with opened(library, model) as (library_, used):
        parsed = None
        if expression:
            words = read_settings(settings)
            parsed = parse(expression, tags=used.card.tags, settings=words)
        if start is not None and end is not None:
            chosen = making.journey(
                library_, used, absolute_path(start), absolute_path(end),
                expression=parsed, length=length, doubted=doubted,
            )  # fmt: skip
        elif like:
            examples = [absolute_path(song) for song in like]
            vectors = [
                embedding_of(library_, used, song, load=lambda: tagger_of(model, used))
                for song in examples
            ]
            chosen = making.like(
                library_,
                used,
                vectors,
                expression=parsed,
                length=length,
                without=examples,
                doubted=doubted,
            )
        else:
            assert parsed is not None
            found = making.matching(library_, used, parsed, doubted=doubted)
            chosen = making.take(found, length)
    if not chosen:
        raise BadValue("no song of the library answers that; ask for less")
    folder = None if output is None or absolute else absolute_path(output).parent
    data, left_out = m3u8(chosen, relative_to=folder)
    for song in left_out:
        say(f"left out, because no playlist can hold a line break: {song.path!r}")
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
        bool, typer.Option("--duplicates", help="All groups that may be one recording.")
    ] = False,
    library: LibraryFile = None,
    model: ModelName = None,
    json: Json = False,
) -> None:
    """Find the songs of the library that sound most like one."""
    from earmark.library.playlists import similar as searching
    from earmark.library.song import absolute as absolute_path

    if (song is None) != duplicates:
        raise BadValue("name one song, or ask for all --duplicates")
    with opened(library, model) as (library_, used):
        if song is None:
            n_groups = 0
            for group in searching.near_duplicates(library_, used):
                n_groups += 1
                if json:
                    print_json({"near_duplicates": [_facts(each) for each in group]})
                else:
                    print("\n".join(str(each.path) for each in group), end="\n\n")
            say(f"{n_groups} groups of songs that may well be one recording")
            return
        path = absolute_path(song)
        vector = searching.embedding_of(library_, used, path, load=lambda: tagger_of(model, used))
        for found in searching.similar(library_, used, path, vector=vector, n=n):
            if json:
                line = {"similarity": round(found.similarity, 5)}
                print_json(_facts(found.song) | line | {"near_duplicate": found.near_duplicate})
            else:
                mark = "  (near-duplicate)" if found.near_duplicate else ""
                print(f"{found.similarity:.3f}  {found.song.path}{mark}")


def _facts(song: ScannedFile) -> dict[str, object]:
    names = {"artist": song.artist, "title": song.title, "seconds": round(song.seconds, 3)}
    return {"path": str(song.path)} | {key: value for key, value in names.items() if value}
