"""`earmark data shards | verify | export | import`: stores of spectrograms."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.data.options import (
    CatalogFile,
    DType,
    DTypeName,
    GivenStore,
    NewStore,
    Seed,
    SplitByName,
)
from earmark.cli.options import JsonLines, NoLimits, Workers
from earmark.cli.terminal import Exit, print_json, progress, say, show
from earmark.counted import counted

if TYPE_CHECKING:
    from earmark.data.store.reader import FailedSong

SHOWN = 10  # failures that are shown to a person; --json shows all
NO_AUDIO = "no_audio"


class Exchange(StrEnum):
    """Formats that other software reads (earmark.data.store.exporting)."""

    webdataset = "webdataset"
    numpy = "numpy"


def add_commands(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command("shards")(shards)
    app.command("verify")(verify)
    app.command("export")(export)
    app.command("import")(import_)


def shards(
    catalog: CatalogFile,
    output: NewStore,
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of <id>.<suffix> or `data previews`; else the catalog's paths.",
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(metavar="NAME", help="choi2016, cs2470, won2020, musicnn or efficientat."),
    ] = "choi2016",
    dtype: DType = DTypeName.float16,
    workers: Workers = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Work on a Ray cluster: auto, HOST:PORT, or local for Ray on this machine.",
        ),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Make the shards with failures again.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Make the shards again that `data verify` finds damaged."),
    ] = False,
    clips_per_shard: Annotated[
        int, typer.Option(min=1, help="Songs in one shard: the most that a killed run loses.")
    ] = 1000,
    no_limits: NoLimits = False,
    json: JsonLines = False,
) -> None:
    """Make spectrograms of a catalog's audio, or go on making them after a stop."""
    from earmark.data.catalog import read_catalog
    from earmark.data.store import StoreFormat, open_store, write_shards
    from earmark.features import preset

    songs = read_catalog(catalog)
    store_format = StoreFormat(preset(features), dtype.value, clips_per_shard)
    with progress("spectrograms", total=len(songs)) as advance:
        index = write_shards(
            songs,
            output,
            store_format=store_format,
            audio=audio,
            workers=workers,
            ray=ray,
            retry=retry,
            limits=not no_limits,
            repair=repair,
            progress=advance,
        )
    with open_store(output, resident=False) as store:
        failed = [failure for failure in store.failures if failure.kind != NO_AUDIO]
        _show_failures(list(store.failures), json=json)
    without = len(store.failures) - len(failed)
    if json:
        print_json(
            {
                "store": str(output),
                "songs": index.n_songs,
                "clips": index.n_clips,
                "failures": index.failures,
                "shards": len(index.shards),
            }
        )
    say(
        f"{output}: {counted(index.n_clips, 'clip')} in {counted(len(index.shards), 'shard')}; "
        f"{counted(without, 'song has', 'songs have')} no audio file, "
        f"{counted(len(failed), 'file')} could not be used"
    )
    if index.failures and not retry:
        say("once the files are there or repaired, run this again with --retry")
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)


def verify(store: GivenStore, workers: Workers = None, json: JsonLines = False) -> None:
    """Look at every clip of a store, and name what is damaged, missing or foreign."""
    from earmark.data.store import read_index, verify_store
    from earmark.remote import place_of

    problems = verify_store(store, workers=workers)
    for problem in problems:
        if json:
            print_json({"file": problem.file, "problem": problem.problem})
        else:
            show(f"{problem.file}: {problem.problem}")
    if problems:
        say(
            f"{store}: {counted(len(problems), 'problem')}. To mend it, run `earmark data shards` "
            "as when it was made, with --repair"
        )
        raise typer.Exit(Exit.ERROR)
    index = read_index(place_of(store))
    say(
        f"{store}: {counted(index.n_clips, 'clip')} in {counted(len(index.shards), 'shard')}, all "
        f"well; {counted(index.n_songs - index.n_clips, 'song has', 'songs have')} no clip"
    )


def export(
    store: GivenStore,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")],
    to: Annotated[Exchange, typer.Option(help="WebDataset tars, or NumPy pairs.")],
    split: Annotated[str | None, typer.Option(help="Only the songs of this split.")] = None,
) -> None:
    """Write a store's clips and labels in a format that others read."""
    from earmark.data.store import open_store, write_numpy, write_tars

    write = write_tars if to is Exchange.webdataset else write_numpy
    with open_store(store, resident=False) as opened:
        files = write(opened, output, split=split)
    for file in files:
        show(file)


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Tars or pairs of `data export`.")],
    output: NewStore,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Features of the spectrograms, where DIR does not name them."
        ),
    ] = None,
    dtype: DType = DTypeName.float16,
    validation: Annotated[
        float, typer.Option(metavar="SHARE", help="Draw splits: this share becomes valid.")
    ] = 0.0,
    test: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Draw splits: this share becomes test; without it test songs stay where they are.",
        ),
    ] = None,
    split_by: Annotated[
        SplitByName, typer.Option(help="Draw splits by song, or by artist where DIR names artists.")
    ] = SplitByName.song,
    seed: Seed = 0,
) -> None:
    """Make a store of spectrograms that were exported, or made elsewhere."""
    from earmark.data.store import NewSplits, import_store, open_store

    draw = bool(validation) or test is not None
    splits = NewSplits(validation, test, split_by.value, seed) if draw else None
    index = import_store(folder, output, features=features, dtype=dtype.value, splits=splits)
    n_clips, n_shards = counted(index.n_clips, "clip"), counted(len(index.shards), "shard")
    say(f"{output}: {n_clips} in {n_shards}")
    with open_store(output, resident=False) as store:
        if not any(store.splits):
            say(
                "no clip has a split, which training needs: --validation 0.06 --test 0.1 draws them"
            )


def _show_failures(failures: list[FailedSong], *, json: bool) -> None:
    if json:
        for failure in failures:
            error = {"kind": failure.kind, "message": failure.reason}
            print_json({"path": failure.source, "id": failure.id, "error": error})
        return
    failed = [failure for failure in failures if failure.kind != NO_AUDIO]
    for failure in failed[:SHOWN]:
        say(f"error: {failure.source}: {failure.reason}")
    if len(failed) > SHOWN:
        say(f"and {len(failed) - SHOWN} more; --json shows all")
