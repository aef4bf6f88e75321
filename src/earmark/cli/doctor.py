"""`earmark doctor`: what is installed, which runtime and model are used, and their speed."""

from __future__ import annotations

import typer

from earmark.cli.options import JsonObject, ModelName
from earmark.cli.terminal import print_json


def add_commands(app: typer.Typer) -> None:
    """Mount `doctor`."""
    app.command("doctor")(doctor)


def doctor(
    model: ModelName = None,
    json: JsonObject = False,
) -> None:
    """Show what is installed, which runtime and model are used, and how fast they are."""
    from earmark.doctor import diagnose

    found = diagnose(model)
    if json:
        print_json(found)
        return
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, inner in value.items():
                print(f"  {key:<24}{inner}")
        else:
            print(f"{name:<26}{value}")
