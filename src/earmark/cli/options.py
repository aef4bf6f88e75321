"""Options that several commands share, each declared once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A name of `earmark models list`, or a model file."),
]
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
# as in earmark.ranking and earmark.tags, which load NumPy
Rank = Literal["score", "lift", "evidence"]
VocabularyName = Literal["all", "msd50"]
