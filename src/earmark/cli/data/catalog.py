"""`earmark data catalog`: catalogs of song lists, with tags cut and splits made as asked."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earmark.cli.data import inspect
from earmark.cli.terminal import print_json, say
from earmark.errors import BadValue

if TYPE_CHECKING:
    from earmark.data.catalog.import_report import Reading
    from earmark.data.catalog.summary import Summary

catalog_app = typer.Typer(
    help="Make a catalog: which songs there are, their names, tags and splits.",
    no_args_is_help=True,
)


class By(StrEnum):
    """What stays whole when songs are split (earmark.data.catalog.splits)."""

    artist = "artist"
    song = "song"


Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The catalog.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
TopTags = Annotated[
    int | None, typer.Option(min=1, help="Keep this many tags, the most frequent ones.")
]
MinSongs = Annotated[int, typer.Option(min=1, help="Keep the tags of at least so many songs.")]
SplitBy = Annotated[
    By | None,
    typer.Option(help="Split anew: by artist (none in two splits), or by song (at random)."),
]
Fractions = Annotated[
    str | None,
    typer.Option(
        metavar="TRAIN,VALID,TEST",
        help="Sizes of the splits that --split-by makes; 0.8,0.1,0.1 by default.",
    ),
]
Validation = Annotated[
    float | None,
    typer.Option(
        help="Leave the test songs alone and make this share of the others valid, the rest train "
        "(0.06 is the report's 94:6); by song, or as --split-by says."
    ),
]
Seed = Annotated[int, typer.Option(help="Of the split; the same seed gives the same split.")]
Audio = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder that the paths of the list are relative to."),
]


def add_commands(app: typer.Typer) -> None:
    """Mount `catalog` and `inspect`."""
    app.add_typer(catalog_app, name="catalog")
    inspect.add_commands(app)


@catalog_app.command("msd")
def msd(
    output: Output,
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
    json: Json = False,
) -> None:
    """The Million Song Dataset, in the split of Choi et al."""
    from earmark.data.catalog.from_msd import read_msd

    choice = _Choice(top_tags, min_songs, split_by, fractions, validation, seed)
    _finish(read_msd(splits, tracks, named_only=named_only), output, choice, json=json)


@catalog_app.command("csv")
def csv(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="id,path,tags,artist,split")],
    output: Output,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Column of tags; may be given again; the column tags by default."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of train, valid, test or a fold number.")
    ] = "split",
    separator: Annotated[str, typer.Option(help="What stands between the tags of a song.")] = "|",
    top_tags: TopTags = None,
    min_songs: MinSongs = 1,
    split_by: SplitBy = None,
    fractions: Fractions = None,
    validation: Validation = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """A song list of your own; paths in it are relative to the file."""
    from earmark.data.catalog.from_csv import TAG_COLUMNS, read_csv

    choice = _Choice(top_tags, min_songs, split_by, fractions, validation, seed)
    reading = read_csv(
        path, tag_columns=tags or TAG_COLUMNS, split_column=split, separator=separator
    )
    _finish(reading, output, choice, json=json)


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
    output: Output,
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
    json: Json = False,
) -> None:
    """MTG-Jamendo's autotagging lists."""
    from earmark.data.catalog.from_jamendo import read_jamendo

    choice = _Choice(top_tags, min_songs, split_by, fractions, validation, seed)
    reading = read_jamendo(paths, subset=subset, audio=audio, meta=meta)
    _finish(reading, output, choice, json=json)


@catalog_app.command("mtat")
def mtat(
    annotations: Annotated[Path, typer.Argument(metavar="FILE", help="annotations_final.csv")],
    output: Output,
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
    json: Json = False,
) -> None:
    """MagnaTagATune; folders 0-b train, c valid, d-f test. The field keeps --top-tags 50."""
    from earmark.data.catalog.from_mtat import read_mtat

    choice = _Choice(top_tags, min_songs, split_by, fractions, validation, seed)
    _finish(read_mtat(annotations, info=info, audio=audio), output, choice, json=json)


@dataclasses.dataclass(frozen=True)
class _Choice:
    """The options that all kinds of catalog share."""

    top_tags: int | None
    min_songs: int
    split_by: By | None
    fractions: str | None
    validation: float | None
    seed: int

    def __post_init__(self) -> None:
        if self.fractions is not None and (self.split_by is None or self.validation is not None):
            raise typer.BadParameter("--fractions goes with --split-by, and not with --validation")

    @property
    def by(self) -> Literal["artist", "song"]:
        return "artist" if self.split_by is By.artist else "song"


def _finish(reading: Reading, output: Path, choice: _Choice, *, json: bool) -> None:
    """Cut the tags and split as asked, write the catalog, and say what is in it."""
    from earmark.data.catalog.catalog import write_catalog
    from earmark.data.catalog.splits import FRACTIONS, split_songs, split_validation
    from earmark.data.catalog.summary import summarise
    from earmark.data.catalog.vocabulary import keep_tags

    catalog = reading.catalog
    if choice.top_tags is not None or choice.min_songs > 1:
        catalog = keep_tags(catalog, top=choice.top_tags, min_songs=choice.min_songs)
    if choice.validation is not None:
        catalog = split_validation(
            catalog, by=choice.by, fraction=choice.validation, seed=choice.seed
        )
    elif choice.split_by is not None:
        fractions = FRACTIONS if choice.fractions is None else _numbers(choice.fractions)
        catalog = split_songs(catalog, by=choice.by, fractions=fractions, seed=choice.seed)
    write_catalog(catalog, output)
    summary = summarise(catalog)
    if json:
        print_json(
            {
                "catalog": str(output),
                "songs": summary.songs,
                "labelled": summary.labelled,
                "tags": len(summary.tags),
                "splits": {split.split: split.songs for split in summary.splits},
                "findings": reading.report.as_json(),
            }
        )
    say(f"{output}: {summary.songs} songs, {summary.labelled} of them labelled")
    _say_splits(summary)
    for finding in reading.report.findings.values():
        if finding.count:
            more = ", ..." if finding.count > len(finding.examples) else ""
            say(f"{finding.count} {finding.meaning} ({', '.join(finding.examples)}{more})")
    if not summary.tags:
        say("warning: no song has a tag: nothing can be learned from this, nor measured on it")
        unused = reading.report.findings.get("columns_not_used")
        if unused is not None and unused.count:
            say(f"tags in another column? Name it with --tags: {', '.join(unused.examples)}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadValue(f"{text!r} should be numbers between commas, such as 0.8,0.1,0.1") from None


def _say_splits(summary: Summary) -> None:
    splits = ", ".join(f"{split.split or 'none'} {split.songs}" for split in summary.splits)
    say(f"{len(summary.tags)} tags; songs by split: {splits or 'none'}")
    if summary.n_shared_artists:
        say(f"{summary.n_shared_artists} artists have songs in more than one split")
