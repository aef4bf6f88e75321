"""`earmark evaluate`: a model file, or two, on songs whose tags are known."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.options import STORE_HELP, JsonObject, Workers
from earmark.cli.terminal import Exit, as_shown, print_json, progress, say, show, show_table
from earmark.counted import counted
from earmark.errors import BadValue

if TYPE_CHECKING:
    from rich.table import Table

    from earmark.evaluation import ScoredSongs

ReportFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Folder for report.html and report.json."),
]
ScoresFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The scores of each song, as .parquet or .csv.")
]
DrawsOfSongs = Annotated[
    int | None, typer.Option(min=2, help="Bootstrap draws for the intervals; 1000 by default.")
]
_NAMES = 20  # of tags in a line on the terminal; the JSON holds all


def add_commands(app: typer.Typer) -> None:
    """Mount `evaluate`."""
    app.command("evaluate")(evaluate)


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL [OTHER]",
            help="A model file or name; a second one is compared with it on the same songs.",
        ),
    ],
    store: Annotated[str | None, typer.Option(metavar="STORE", help=STORE_HELP)] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Instead of a store: audio, listed in a CSV file or a catalog."
        ),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder that the paths of a catalog of `earmark data` start at."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, valid, test, a fold number, or all for every song.")
    ] = "test",
    same: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA_TAG=MODEL_TAG", help="Two names of one tag; may be repeated."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Hear all of each file, not only the middle.")
    ] = False,
    distorted: Annotated[
        bool,
        typer.Option("--robustness", help="Hear the catalog's audio distorted too."),
    ] = False,
    output: ReportFolder = None,
    scores: ScoresFile = None,
    json: JsonObject = False,
    replicates: DrawsOfSongs = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws and of added noise.")] = 0,
    workers: Workers = None,
) -> None:
    """Measure how well a model's scores agree with known tags.

    Macro is a mean over tags, micro over all pairs of song and tag, samples over songs.
    """
    from earmark import zoo
    from earmark.evaluation import (
        EvaluationOptions,
        EvaluationSongs,
        evaluate_models,
    )
    from earmark.evaluation.score_table import check_name
    from earmark.metrics import REPLICATES

    if scores is not None:
        check_name(scores)
    result, scored = evaluate_models(
        [zoo.resolve(model) for model in models],
        EvaluationSongs(store=store, catalog=catalog, audio=audio, split=split),
        options=EvaluationOptions(
            same=_pairs(same or []),
            whole=whole,
            distorted=distorted,
            replicates=replicates or REPLICATES,
            seed=seed,
            workers=workers,
        ),
        command=shlex.join(sys.argv),
        stage=lambda words, total: progress(words, total=total),
    )
    give(result, scored, report=output, scores=scores, json=json)
    failures = [failure for one in scored for failure in one.failures]
    for failure in failures:
        say(f"error: {failure.error}")
    if failures:
        raise typer.Exit(Exit.SOME_FAILED)


def give(
    result: dict[str, Any],
    scored: Sequence[ScoredSongs],
    *,
    report: Path | None,
    scores: Path | None,
    json: bool,
) -> None:
    """Write the files that were asked for, and print the result as JSON or as tables."""
    from earmark.evaluation import write_report, write_scores
    from earmark.evaluation.report import PAGE

    if report is not None:
        write_report(report, result, scored)
        say(f"the report is {report / PAGE}")
    if scores is not None:
        write_scores(scores, scored)
        say(f"the scores of each song are in {scores}")
    if json:
        print_json(result)
    else:
        _print(result)


def _pairs(same: list[str]) -> dict[str, str]:
    """{tag in the data: tag in the model}"""
    pairs = [pair.partition("=") for pair in same]
    for pair, (data, equals, model) in zip(same, pairs, strict=True):
        if not (data and equals and model):
            raise BadValue(f"--same {pair!r} does not name two tags; write DATA_TAG=MODEL_TAG")
    return {data: model for data, _, model in pairs}


def _print(result: dict[str, Any]) -> None:
    from earmark.evaluation.report import few_words

    if "difference" in result:
        for name, one in (("A", result["a"]), ("B", result["b"])):
            show(f"{name} = {one['model']}  {one['model_file']}")
            show_table(_summary(one))
        show("B - A, on the same draws of songs")
        show_table(_differences(result["difference"]))
        return
    show(
        f"{result['model']} on {result['n_tracks']} songs of {result['split']}, "
        f"{result['n_tags']} tags"
    )
    show_table(_summary(result))
    show_table(_tags(result))
    if few := result["tags_with_few_songs"]:
        show(f"grey, at the end: {few_words(len(few), result['n_tags'])}")
    for words, key in (
        ("left out, because all songs carry them or none does", "skipped_tags"),
        ("not in the data", "tags_only_in_model"),
        ("not in the model", "tags_only_in_data"),
    ):
        if names := result[key]:
            more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
            show(f"{words}: {', '.join(names[:_NAMES])}{more}")
    if result["n_unlabelled"]:
        noun = "song without known tags was", "songs without known tags were"
        show(f"{counted(result['n_unlabelled'], *noun)} left out")
    if "robustness" in result:
        show_table(_robustness(result["robustness"]))


def _summary(result: dict[str, Any]) -> Table:
    table = _table("mean", "ROC-AUC", "95 %", "AP", "95 %", "priors alone")
    for average, key in (("macro", "ci"), ("micro", "micro_ci"), ("samples", "samples_ci")):
        cells = [average]
        for name in ("roc_auc", "average_precision"):
            cells += [_number(result[name][average]), _ends(result[name][key])]
        table.add_row(*cells, _number(result["nothing_heard"]["roc_auc"][average]))
    return table


def _tags(result: dict[str, Any]) -> Table:
    from earmark.evaluation.report import by_tag

    table = _table("tag", "songs", "ROC-AUC", "95 %", "AP", "95 %")
    for row, few in by_tag(result):
        numbers = [_number(row["roc_auc"]), _ends(row["ci"])]
        numbers += [_number(row["average_precision"]), _ends(row["average_precision_ci"])]
        style = "dim" if few else None
        table.add_row(as_shown(row["tag"]), str(row["positives"]), *numbers, style=style)
    return table


def _differences(difference: dict[str, Any]) -> Table:
    table = _table("mean", "ROC-AUC", "95 %", "AP", "95 %")
    for average in ("macro", "micro", "samples"):
        cells = [average]
        for name in ("roc_auc", "average_precision"):
            one = difference[name][average]
            cells += [_number(one["difference"], sign=True), _ends(one["ci"], sign=True)]
        table.add_row(*cells)
    return table


def _robustness(conditions: list[dict[str, Any]]) -> Table:
    table = _table("heard through", "mean score difference", "ROC-AUC", "macro AP")
    for one in conditions:
        table.add_row(
            as_shown(one["condition"]),
            _number(one["score_difference"]),
            _number(one["roc_auc"]),
            _number(one["average_precision"]),
        )
    return table


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float | None, *, sign: bool = False) -> str:
    return "-" if value is None else f"{value:+.4f}" if sign else f"{value:.4f}"


def _ends(ci: list[float | None], *, sign: bool = False) -> str:
    return " to ".join(_number(end, sign=sign) for end in ci)
