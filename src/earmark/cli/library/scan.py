"""`earmark library scan`: hear a music folder once, and again only what is new."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.library.options import LibraryFile
from earmark.cli.library.playlist import print_refreshed
from earmark.cli.library.show import line_of, print_song
from earmark.cli.options import (
    Exclude,
    JsonLines,
    Longest,
    ModelName,
    NoLimits,
    Workers,
    choice_of,
)
from earmark.cli.terminal import Exit, print_json, progress, say
from earmark.counted import counted
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.scan import ScanCounts
    from earmark.library.song import ScannedFile
    from earmark.model_file import Card

_OTHER = {"other": "something else"}
_EVERY = 60.0  # seconds between the scans of --watch


def add_commands(app: typer.Typer) -> None:
    """Mount `scan`."""
    app.command("scan")(scan)


def scan(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of music.")],
    model: ModelName = None,
    library: LibraryFile = None,
    workers: Workers = None,
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
        bool, typer.Option("--watch", help="Scan again and again, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Time between scans, with --watch.",
            show_default=f"{_EVERY:g}",
        ),
    ] = None,
    exclude: Exclude = None,
    longest: Longest = None,
    no_limits: NoLimits = False,
    json: JsonLines = False,
) -> None:
    """Hear every audio file below each folder once; run again, hear only what is new."""
    from earmark.library import Library, ScanOptions, scan_folders
    from earmark.library.scan import watch_folders
    from earmark.tagger import Tagger

    if every is not None and not watch:
        raise BadValue("--every is the time between the scans of --watch: give both")
    tagger = Tagger.load(model)
    options = ScanOptions(
        workers, quick, retry, limits=not no_limits, choice=choice_of(exclude, longest)
    )
    on_song = partial(print_song, card=tagger.card, json=json)
    with Library.open(library, make=True) as opened_library:
        counts = scan_folders(
            opened_library, folders, tagger=tagger, options=options, forget=forget,
            on_song=on_song, progress=lambda total: progress("hearing", total=total),
        )  # fmt: skip
        if forget:
            say(f"{counted(counts.forgotten, 'song')} forgotten")
        refresh = partial(
            print_refreshed, opened_library, opened_library.model(), load=lambda: tagger, json=json
        )
        written = refresh()
        _print_counts(counts, json=json)
        if watch:
            every = every or _EVERY
            say(f"scanning again every {every:g} s; Ctrl-C ends it")
            for counts in watch_folders(
                opened_library, folders, tagger=tagger, options=options, every_seconds=every,
                on_song=partial(_print_heard, card=tagger.card, json=json),
            ):  # fmt: skip
                written = refresh()
                _print_counts(counts, json=json, at=_now())
    if counts.failed > counts.failed_before or any(each.error is not None for each in written):
        raise typer.Exit(Exit.SOME_FAILED)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _print_heard(song: ScannedFile, *, card: Card, json: bool) -> None:
    """A song that a watcher has opened, with the time."""
    from earmark.library.show import tags_of

    if not json and song.failure is None:
        say(f"{_now()}  {line_of(tags_of(song, card), top=3)}")
    print_song(song, card=card, json=json)


def _print_counts(counts: ScanCounts, *, json: bool, at: str | None = None) -> None:
    if json:
        print_json(asdict(counts) | ({} if at is None else {"at": at}))
    parts = {
        "new": counts.new,
        "heard again": counts.heard_again,
        "moved": counts.moved,
        f"changed, but not {'its' if counts.retagged == 1 else 'their'} audio": counts.retagged,
        f"{'a copy' if counts.copies == 1 else 'copies'} of another song": counts.copies,
        "unchanged": counts.unchanged,
        "gone": counts.gone,
        "still being written": counts.unsettled,
    }
    said = ", ".join(f"{number} {words}" for words, number in parts.items() if number)
    failed = counts.failed - counts.failed_before
    n_songs = counts.heard + counts.known + counts.unchanged
    say(("" if at is None else f"{at}  ") + f"{counted(n_songs, 'song')}: {said or 'none found'}")
    for line in counts.skipped.lines():
        say(line)
    if counts.doubted:
        kinds = ", ".join(f"{n} {_OTHER.get(kind, kind)}" for kind, n in counts.kinds.items())
        is_one = counts.doubted == 1
        say(
            f"{counts.doubted} of them {'is' if is_one else 'are'} not music: {kinds}. "
            f"{'It gets' if is_one else 'They get'} no genre, and no place in playlists. "
            "`earmark library show --doubted` lists them"
        )
    if counts.unjudged:
        say(
            f"{counted(counts.unjudged, 'song was', 'songs were')} heard by an older earmark, "
            "which did not tell what is not music. `earmark library scan --retry` hears them again"
        )
    if failed:
        say(
            f"{counted(failed, 'file')} could not be heard; `earmark library show --failed` says "
            "why"
        )
    if counts.failed_before:
        say(
            f"{counted(counts.failed_before, 'file')} could not be heard before and did "
            "not change; `earmark library scan --retry` tries again"
        )
