"""`earmark library write | undo | settings`: write tags into files, and undo it."""

from __future__ import annotations

import time
from collections.abc import Iterable
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
from earmark.cli.terminal import Exit, print_json, say
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.writing.write import TagChange, UnwritableFile


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
    from earmark.library.writing.write import UnwritableFile, n_doubted

    if merge and replace:
        raise BadValue("--merge keeps what a file has, --replace does not; give one of them")
    with opened(library, model) as (library_, scan_model):
        below = place_in(library_, scan_model, path)
        planned: Iterable[TagChange | UnwritableFile] = plan_writing(
            library_, scan_model,
            settings=settings_in(settings, model=scan_model),
            mode="merge" if merge else "replace" if replace else "fill",
            below=below, doubted=doubted,
        )  # fmt: skip
        if yes:
            planned = write_tags(library_, planned, keep_mtime=keep_mtime)
        n_changes = n_refusals = 0
        for change in planned:
            is_refused = isinstance(change, UnwritableFile)
            n_refusals += is_refused
            n_changes += not is_refused
            _print_change(change, written=yes, json=json)
        n_left_out = 0 if doubted else n_doubted(library_, scan_model, below=below)
    if n_left_out:
        say(f"{n_left_out} files are not music and get no tags; --doubted writes them")
    cannot = f"; {n_refusals} files cannot be written to" if n_refusals else ""
    if yes:
        say(f"{n_changes} files written{cannot}. `earmark library undo` restores them")
    else:
        say(f"{n_changes} files would change{cannot}. Nothing was written; to write, add --yes")
    if n_refusals:
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
                    print(f"{number}  {when}  {n_files} files")
            return
        run = last_run(library_) if run is None else run
        if not yes:
            for path in files_of(library_, run):
                print_json({"path": str(path), "run": run}) if json else print(path)
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
        f"{counts[UndoOutcome.restored]} files have every byte back, "
        f"{counts[UndoOutcome.fields]} their fields, "
        f"{counts[UndoOutcome.unwritten]} were never changed, "
        f"{counts[UndoOutcome.failed]} failed"
    )
    if counts[UndoOutcome.failed]:
        raise typer.Exit(Exit.SOME_FAILED)


def settings() -> None:
    """Print the default settings, as a start for your own."""
    from earmark.library.settings import default_text

    print(default_text(), end="")


def _print_change(change: TagChange | UnwritableFile, *, written: bool, json: bool) -> None:
    from earmark.library.writing.write import UnwritableFile

    path = str(change.song.path)
    if isinstance(change, UnwritableFile):
        if json:
            print_json({"path": path, "error": change.error.as_json()})
        else:
            say(f"error: {change.error}")
        return
    if json:
        fields = {
            field: {"before": list(change.before[field]), "after": list(values)}
            for field, values in change.after.items()
        }
        print_json({"path": path, "written": written, "changes": fields})
        return
    print(path)
    for field, values in change.after.items():
        before = "; ".join(change.before[field]) or "empty"
        print(f"    {field}: {before} -> {'; '.join(values) or 'empty'}")
