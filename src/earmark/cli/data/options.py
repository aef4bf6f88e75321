"""Options that several commands of `earmark data` share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SplitByName(StrEnum):
    """What stays whole when songs are split (earmark.data.catalog.splits)."""

    artist = "artist"
    song = "song"


class DTypeName(StrEnum):
    """How the numbers of a clip are stored (earmark.data.store.format)."""

    float16 = "float16"
    uint8 = "uint8"


CatalogFile = Annotated[Path, typer.Argument(help="A catalog of `earmark data catalog`.")]

# of `catalog msd|csv|jamendo|mtat`
NewCatalog = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The catalog.")]
TopTags = Annotated[
    int | None, typer.Option(min=1, help="Keep this many tags, the most frequent ones.")
]
MinSongs = Annotated[int, typer.Option(min=1, help="Keep the tags of at least so many songs.")]
SplitBy = Annotated[
    SplitByName | None,
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

# of `status`, `retry` and `rematch`
PreviewFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of `data previews`.")]

# of `shards`, `verify`, `export` and `import`
NewStore = Annotated[Path, typer.Option("--output", "-o", metavar="STORE", help="The store.")]
StoreFolder = Annotated[Path, typer.Argument(metavar="STORE", help="A folder of `data shards`.")]
DType = Annotated[
    DTypeName, typer.Option(help="float16, or uint8: half the size, within 0.16 dB of 80.")
]
