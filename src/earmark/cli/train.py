"""`earmark train` and `earmark export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.options import Changes, FrameworkName, StorePlace
from earmark.cli.terminal import print_json, say, show
from earmark.cli.training_bar import end_where_stopped, training_bar
from earmark.errors import BadValue


def add_commands(app: typer.Typer) -> None:
    """Mount `train` and `export`."""
    app.command("train")(train)
    app.command("export")(export)


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="A TOML file, or one of earmark's own: choi2016, finetune, ..."
        ),
    ],
    store: StorePlace,
    run: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUN", help="Folder for weights and records.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in that folder, if there is one.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Epochs in all, instead of the recipe's; more than a finished run had, and with "
            "--resume it goes on.",
        ),
    ] = None,
    changes: Changes = None,
    framework: FrameworkName = "torch",
    json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Train a network. With several GPUs: torchrun --nproc-per-node N -m earmark train ..."""
    from earmark.training.waiting import wait_asleep

    wait_asleep()
    from earmark import training

    more = [] if epochs is None else [f"loop.epochs={epochs}"]
    made = training.read_recipe(recipe, changes=[*(changes or []), *more])
    with training_bar() as watch:
        result = training.train(
            made, store, run, framework=framework, resume=resume, tell=say, watch=watch
        )
    end_where_stopped(result, again="run it again with --resume to continue")
    if not result.first_process:
        return
    if json:
        print_json(result.as_json())
    else:
        scores = [
            f"{name} {value:.4f}"
            for name, value in (
                ("macro ROC-AUC", result.roc_auc),
                ("macro AP", result.average_precision),
            )
            if value is not None
        ]
        scores_text = f" (validation {', '.join(scores)})" if scores else ""
        show(f"{run}: {result.epochs} epochs, best {result.best_epoch}{scores_text}")


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a run; with --waveform also a name of `earmark models list` or a model "
            "file.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The .onnx file; or .keras, for use in Keras."
        ),
    ],
    waveform: Annotated[
        bool,
        typer.Option(
            "--waveform",
            help="Write a graph that takes samples and gives scores, for use outside earmark.",
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The name of the model; that of its recipe by default.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="The licence of the model, as others will read it in its card."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="A line about the model.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The model's card as JSON.")] = False,
) -> None:
    """Write a run as a model file, or any model as a graph that takes samples.

    A run's best weights are written, and --name, --licence and --description fill in its card.
    """
    from earmark import zoo

    given = {"name": name, "licence": licence, "description": description}
    terms = {key: value for key, value in given.items() if value is not None}
    is_model = waveform or Path(source).is_file() or source in zoo.names()
    if Path(source).is_dir() or not is_model:
        from earmark.training import Terms, export_run

        card = export_run(source, output, terms=Terms(**terms), waveform=waveform)
        difference = card.training["largest_difference_to_torch"]
        compared = f", within {difference:.0e} of torch"
    else:
        from earmark.graph.waveform import write_waveform

        model = zoo.resolve(source)
        if not waveform or terms:
            raise BadValue(
                f"{source} is not the folder of a run but a model, which has its file and its card "
                "already: with --waveform it becomes a graph that takes samples, and no other "
                "option fits"
            )
        card, compared = write_waveform(model, output), ""
    if json:
        print_json(card.to_dict())
    else:
        show(f"{output}: {card.name}, {len(card.tags)} tags{compared}")
