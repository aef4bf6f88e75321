"""`earmark doctor`: what is installed, which runtime and model are used, and their speed."""

from __future__ import annotations

import typer

from earmark.cli.options import JsonObject, ModelName
from earmark.cli.terminal import print_json, show


def add_commands(app: typer.Typer) -> None:
    """Mount `doctor`."""
    app.command("doctor")(doctor)


def doctor(
    model: ModelName = None,
    json: JsonObject = False,
) -> None:
    """Show what is installed and in use, how fast it is, and what to do about the rest."""
    from earmark.doctor import diagnose
    from earmark.library.database import library_path

    found = diagnose(model, library=library_path())
    if json:
        print_json(found)
        return
    advice = found.pop("advice")
    for name, value in found.items():
        if isinstance(value, dict):
            show(f"{name}:", *(f"  {key:<24}{inner}" for key, inner in value.items()))
        else:
            show(f"{name:<26}{value}")
    show("")
    for line in advice:
        show(f"{line['verdict']:<9}{line['about']:<17}{line['message']}")
