"""`earmark data catalog`: a catalog from a song list, its tags cut and its songs split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.data import inspect
from earmark.cli.data.options import (
    Audio,
    Fractions,
    MinSongs,
    NewCatalog,
    Seed,
    SplitBy,
    SplitByName,
    TopTags,
    Validation,
)
from earmark.cli.options import JsonLines
from earmark.cli.terminal import print_json, say
from earmark.counted import counted
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.data.catalog import CatalogOptions
    from earmark.data.catalog.import_report import ImportReport
    from earmark.data.catalog.summary import CatalogSummary

catalog_app = typer.Typer(
    help="Make a catalog: which songs there are, their names, tags and splits.",
    no_args_is_help=True,
)


def add_commands(app: typer.Typer) -> None:
    """Mount `catalog` and `inspect`."""
    app.add_typer(catalog_app, name="catalog")
    inspect.add_commands(app)


@catalog_app.command("msd")
def msd(
    output: NewCatalog,
    splits: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of {train,valid,test}_x_msd_id.txt and, where present, "
            "{train,valid,test}_y.npy.",
        ),
    ],
    tracks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="unique_tracks.txt; without it no song has a name."),
    ] = None,
    named_only: Annotated[
        bool, typer.Option("--named-only", help="Leave out songs without artist or title.")
    ] = False,
    top_tags: TopTags = None,
    min_songs: MinSongs = 1,
    split_by: SplitBy = None,
    fractions: Fractions = None,
    validation: Validation = None,
    seed: Seed = 0,
    json: JsonLines = False,
) -> None:
    """The Million Song Dataset, in the split of Choi et al."""
    from earmark.data.catalog import make_catalog, read_msd

    options = _options(
        top_tags=top_tags,
        min_songs=min_songs,
        split_by=split_by,
        fractions=fractions,
        validation=validation,
        seed=seed,
    )
    imported = read_msd(splits, tracks, named_only=named_only)
    summary = make_catalog(imported, output, options=options)
    _show(summary, imported.report, output, json=json)


@catalog_app.command("csv")
def csv(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="Its columns: id,path,tags,artist,split.")
    ],
    output: NewCatalog,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Column of tags; may be repeated; the column tags by default."
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", help="Column of the splits: train, valid, test or a fold number."
        ),
    ] = "split",
    separator: Annotated[str, typer.Option(help="What stands between the tags of a song.")] = "|",
    top_tags: TopTags = None,
    min_songs: MinSongs = 1,
    split_by: SplitBy = None,
    fractions: Fractions = None,
    validation: Validation = None,
    seed: Seed = 0,
    json: JsonLines = False,
) -> None:
    """A song list of your own; paths in it are relative to the file."""
    from earmark.data.catalog import make_catalog, read_csv

    options = _options(
        top_tags=top_tags,
        min_songs=min_songs,
        split_by=split_by,
        fractions=fractions,
        validation=validation,
        seed=seed,
    )
    imported = read_csv(path, tag_columns=tags, split_column=split, separator=separator)
    summary = make_catalog(imported, output, options=options)
    _show(summary, imported.report, output, json=json)


@catalog_app.command("jamendo")
def jamendo(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="autotagging*.tsv, or the folder of a split; *-train.tsv, *-validation.tsv and "
            "*-test.tsv are splits.",
        ),
    ],
    output: NewCatalog,
    subset: Annotated[
        str | None, typer.Option(help="Which files of a folder, such as autotagging_top50tags.")
    ] = None,
    audio: Audio = None,
    meta: Annotated[
        Path | None, typer.Option(metavar="FILE", help="raw.meta.tsv: names of artists and titles.")
    ] = None,
    top_tags: TopTags = None,
    min_songs: MinSongs = 1,
    split_by: SplitBy = None,
    fractions: Fractions = None,
    validation: Validation = None,
    seed: Seed = 0,
    json: JsonLines = False,
) -> None:
    """MTG-Jamendo's autotagging lists."""
    from earmark.data.catalog import make_catalog, read_jamendo

    options = _options(
        top_tags=top_tags,
        min_songs=min_songs,
        split_by=split_by,
        fractions=fractions,
        validation=validation,
        seed=seed,
    )
    imported = read_jamendo(paths, subset=subset, audio=audio, meta=meta)
    summary = make_catalog(imported, output, options=options)
    _show(summary, imported.report, output, json=json)


@catalog_app.command("mtat")
def mtat(
    annotations: Annotated[Path, typer.Argument(metavar="FILE", help="annotations_final.csv")],
    output: NewCatalog,
    info: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="clip_info_final.csv: names of artists and titles."),
    ] = None,
    audio: Audio = None,
    top_tags: TopTags = None,
    min_songs: MinSongs = 1,
    split_by: SplitBy = None,
    fractions: Fractions = None,
    validation: Validation = None,
    seed: Seed = 0,
    json: JsonLines = False,
) -> None:
    """MagnaTagATune; folders 0-b train, c valid, d-f test. The field keeps --top-tags 50."""
    from earmark.data.catalog import make_catalog, read_mtat

    options = _options(
        top_tags=top_tags,
        min_songs=min_songs,
        split_by=split_by,
        fractions=fractions,
        validation=validation,
        seed=seed,
    )
    imported = read_mtat(annotations, info=info, audio=audio)
    summary = make_catalog(imported, output, options=options)
    _show(summary, imported.report, output, json=json)


def _options(
    *,
    top_tags: int | None,
    min_songs: int,
    split_by: SplitByName | None,
    fractions: str | None,
    validation: float | None,
    seed: int,
) -> CatalogOptions:
    from earmark.data.catalog import CatalogOptions

    if fractions is not None and (split_by is None or validation is not None):
        raise typer.BadParameter("--fractions goes with --split-by, and not with --validation")
    return CatalogOptions(
        top_tags=top_tags,
        min_songs=min_songs,
        split_by=None if split_by is None else split_by.value,
        fractions=None if fractions is None else _numbers(fractions),
        validation=validation,
        seed=seed,
    )


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadValue(f"{text!r} should be numbers between commas, such as 0.8,0.1,0.1") from None


def _show(summary: CatalogSummary, report: ImportReport, output: Path, *, json: bool) -> None:
    """What is in the new catalog, and what was wrong with the list."""
    if json:
        print_json(
            {
                "catalog": str(output),
                "songs": summary.songs,
                "labelled": summary.labelled,
                "tags": len(summary.tags),
                "splits": {split.split: split.songs for split in summary.splits},
                "findings": report.as_json(),
            }
        )
    say(f"{output}: {counted(summary.songs, 'song')}, {summary.labelled} of them labelled")
    splits = ", ".join(f"{split.split or 'none'} {split.songs}" for split in summary.splits)
    say(f"{counted(len(summary.tags), 'tag')}; songs by split: {splits or 'none'}")
    if summary.n_shared_artists:
        artists = counted(summary.n_shared_artists, "artist has", "artists have")
        say(f"{artists} songs in more than one split")
    for issue in report.issues.values():
        if issue.count:
            more = ", ..." if issue.count > len(issue.examples) else ""
            say(f"{issue.count} {issue.meaning} ({', '.join(issue.examples)}{more})")
    if not summary.tags:
        say("warning: no song has a tag, so this catalog can neither train nor evaluate a model")
        unused = report.issues.get("columns_not_used")
        if unused is not None and unused.count:
            say(f"tags in another column? Name it with --tags: {', '.join(unused.examples)}")
