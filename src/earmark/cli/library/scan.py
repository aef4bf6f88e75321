"""`earmark library scan`: hear a music folder once, and again only what is new."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.library.options import LibraryFile
from earmark.cli.library.show import print_song
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

if TYPE_CHECKING:
    from earmark.library.scan import ScanCounts


_OTHER = {"other": "something else"}


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
        float, typer.Option(min=1, metavar="SECONDS", help="Time between scans, with --watch.")
    ] = 60.0,
    exclude: Exclude = None,
    longest: Longest = None,
    no_limits: NoLimits = False,
    json: JsonLines = False,
) -> None:
    """Hear every audio file below each folder once; run again, hear only what is new."""
    from earmark.library import Library, ScanOptions, scan_folders
    from earmark.library.scan import watch_folders
    from earmark.tagger import Tagger

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
            say(f"{counts.forgotten} songs are forgotten")
        _print_counts(counts, json=json)
        if watch:
            say(f"scanning again every {every:g} s; Ctrl-C ends it")
            for counts in watch_folders(
                opened_library, folders, tagger=tagger, options=options, every_seconds=every,
                on_song=on_song,
            ):  # fmt: skip
                _print_counts(counts, json=json)
    if counts.failed:
        raise typer.Exit(Exit.SOME_FAILED)


def _print_counts(counts: ScanCounts, *, json: bool) -> None:
    if json:
        print_json(asdict(counts))
    say(
        f"{counts.heard} songs heard, {counts.known} moved or only their tags changed, "
        f"{counts.unchanged} unchanged, {counts.failed} failed, {counts.gone} gone"
        + (f", {counts.unsettled} still being written" if counts.unsettled else "")
    )
    for line in counts.skipped.lines():
        say(line)
    if counts.doubted:
        kinds = ", ".join(f"{n} {_OTHER.get(kind, kind)}" for kind, n in counts.kinds.items())
        say(
            f"{counts.doubted} of them are not music: {kinds.replace(' ', ' are ', 1)}. They get "
            "no genre, and no place in playlists. `earmark library show --doubted` lists them"
        )
    if counts.unjudged:
        say(
            f"{counts.unjudged} were heard by an older earmark, which did not tell what is not "
            "music. `earmark library scan --retry` hears them again"
        )
    if counts.failed:
        say("`earmark library show --failed` says why; `scan --retry` tries them again")
