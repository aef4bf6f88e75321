"""Options that several commands share, each declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from earmark.audio.find import Choice

ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A name of `earmark models list`, or a model file."),
]
STORE_HELP = "The store that `earmark data shards` made: a folder, or an address (s3://...)."
StorePlace = Annotated[str, typer.Option("--store", metavar="STORE", help=STORE_HELP)]
JsonLines = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
JsonObject = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; as many as there are cores by default.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change the recipe, as in optimiser.rate=0.003."
    ),
]
FrameworkName = Annotated[
    Literal["torch", "keras"],
    typer.Option("--framework", help="The library that computes; both write the same files."),
]
NoLimits = Annotated[
    bool,
    typer.Option(
        "--no-limits", help="Also hear a file that costs far too much for the music in it."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out files and folders below a folder, such as '*.live.*'; as often as needed.",
    ),
]
Longest = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", help="Leave out longer files below a folder."),
]
# as in earmark.ranking, earmark.tags and earmark.runtime, which load NumPy
Rank = Literal["score", "lift", "evidence"]
VocabularyName = Literal["all", "msd50"]
DeviceName = Literal["cpu", "cuda"]


def choice_of(exclude: list[str] | None, longest: float | None) -> Choice:
    """The files of folders that --exclude and --longest leave out."""
    from earmark.audio.find import Choice

    return Choice(tuple(exclude or ()), None if longest is None else longest * 60)
