"""`earmark probe`: what a frozen model's embeddings hold of the tags of a store."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from earmark.cli.evaluate import DrawsOfSongs, ReportFolder, ScoresFile, give
from earmark.cli.options import JsonObject, StorePlace
from earmark.cli.terminal import progress


def add_commands(app: typer.Typer) -> None:
    """Mount `probe`."""
    app.command("probe")(probe)


def probe(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file or name.")],
    store: StorePlace,
    train: Annotated[str, typer.Option(help="The split, or fold, that is learned from.")] = "train",
    valid: Annotated[
        str, typer.Option(help="The split that chooses how strongly it is held back.")
    ] = "valid",
    split: Annotated[str, typer.Option(help="The split that is measured.")] = "test",
    output: ReportFolder = None,
    scores: ScoresFile = None,
    json: JsonObject = False,
    replicates: DrawsOfSongs = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
) -> None:
    """Measure how well a model's embeddings tell the tags of a store.

    The tags may be any, and the model stays as it is: one logistic regression a tag learns from
    its embeddings.
    """
    from earmark import training, zoo
    from earmark.evaluation import ProbeOptions, probe_model
    from earmark.evaluation.score_table import check_name
    from earmark.metrics import REPLICATES

    if scores is not None:
        check_name(scores)
    options = ProbeOptions(
        train=train, valid=valid, test=split, replicates=replicates or REPLICATES, seed=seed
    )
    result, scored = probe_model(
        zoo.resolve(model), store, fit=training.linear_probe, options=options,
        command=shlex.join(sys.argv), stage=lambda words, total: progress(words, total=total),
    )  # fmt: skip
    give(result, [scored], report=output, scores=scores, json=json)
