"""`earmark data previews | status | retry | rematch | merge`: from a catalog to audio."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.data.options import CatalogFile, PreviewFolder
from earmark.cli.data.preview_progress import report_progress
from earmark.cli.options import JsonObject
from earmark.cli.terminal import Exit, Terminated, print_json, progress, say, show
from earmark.counted import counted
from earmark.data.previews.options import DownloadOptions

if TYPE_CHECKING:
    from earmark.data.previews.status import PreviewStatus

_DEFAULT = DownloadOptions()


class SourceName(StrEnum):
    """Where previews come from (earmark.data.previews.sources)."""

    itunes = "itunes"
    deezer = "deezer"
    folder = "folder"


class CheckName(StrEnum):
    """How closely a preview is checked (earmark.data.previews.audio_check)."""

    full = "full"
    light = "light"


def add_commands(app: typer.Typer) -> None:
    """Mount the five commands."""
    app.command("previews")(previews)
    app.command("status")(status)
    app.command("retry")(retry)
    app.command("rematch")(rematch)
    app.command("merge")(merge)


def previews(
    catalog: CatalogFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the ledger and the audio."),
    ],
    source: Annotated[SourceName, typer.Option(help="Where previews come from.")],
    accept_terms: Annotated[
        bool,
        typer.Option(
            "--accept-terms",
            envvar="EARMARK_ACCEPT_ITUNES_TERMS",
            help="Confirm that you have read the terms of iTunes and are responsible for your use.",
        ),
    ] = False,
    endpoint: Annotated[
        str, typer.Option(metavar="URL", help="Ask this address in place of the service.")
    ] = "",
    storefront: Annotated[
        str, typer.Option(metavar="CC", help="Country of the iTunes store.")
    ] = "US",
    folder: Annotated[
        str, typer.Option(metavar="MUSIC", help="Your music, for --source folder.")
    ] = "",
    part: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N parts, for the I-th machine.")
    ] = "1/1",
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="PER_MINUTE",
            help="Requests a minute; 20 for itunes and 500 for deezer by default, 0 for no limit.",
        ),
    ] = None,
    cooldown: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Pause after a host has rejected a request."),
    ] = _DEFAULT.cooldown,
    patience: Annotated[
        int, typer.Option(min=1, help="Stop after that many rejections in a row.")
    ] = _DEFAULT.patience,
    concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="Transfers at a time.")
    ] = _DEFAULT.concurrency,
    deadline: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Longest time for one transfer.")
    ] = _DEFAULT.deadline,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest preview.")] = _DEFAULT.max_bytes,
    check: Annotated[
        CheckName, typer.Option(help="Decode every preview, or only look at its container.")
    ] = CheckName(_DEFAULT.check),
    json: JsonObject = False,
) -> None:
    """Find and fetch the previews of a catalog's songs, into DIR/audio/<id>.<ext>.

    Stop it at any time and run it again. Exit code 3 if some songs failed (`data retry DIR` takes
    them again); songs that the source does not have, or has only as other recordings, are no
    failures.
    """
    from earmark.data.catalog import read_catalog
    from earmark.data.previews import SourceChoice, download_previews
    from earmark.data.previews.options import parse_part

    choice = SourceChoice(source.value, endpoint, storefront, folder, accept_terms)
    options = DownloadOptions(
        rate=rate,
        cooldown=cooldown,
        patience=patience,
        concurrency=concurrency,
        deadline=deadline,
        max_bytes=max_bytes,
        check=check.value,
    )
    with _stoppable(), report_progress() as listener:
        result = download_previews(
            read_catalog(catalog),
            output,
            choice=choice,
            part=parse_part(part),
            options=options,
            listener=listener,
        )
    _finish(result, output, json)


def status(folder: PreviewFolder, json: JsonObject = False) -> None:
    """Show what became of the songs so far, and when a run will be done."""
    from earmark.data.previews import preview_status

    found = preview_status(folder)
    if json:
        print_json(found.as_json())
    else:
        _print_table(found)


def retry(
    folder: PreviewFolder,
    no_result: Annotated[
        bool, typer.Option("--no-result", help="Also songs that the source did not have.")
    ] = False,
    rejected: Annotated[
        bool,
        typer.Option(
            "--rejected", help="Also songs of which the source had only other recordings."
        ),
    ] = False,
    review: Annotated[
        bool, typer.Option("--review", help="Also songs in review, which a person should judge.")
    ] = False,
    endpoint: Annotated[
        str,
        typer.Option(metavar="URL", help="The --endpoint of the last run, where it had one."),
    ] = "",
    only_mark: Annotated[
        bool, typer.Option("--only-mark", help="Only mark them, for the next `data previews`.")
    ] = False,
    json: JsonObject = False,
) -> None:
    """Take the failures again, with the source and the options of the last run."""
    from earmark.data.previews import State, retry_previews

    wanted = {State.NO_RESULT: no_result, State.REJECTED: rejected, State.REVIEW: review}
    with _stoppable(), report_progress() as listener:
        result = retry_previews(
            folder,
            also=[state for state, chosen in wanted.items() if chosen],
            endpoint=endpoint,
            only_mark=only_mark,
            listener=listener,
        )
    _finish(result, folder, json)


def rematch(
    folder: PreviewFolder,
    accept_review: Annotated[
        bool, typer.Option("--accept-review", help="Count songs in review as matched.")
    ] = False,
    json: JsonObject = False,
) -> None:
    """Judge all stored replies anew, without the network; previews of other hits are set aside."""
    from earmark.data.previews import rematch_previews

    moves = rematch_previews(folder, accept_review=accept_review)
    changed = [
        {"from": before.value, "to": after.value, "songs": number}
        for (before, after), number in sorted(moves.items())
    ]
    if json:
        print_json({"changed": changed})
        return
    for move in changed:
        show(f"{move['from']:18}-> {move['to']:18}{move['songs']:>9}")
    n_changed = counted(sum(moves.values()), "song")
    say(f"{n_changed} changed; `earmark data previews` downloads new matches")


def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of `data previews`.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the joined result.")
    ],
    json: JsonObject = False,
) -> None:
    """Join the folders of several machines. Exit code 3 if previews were damaged."""
    from earmark.data.previews import merge_previews

    with progress("merging") as advance:
        last = 0

        def count(n_songs: int) -> None:
            nonlocal last
            advance(n_songs - last)
            last = n_songs

        merged = merge_previews(folders, output, on_song=count)
    result: dict[str, Any] = {"songs": merged.songs, "copied": merged.copied}
    if json:
        print_json(result | {"damaged": list(merged.damaged)})
    else:
        n_songs, n_copied = counted(merged.songs, "song"), counted(merged.copied, "preview")
        show(f"{n_songs} in {output}, {n_copied} copied")
    if merged.damaged:
        for path in merged.damaged:
            say(f"damaged: {path}")
        n_damaged = counted(len(merged.damaged), "preview was", "previews were")
        say(f"{n_damaged} damaged, to be downloaded again by the next run")
        raise typer.Exit(Exit.SOME_FAILED)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Say how to go on when Ctrl-C or `kill` ends the work; the ledger is written by then."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as end:
        say("stopped; run the same command again to go on")
        sys.exit(Exit.TERMINATED if isinstance(end, Terminated) else Exit.INTERRUPTED)


def _finish(result: PreviewStatus, folder: Path, json: bool) -> None:
    if json:
        print_json(result.as_json())
    else:
        _print_table(result)
    if result.failed:
        say(f"to take the failed songs again: earmark data retry {folder}")
        raise typer.Exit(Exit.SOME_FAILED)


def _print_table(result: PreviewStatus) -> None:
    for state, number in result.states.items():
        if number:
            show(f"{state.value:18}{number:>9}{100 * number / result.total:7.1f} %")
    show(f"{'total':18}{result.total:>9}")
    facts = result.as_json()
    if result.per_minute is not None and result.finish_at is not None:
        show(f"{result.per_minute:.1f} songs a minute lately; done by {facts['finish_at']}")
    elif result.remaining:
        show("no run is at work" if not result.running else "a run has just started")
    if result.waiting:
        show(result.waiting)
