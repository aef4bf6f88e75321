"""`earmark library write | undo | settings`: what was heard, into files and out of them again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.library.options import (
    Below,
    Doubted,
    Json,
    LibraryFile,
    ModelName,
    SettingsFile,
    opened,
    place_in,
)
from earmark.cli.terminal import Exit, print_json, say
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.library.writing.write import Change, UnwritableFile


def add_commands(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("write")(write)
    app.command("undo")(undo)
    app.command("settings")(settings)


def write(
    path: Below = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Keep the genres and moods of a file, and add ours.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put ours in the place of those that it has.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write. Without it nothing is, only the plan is shown.")
    ] = False,
    keep_mtime: Annotated[
        bool, typer.Option("--keep-mtime", help="Let files keep their time of last change.")
    ] = False,
    doubted: Doubted = False,
    settings: SettingsFile = None,
    library: LibraryFile = None,
    model: ModelName = None,
    json: Json = False,
) -> None:
    """Write genre, mood and scores into files: into empty fields only, unless said otherwise."""
    from earmark.library.settings import read_settings
    from earmark.library.writing import write as writing

    if merge and replace:
        raise BadValue("--merge keeps what a file has and --replace does not; choose one")
    with opened(library, model) as (library_, used):
        below = place_in(library_, used, path)
        planned: Iterable[Change | UnwritableFile] = writing.plan(
            library_, used,
            settings=read_settings(settings),
            mode="merge" if merge else "replace" if replace else "fill",
            below=below, doubted=doubted,
        )  # fmt: skip
        if yes:
            planned = writing.write(library_, planned, keep_mtime=keep_mtime)
        n_changes = n_refusals = 0
        for change in planned:
            refused = isinstance(change, writing.UnwritableFile)
            n_refusals += refused
            n_changes += not refused
            _print_change(change, written=yes, json=json)
        n_left_out = 0 if doubted else writing.n_doubted(library_, used, below=below)
    if n_left_out:
        say(f"{n_left_out} files are silence, noise or hum and get no tags; --doubted writes them")
    cannot = f"; {n_refusals} files cannot be written to" if n_refusals else ""
    if yes:
        say(f"{n_changes} files written{cannot}. `earmark library undo` takes it back")
    else:
        say(f"{n_changes} files would change{cannot}. Nothing was written: --yes does it")
    if n_refusals:
        raise typer.Exit(Exit.SOME_FAILED)


def undo(
    run: Annotated[int | None, typer.Argument(help="Of --list; the last one without it.")] = None,
    list_runs: Annotated[
        bool, typer.Option("--list", help="Show the runs that can be undone.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without it nothing is.")] = False,
    library: LibraryFile = None,
    json: Json = False,
) -> None:
    """Undo a run of `write`: every byte as it was, in files that nobody has changed since."""
    from earmark.library.database import Library
    from earmark.library.writing import journal
    from earmark.library.writing import undo as undoing

    with Library.open(library) as library_:
        if list_runs:
            for number, at, n_files in journal.runs(library_):
                when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
                if json:
                    print_json({"run": number, "at": at, "files": n_files})
                else:
                    print(f"{number}  {when}  {n_files} files")
            return
        run = undoing.last_run(library_) if run is None else run
        if not yes:
            for path in undoing.files_of(library_, run):
                print_json({"path": str(path), "run": run}) if json else print(path)
            say(f"these files would be as they were before run {run}. Nothing was done: --yes does")
            return
        counts = dict.fromkeys(undoing.UndoOutcome, 0)
        for undone in undoing.undo(library_, run):
            counts[undone.outcome] += 1
            if json:
                error = undone.error and undone.error.as_json()
                line = {"path": str(undone.path), "outcome": undone.outcome.value}
                print_json(line | ({"error": error} if error else {}))
            elif undone.error is not None:
                say(f"error: {undone.error}")
            elif undone.outcome is undoing.UndoOutcome.fields:
                say(f"{undone.path}: others have changed it since; only our fields were put back")
    say(
        f"{counts[undoing.UndoOutcome.restored]} files have every byte back, "
        f"{counts[undoing.UndoOutcome.fields]} their fields, "
        f"{counts[undoing.UndoOutcome.unwritten]} were never changed, "
        f"{counts[undoing.UndoOutcome.failed]} failed"
    )
    if counts[undoing.UndoOutcome.failed]:
        raise typer.Exit(Exit.SOME_FAILED)


def settings() -> None:
    """Print the default settings, to begin your own with."""
    from earmark.library.settings import default_text

    print(default_text(), end="")


def _print_change(change: Change | UnwritableFile, *, written: bool, json: bool) -> None:
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
