"""`earmark data inspect`: what is in a catalog."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.options import JsonLines
from earmark.cli.terminal import print_json, show
from earmark.counted import counted

if TYPE_CHECKING:
    from earmark.data.catalog.catalog import Song
    from earmark.data.catalog.summary import CatalogSummary, TagCount


def add_commands(app: typer.Typer) -> None:
    """Mount `inspect`."""
    app.command("inspect")(inspect)


def inspect(
    catalog: Annotated[Path, typer.Argument(help="A catalog that `data catalog` made.")],
    song_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this song and its tags.")
    ] = None,
    json: JsonLines = False,
) -> None:
    """The splits, tags, counts and priors of a catalog, or the tags of one of its songs."""
    from earmark.data.catalog import read_catalog
    from earmark.data.catalog.summary import song_tags, summarise

    contents = read_catalog(catalog)
    if song_id is None:
        summary = summarise(contents)
        if json:
            print_json(dataclasses.asdict(summary))
        else:
            _print_summary(summary)
        return
    song = contents.song(song_id)
    tags = song_tags(contents, song)
    if json:
        shown = None if tags is None else [dataclasses.asdict(tag) for tag in tags]
        print_json(dataclasses.asdict(song) | {"tags": shown})
    else:
        _print_song(song, tags)


def _print_summary(summary: CatalogSummary) -> None:
    n_songs, n_artists = counted(summary.songs, "song"), counted(summary.artists, "artist")
    show(f"{n_songs}, {summary.labelled} of them labelled; {n_artists}")
    show(
        f"without artist {summary.without_artist}, without title {summary.without_title}, "
        f"without path {summary.without_path}"
    )
    show("", f"{'split':14}{'songs':>9}{'labelled':>10}")
    for split in summary.splits:
        show(f"{split.split or '(none)':14}{split.songs:9}{split.labelled:10}")
    show(
        "",
        f"{counted(summary.n_shared_artists, 'artist is', 'artists are')} in more than one split, "
        f"with {counted(summary.n_shared_songs, 'song')}",
    )
    for artist in summary.shared_artists:
        counts = ", ".join(f"{name or '(none)'} {n}" for name, n in artist.by_split.items())
        show(f"  {artist.artist}: {counts}")
    width = 2 + max((len(tag.tag) for tag in summary.tags), default=3)
    columns = "".join(f"{split.split or '(none)':>9}" for split in summary.splits)
    show("", f"{'tag':{width}}{'songs':>9}{'prior':>9}{columns}")
    for tag in summary.tags:
        counts = "".join(f"{n:9}" for n in tag.by_split.values())
        show(f"{tag.tag:{width}}{tag.songs:9}{_prior(tag):>9}{counts}")


def _print_song(song: Song, tags: list[TagCount] | None) -> None:
    for name in ("id", "artist", "title", "split", "path", "seconds"):
        value = getattr(song, name)
        show(f"{name:9}{'unknown' if value in ('', None) else value}")
    if not tags:
        show(f"{'tags':9}{'unknown' if tags is None else 'none'}")
    for tag in tags or ():
        show(f"{'tag':9}{tag.tag} ({counted(tag.songs, 'song')}, prior {_prior(tag)})")


def _prior(tag: TagCount) -> str:
    return "unknown" if tag.prior is None else f"{tag.prior:.4f}"
