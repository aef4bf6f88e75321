"""`earmark sweep`: runs of a recipe with several settings, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.options import FrameworkName, JsonLines, StorePlace
from earmark.cli.terminal import Exit, as_shown, print_json, say, show_table
from earmark.cli.training_bar import end_where_stopped, training_bar

if TYPE_CHECKING:
    from earmark.training import SweptRun


def add_commands(app: typer.Typer) -> None:
    """Mount `sweep`."""
    app.command("sweep")(sweep)


def sweep(
    recipes: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE...", help="TOML files, or names of earmark's own recipes."),
    ],
    store: StorePlace,
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the runs, by name."),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE,...",
            help="A key of the recipe and its values, or with --trials a range: "
            "optimiser.rate=0.001,0.003 or optimiser.rate=1e-4..1e-2; may be repeated.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Let Optuna choose the settings of so many runs; else all combinations."
        ),
    ] = None,
    framework: FrameworkName = "torch",
    json: JsonLines = False,
) -> None:
    """Train a network with several settings, and rank the runs.

    The same command goes on where it was stopped; what is finished is not trained again.
    """
    from earmark.training.waiting import wait_asleep

    wait_asleep()
    from earmark import training

    with training_bar() as watch:
        runs = training.sweep(
            recipes,
            store,
            folder=folder,
            settings=[training.read_setting(text) for text in settings or []],
            trials=trials,
            framework=framework,
            tell=say,
            watch=watch,
        )
    for run in runs:
        if run.result is not None:
            end_where_stopped(run.result, again="run the same command again to continue")
    if json:
        for run in runs:
            print_json(run.as_json())
    else:
        _print(runs)
    say(f"the runs, their table and their plot are in {folder}")
    failed = sum(run.result is None for run in runs)
    if failed:
        raise typer.Exit(Exit.ERROR if failed == len(runs) else Exit.SOME_FAILED)


def _print(runs: list[SweptRun]) -> None:
    from rich.table import Table

    table = Table(box=None)
    table.add_column("run", no_wrap=True)
    for name in ("epochs", "best", "macro ROC-AUC", "macro AP"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        one = run.result
        numbers = ["failed", "", "", ""]
        if one is not None:
            scores = (one.roc_auc, one.average_precision)
            cells = ["-" if score is None else f"{score:.4f}" for score in scores]
            numbers = [str(one.epochs), str(one.best_epoch or "-"), *cells]
        table.add_row(as_shown(run.name), *numbers)
    show_table(table)
