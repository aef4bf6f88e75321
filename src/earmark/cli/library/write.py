"""`earmark library write | undo | settings`: write tags into files, and undo it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.library.options import (
    Below,
    Doubted,
    LibraryFile,
    ScannedWith,
    SettingsFile,
    opened,
    place_in,
    settings_in,
)
from earmark.cli.options import JsonLines
from earmark.cli.terminal import Exit, print_json, read_paths, say, show
from earmark.counted import counted
from earmark.errors import BadValue, NotScanned

if TYPE_CHECKING:
    from earmark.library.database import Library, LibraryModel
    from earmark.library.writing.write import TagChange, UnwritableFile


class By(StrEnum):
    """Whose scores give a file its genre."""

    song = "song"
    album = "album"


def add_commands(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("write")(write)
    app.command("undo")(undo)
    app.command("settings")(settings)


def write(
    path: Below = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Keep the genres and moods of a file, and add to them.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the genres and moods that a file has.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write. Without it only the plan is shown.")
    ] = False,
    list_files: Annotated[
        bool, typer.Option("--list", help="Show each file, not only how many there are.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Only the paths in this file, one a line; - for stdin."),
    ] = None,
    by: Annotated[
        By, typer.Option(help="Whose genre: each song's own, or that of its album's mean.")
    ] = By.song,
    keep_mtime: Annotated[
        bool, typer.Option("--keep-mtime", help="Keep the files' time of last change.")
    ] = False,
    doubted: Doubted = False,
    settings: SettingsFile = None,
    library: LibraryFile = None,
    model: ScannedWith = None,
    json: JsonLines = False,
) -> None:
    """Write genre, mood and scores into files; genre and mood into empty fields only by default."""
    from earmark.library import plan_writing, write_tags
    from earmark.library.writing.summary import PlanSummary
    from earmark.library.writing.write import UnwritableFile, left_out

    if merge and replace:
        raise BadValue("--merge keeps what a file has, --replace does not; give one of them")
    with opened(library, model) as (library_, scan_model):
        below = place_in(library_, scan_model, path)
        chosen = None if only is None else _chosen(library_, scan_model, only)
        planned: Iterable[TagChange | UnwritableFile] = plan_writing(
            library_, scan_model,
            settings=settings_in(settings, model=scan_model),
            mode="merge" if merge else "replace" if replace else "fill",
            below=below, only=chosen, doubted=doubted, by_album=by is By.album, everything=True,
        )  # fmt: skip
        if yes:
            planned = write_tags(library_, planned, keep_mtime=keep_mtime)
        summary = PlanSummary()
        for change in planned:
            summary.add(change)
            is_refused = isinstance(change, UnwritableFile)
            if json or list_files or (is_refused and yes):
                _print_change(change, written=yes, json=json)
        skipped = {} if doubted else left_out(library_, scan_model, below=below, only=chosen)
    (say if json else show)(*summary.lines(skipped, written=yes))
    if not yes:
        also = "" if list_files else "; to see each file, --list"
        say(f"Nothing was written; to write, add --yes{also}")
    elif summary.n_changed:
        say("`earmark library undo` takes it back")
    if summary.n_refused:
        raise typer.Exit(Exit.SOME_FAILED)


def undo(
    run: Annotated[
        int | None, typer.Argument(help="The run's number in --list; by default the last.")
    ] = None,
    list_runs: Annotated[
        bool, typer.Option("--list", help="Show the runs that can be undone.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Undo. Without it files are only listed.")
    ] = False,
    library: LibraryFile = None,
    json: JsonLines = False,
) -> None:
    """Undo a run of `write`: files that have not changed since get back every byte."""
    from earmark.library import Library, undo_writing
    from earmark.library.writing.journal import runs
    from earmark.library.writing.undo import UndoOutcome, files_of, last_run

    with Library.open(library) as library_:
        if list_runs:
            for number, at, n_files in runs(library_):
                when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
                if json:
                    print_json({"run": number, "at": at, "files": n_files})
                else:
                    show(f"{number}  {when}  {counted(n_files, 'file')}")
            return
        run = last_run(library_) if run is None else run
        if not yes:
            for path in files_of(library_, run):
                print_json({"path": str(path), "run": run}) if json else show(path)
            say(f"these files would be as before run {run}. Nothing was done; to undo, add --yes")
            return
        counts = dict.fromkeys(UndoOutcome, 0)
        for undone in undo_writing(library_, run):
            counts[undone.outcome] += 1
            if json:
                error = undone.error and undone.error.as_json()
                line = {"path": str(undone.path), "outcome": undone.outcome.value}
                print_json(line | ({"error": error} if error else {}))
            elif undone.error is not None:
                say(f"error: {undone.error}")
            elif undone.outcome is UndoOutcome.fields:
                say(f"{undone.path}: it has changed since; only earmark's fields were put back")
    say(
        f"every byte is back in {counted(counts[UndoOutcome.restored], 'file')}, the fields in "
        f"{counts[UndoOutcome.fields]:,}; {counts[UndoOutcome.unwritten]:,} were never changed, "
        f"{counts[UndoOutcome.failed]:,} failed"
    )
    if counts[UndoOutcome.failed]:
        raise typer.Exit(Exit.SOME_FAILED)


def settings() -> None:
    """Print the default settings, as a start for your own."""
    from earmark.library.settings import default_text

    show(*default_text().splitlines())


def _chosen(library: Library, model: LibraryModel, file: str) -> set[Path]:
    """The paths by which the library knows the files in a list. Raises NotScanned for others."""
    known = {path: library.known_path(model, path) for path in read_paths(file)}
    unknown = sorted(path for path, place in known.items() if place is None)
    if unknown:
        raise NotScanned(
            f"{len(unknown):,} of the {len(known):,} paths in the list are not in the library, "
            f"such as {unknown[0]}. Scan them first, or take them out of the list"
        )
    return {place for place in known.values() if place is not None}


def _print_change(change: TagChange | UnwritableFile, *, written: bool, json: bool) -> None:
    from earmark.library.writing.write import UnwritableFile

    path = str(change.song.path)
    if isinstance(change, UnwritableFile):
        if json:
            print_json({"path": path, "error": change.error.as_json()})
        else:
            say(f"error: {change.error}")
        return
    if not change.after:
        return
    if json:
        fields = {
            field: {"before": list(change.before[field]), "after": list(values)}
            for field, values in change.after.items()
        }
        print_json({"path": path, "written": written, "changes": fields})
        return
    show(path)
    for field, values in change.after.items():
        before = "; ".join(change.before[field]) or "empty"
        show(f"    {field}: {before} -> {'; '.join(values) or 'empty'}")
