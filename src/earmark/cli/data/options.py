"""Options that several commands of `earmark data` share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.options import STORE_HELP


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
MinSongs = Annotated[
    int, typer.Option(min=1, help="Keep only tags that at least this many songs have.")
]
SplitBy = Annotated[
    SplitByName | None,
    typer.Option(help="Make new splits: by artist (none in two splits), or by song."),
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
Seed = Annotated[int, typer.Option(help="The same seed gives the same split.")]
Audio = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder that the paths of the list are relative to."),
]

# of `status`, `retry` and `rematch`
PreviewFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of `data previews`.")]

# of `shards`, `verify`, `export` and `import`
NewStore = Annotated[
    Path, typer.Option("--output", "-o", metavar="STORE", help="Folder of the store.")
]
GivenStore = Annotated[str, typer.Argument(metavar="STORE", help=STORE_HELP)]
DType = Annotated[
    DTypeName,
    typer.Option(help="float16; or uint8, which is half as large and 0.16 dB off at most."),
]
