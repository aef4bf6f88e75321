"""`earmark library playlist | similar`: songs in an order, and songs that are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
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
from earmark.cli.terminal import Exit, print_json, say, show, show_bytes
from earmark.counted import counted
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.database import Library, LibraryModel
    from earmark.library.playlists.saved import WrittenPlaylist
    from earmark.library.song import ScannedFile
    from earmark.tagger import Tagger


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
    unlike: Annotated[
        list[Path] | None,
        typer.Option(metavar="SONG", help="Songs unlike this one; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="An M3U8 file; stdout without it."),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save", metavar="NAME", help="Keep it: each scan makes the file of -o anew."
        ),
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
    prefix: Annotated[
        tuple[Path, str] | None,
        typer.Option(
            metavar="HERE THERE",
            help="Absolute paths for another machine, where the folder HERE is called THERE.",
        ),
    ] = None,
    saved: Annotated[
        bool, typer.Option("--saved", help="Make all saved playlists anew now, and list them.")
    ] = False,
    forget: Annotated[
        str | None,
        typer.Option("--forget", metavar="NAME", help="Save it no longer; its file stays."),
    ] = None,
    doubted: Doubted = False,
    settings: SettingsFile = None,
    library: LibraryFile = None,
    model: ScannedWith = None,
    json: JsonLines = False,
) -> None:
    """Make a playlist: by what is heard, by examples, or on the way from one song to another."""
    from earmark.library import PlaylistRequest, make_playlist
    from earmark.library.identity import real
    from earmark.library.playlists.m3u import Places, m3u8, write_m3u8
    from earmark.library.playlists.playlist import NO_SONG_FITS, Length
    from earmark.library.playlists.saved import SavedPlaylist, delete_playlist, save_playlist

    makes_one = [expression, like, unlike, start, end, output, save]
    if [saved, forget is not None, any(makes_one)].count(True) > 1:
        raise BadValue(
            "--saved and --forget are of playlists that are there: give one of them alone"
        )
    with opened(library, model) as (library_, scan_model):
        load = partial(tagger_for, model, model=scan_model)
        if forget is not None:
            delete_playlist(library_, forget)
            say(f"the playlist {forget} is no longer saved; its file stays")
            return
        if saved:
            written = print_refreshed(library_, scan_model, load=load, json=json, always=True)
            if not written:
                say("no playlist is saved; add --save NAME to one that has a file (-o)")
            if any(each.error is not None for each in written):
                raise typer.Exit(Exit.SOME_FAILED)
            return
        request = PlaylistRequest(
            expression, like or (), unlike or (), start, end,
            Length(songs, minutes, per_artist), doubted,
        )  # fmt: skip
        if save is not None and output is None:
            raise BadValue("--save keeps a playlist with its file: name that with -o FILE")
        chosen = make_playlist(
            library_, request, model=scan_model,
            settings=settings_in(settings, model=scan_model), load=load,
        )  # fmt: skip
        if not chosen:
            raise BadValue(NO_SONG_FITS)
        folder = None if output is None or absolute else Path(output).absolute().parent
        places = Places(folder, prefix and (str(real(prefix[0])), prefix[1]))
        data, left_out = m3u8(chosen, places=places)
        _say_left_out(left_out)
        if output is not None:
            write_m3u8(output, data)
        elif not json:
            show_bytes(data)
        if save is not None and output is not None:
            kept = SavedPlaylist(save, request, output, places, settings)
            save_playlist(library_, scan_model, kept)
    if json:
        for song in chosen:
            print_json(_facts(song))
    total = round(sum(song.seconds for song in chosen) / 60)
    said = f"{counted(len(chosen) - len(left_out), 'song')}, {counted(total, 'minute')}"
    say(said + (f": {output}" if output else ""))


def print_refreshed(
    library: Library,
    model: LibraryModel,
    *,
    load: Callable[[], Tagger],
    json: bool,
    always: bool = False,
) -> list[WrittenPlaylist]:
    """Make the saved playlists anew, and print what became of them.

    always : print also those that are as they were
    """
    from earmark.library.playlists.saved import refresh_playlists

    all_written = []
    for written in refresh_playlists(library, model, load=load):
        all_written.append(written)
        _say_left_out(written.left_out)
        if written.error is not None:
            say(f"error: the saved playlist {written.name}: {written.error}")
        elif written.changed or always:
            state = "made anew" if written.changed else "as it was"
            say(f"{written.name}: {counted(written.songs, 'song')}, {state}: {written.file}")
        if json and (written.error is not None or written.changed or always):
            print_json(written.as_json())
    return all_written


def _say_left_out(songs: Iterable[ScannedFile]) -> None:
    for song in songs:
        say(f"left out: a playlist cannot hold a path with a line break: {song.path}")


def similar(
    song: Annotated[
        Path | None, typer.Argument(metavar="[SONG]", help="Any file, scanned or not.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many songs.")] = 20,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Show groups that are probably one recording.")
    ] = False,
    copies: Annotated[
        bool, typer.Option("--copies", help="Also other copies of the song, and all of each song.")
    ] = False,
    doubted: Doubted = False,
    library: LibraryFile = None,
    model: ScannedWith = None,
    json: JsonLines = False,
) -> None:
    """Find the songs of the library that sound most like one."""
    from earmark.library import similar_songs
    from earmark.library.playlists.recordings import near_duplicates

    if (song is None) != duplicates:
        raise BadValue("give one song, or --duplicates for all groups of copies")
    with opened(library, model) as (library_, scan_model):
        if song is None:
            groups = near_duplicates(library_, scan_model)
            for group in groups:
                if json:
                    print_json({"near_duplicates": [_facts(each) for each in group]})
                else:
                    show(*(each.path for each in group), "")
            n_groups = counted(len(groups), "group")
            say(f"{n_groups} of songs that are probably one recording each")
            return
        for found in similar_songs(
            library_, song, model=scan_model, n=n, copies=copies, doubted=doubted,
            load=lambda: tagger_for(model, model=scan_model),
        ):  # fmt: skip
            if json:
                line = {"similarity": round(found.similarity, 5)}
                print_json(_facts(found.song) | line | {"near_duplicate": found.near_duplicate})
            else:
                mark = "  (near-duplicate)" if found.near_duplicate else ""
                show(f"{found.similarity:.3f}  {found.song.path}{mark}")


def _facts(song: ScannedFile) -> dict[str, object]:
    names = {"artist": song.artist, "title": song.title, "seconds": round(song.seconds, 3)}
    return {"path": str(song.path)} | {key: value for key, value in names.items() if value}
