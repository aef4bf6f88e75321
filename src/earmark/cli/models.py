"""`earmark models`: list the models, show one, fetch one, import weights."""

from __future__ import annotations

import shutil
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from earmark.cli.options import JsonLines
from earmark.cli.terminal import print_json, progress, say, show

models_app = typer.Typer(
    help="The models that earmark can use: list, info, pull, import.", no_args_is_help=True
)


def add_commands(app: typer.Typer) -> None:
    """Mount `models`."""
    app.add_typer(models_app, name="models")


class Kind(StrEnum):
    """Whose weights these are (earmark.published)."""

    choi2016 = "choi2016"
    cs2470 = "cs2470"
    won2020 = "won2020"
    musicnn = "musicnn"
    efficientat = "efficientat"


@models_app.command("list")
def list_models(json: JsonLines = False) -> None:
    """List the models that earmark knows by name."""
    from earmark import model_file, zoo

    shipped = model_file.read_card(zoo.model_path(zoo.SHIPPED))
    if json:
        print_json(_listed(zoo.SHIPPED, [], shipped.licence, 0, shipped.description))
    else:
        _print_row("name", "licence", "download", "here", "description")
        first = shipped.description.split(". ")[0]
        _print_row(zoo.SHIPPED, shipped.licence, "-", "yes", first)
    for name, weights in zoo.PUBLISHED.items():
        here = zoo.model_path(name).is_file()
        aliases = [alias for alias, meant in zoo.ALIASES.items() if meant == name]
        if json:
            print_json(_listed(name, aliases, weights.licence, weights.size, weights.description))
        else:
            also = f" (also: {', '.join(aliases)})" if aliases else ""
            size, words = f"{weights.size / 1e6:.1f} MB", weights.description + also
            _print_row(name, weights.licence, size, "yes" if here else "no", words)


def _listed(
    name: str, aliases: list[str], licence: str, size: int, description: str
) -> dict[str, Any]:
    """A line of the list; `size` is that of the download, in bytes."""
    from earmark import zoo

    path = zoo.model_path(name)
    here = path.is_file()
    return {
        "name": name,
        "aliases": aliases,
        "licence": licence,
        "bytes": size,
        "installed": here,
        "path": str(path) if here else None,
        "description": description,
    }


@models_app.command("info")
def info(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model's name or file.")],
    tags: Annotated[
        bool, typer.Option("--tags", help="A row for each tag: its reliability and prior.")
    ] = False,
    json: JsonLines = False,
) -> None:
    """Show a model file's card: its licence, training, figures and tags."""
    from earmark import files, model_file, zoo
    from earmark.cli.model_page import page

    path = zoo.resolve(model)
    card = model_file.read_card(path)
    facts: dict[str, Any] = {
        "path": str(path),
        "bytes": path.stat().st_size,
        "sha256": files.sha256(path),
    }
    if json:
        print_json(facts | card.to_dict())
    else:
        show(*page(card, facts, tags=tags, width=_width()))


@models_app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `earmark models list`.")],
    force: Annotated[
        bool, typer.Option("--force", help="Make the model file again, even if it exists.")
    ] = False,
) -> None:
    """Fetch published weights, make their model file and print its path."""
    from earmark import zoo

    weights = None if name == zoo.SHIPPED else zoo.PUBLISHED[zoo.canonical(name)]
    with progress(f"fetching {name}", total=weights.size if weights else 0) as advance:
        path = zoo.pull(name, force=force, progress=advance)
    if weights is None:
        say(f"{name} comes with this package")
    else:
        say(f"{name}, licence: {weights.licence}. Please cite {weights.citation}")
    show(path)


@models_app.command("import")
def import_weights(
    kind: Annotated[Kind, typer.Argument(help="Whose weights they are.")],
    weights: Annotated[
        Path,
        typer.Argument(
            help="The .h5, .pth or .pt file; of musicnn the wheel, or the folder of a checkpoint."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Its name in `earmark models list`, where several fit."),
    ] = None,
    as_published: Annotated[
        bool,
        typer.Option(
            "--as-published",
            help="Read choi2016 as its published scripts do, not as it was trained.",
        ),
    ] = False,
) -> None:
    """Make a model file from weights on this disk and print its path."""
    from earmark import published

    published.convert(kind.value, weights, output, name=name, as_published=as_published)
    show(output)


def _print_row(name: str, licence: str, download: str, here: str, words: str) -> None:
    start = f"{name:24}{licence:12}{download:9}{here:5}"
    wrapped = textwrap.wrap(words, max(20, _width() - len(start)))
    show(start + wrapped[0], *(" " * len(start) + line for line in wrapped[1:]))


def _width() -> int:
    return shutil.get_terminal_size().columns
