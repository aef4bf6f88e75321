"""`earmark curve`: how much better a network becomes with more songs to learn from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from earmark.cli.options import Changes, JsonLines, StorePlace
from earmark.cli.terminal import print_json, say, show, show_table
from earmark.cli.training_bar import end_where_stopped, training_bar
from earmark.errors import BadValue

_ALL = "all"


def add_commands(app: typer.Typer) -> None:
    """Mount `curve`."""
    app.command("curve")(curve)


def curve(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or one of earmark's own.")
    ],
    store: StorePlace,
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder for runs, models and plot."),
    ],
    songs: Annotated[
        str,
        typer.Option(metavar="N,N,...", help="Numbers of training songs, as in 100,200,400,all."),
    ],
    catalog: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The catalog, CSV or Parquet, that says of whom each song is: fewer songs are "
            "then fewer artists.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="The songs that measure.")] = "test",
    changes: Changes = None,
    json: JsonLines = False,
) -> None:
    """Train on more and more songs, and measure what they bring.

    Fewer songs are always a part of more. The same command goes on where it was stopped.
    """
    from earmark.training.waiting import wait_asleep

    wait_asleep()
    from earmark import training
    from earmark.evaluation.learning_curve import (
        check_split,
        learning_curve,
        score_model,
        write_curve,
    )
    from earmark.training.processes import check_alone

    check_alone("earmark curve")
    known = list(changes or [])
    if catalog is not None:
        known.append(f"data.artists={catalog}")
    most = training.n_songs(store, training.read_recipe(recipe, changes=known))
    sizes = _sizes(songs, most=most)
    check_split(store, split)

    def train(size: int) -> Path:
        model = folder / f"{size}.onnx"
        if model.exists():
            return model
        made = training.read_recipe(recipe, changes=[*known, f"data.songs={size}"])
        run = folder / f"{size}"
        say(f"{size} songs:")
        with training_bar() as watch:
            result = training.train(made, store, run, resume=True, tell=say, watch=watch)
        end_where_stopped(result, again="run the same command again to continue")
        training.export_run(run, model, terms=training.Terms(name=f"{made.name} {size}"))
        return model

    rows: list[dict[str, Any]] = []
    score = partial(score_model, store=store, split=split)
    for row in learning_curve(sizes, train=train, score=score):
        rows.append(row)
        write_curve(folder, rows)
        if json:
            print_json(row)
    if not json:
        _print(rows, split)
    say(f"the runs, their models, table and plot are in {folder}")


def _sizes(songs: str, *, most: int) -> list[int]:
    """The numbers of songs, ascending. Raises BadValue for those that cannot be."""
    sizes = set()
    for part in songs.split(","):
        text = part.strip().replace("_", "")
        if text != _ALL and not text.isdecimal():
            raise BadValue(
                f"--songs {songs!r}: {part.strip()!r} is not a number of songs. Write numbers and "
                f"{_ALL}, with commas between"
            )
        size = most if text == _ALL else int(text)
        if not 0 < size <= most:
            raise BadValue(
                f"--songs asks for {size} songs, and {most} can be learned from. Ask for 1 to "
                f"{most}, or for {_ALL}"
            )
        sizes.add(size)
    return sorted(sizes)


def _print(rows: list[dict[str, Any]], split: str) -> None:
    from rich.table import Table

    table = Table(box=None)
    for name in ("songs", "macro ROC-AUC", "by samples", "macro AP", "by samples"):
        table.add_column(name, justify="right", no_wrap=True)
    keys = (
        ("roc_auc", "ci"),
        ("samples_roc_auc", "samples_ci"),
        ("average_precision", "average_precision_ci"),
        ("samples_average_precision", "samples_average_precision_ci"),
    )
    for row in rows:
        table.add_row(str(row["songs"]), *(_cell(row[key], row[ci]) for key, ci in keys))
    show(f"measured on {rows[-1]['n_tracks']} songs of {split}, with 95 % intervals")
    show_table(table)


def _cell(value: float | None, ci: list[float | None]) -> str:
    if value is None or ci[0] is None or ci[1] is None:
        return "-"
    return f"{value:.3f} ({ci[0]:.3f} to {ci[1]:.3f})"
