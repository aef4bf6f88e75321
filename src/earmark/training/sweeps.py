"""A sweep: runs that differ in some settings: every combination of them, or those Optuna chooses.

FOLDER/NAME/        each run, named after its recipe and settings
FOLDER/sweep.csv    one row a run, the best first
FOLDER/sweep.png    the same, drawn

A sweep that was killed goes on: finished runs are read, not trained again. A run depends on its
recipe and store only, so Optuna is told the same results again, and asks for the same settings.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.errors import BadValue, EarmarkError, MissingExtra
from earmark.folder_lock import only_run_in
from earmark.training.loop import Framework, Result, train
from earmark.training.processes import check_alone
from earmark.training.recipe import Recipe, read_recipe
from earmark.training.speed import Moment
from earmark.training.sweep_files import draw_sweep, write_table

_LOGARITHMIC = 10  # times as much: a range as wide is drawn from evenly in its logarithm


@dataclass(frozen=True)
class Setting:
    """A key of the recipe, and what the runs set it to.

    values : as text, as `--set` takes them; empty for a range
    low, high : of a range, which Optuna draws from
    """

    key: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class SweptRun:
    """One run of a sweep, finished or failed.

    settings : those that the runs differ in, as text
    result : None where the run has failed; error : why
    """

    name: str
    settings: Mapping[str, str]
    result: Result | None
    error: str | None = None

    @property
    def roc_auc(self) -> float | None:
        """Macro, of the validation songs; None where the run failed, or did not validate."""
        return None if self.result is None else self.result.roc_auc

    def as_json(self) -> dict[str, Any]:
        """The run as a program reads it."""
        result = {} if self.result is None else self.result.as_json()
        keys = ("epochs", "best_epoch", "roc_auc", "average_precision")
        return {
            "name": self.name,
            "settings": dict(self.settings),
            **{key: result.get(key) for key in keys},
            "error": self.error,
        }


@dataclass(frozen=True)
class _Planned:
    name: str
    recipe: Recipe
    settings: Mapping[str, str]


_Plan = Generator[_Planned, SweptRun, None]  # is sent each run when it is done


def read_setting(text: str) -> Setting:
    """A setting from "key=a,b,c" or, for Optuna, "key=low..high".

    Commas between brackets belong to a value. Raises BadValue.
    """
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not key or not values:
        raise BadValue(
            f"cannot read the setting {text!r}. Write KEY=VALUE,VALUE, as in "
            "optimiser.rate=0.001,0.003, or KEY=LOW..HIGH with --trials"
        )
    low, dots, high = values.partition("..")
    if dots:
        try:
            setting = Setting(key, low=float(low), high=float(high))
        except ValueError as error:
            raise BadValue(
                f"cannot read the range {text!r}. Write two numbers, as in "
                "optimiser.rate=1e-4..1e-2"
            ) from error
        if not setting.low < setting.high:
            raise BadValue(f"the range {text!r} must go from a lower to a higher number")
        return setting
    found = tuple(part.strip() for part in _between_commas(values))
    if "" in found or len(set(found)) != len(found):
        raise BadValue(f"the setting {text!r} has an empty value, or one twice. Name each once")
    return Setting(key, found)


def _between_commas(text: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def sweep(
    recipes: Sequence[str],
    store: str | Path,
    *,
    folder: str | Path,
    settings: Sequence[Setting] = (),
    trials: int | None = None,
    framework: Framework = "torch",
    tell: Callable[[str], object] = lambda _: None,
    watch: Callable[[Moment], object] = lambda _: None,
) -> list[SweptRun]:
    """Train all runs, one after the other, into `folder`; returns them, the best first.

    trials : let Optuna choose the settings of so many runs; None trains every combination
    tell, watch : as of `train`

    A run that fails is a row of its own, and the others go on. A signal that stops a run stops the
    sweep: the last result then says `stopped_by`, and the same call goes on.
    Raises BadRecipe, BadValue, MissingExtra and FolderInUse.
    """
    check_alone("earmark sweep")
    folder = Path(folder)
    plan = _combinations(recipes, settings) if trials is None else _drawn(recipes, settings, trials)
    done: dict[str, SweptRun] = {}

    def run_of(planned: _Planned) -> SweptRun:
        tell(f"run {len(done) + 1}: {planned.name}")
        try:
            result = train(
                planned.recipe,
                store,
                folder / planned.name,
                framework=framework,
                resume=True,
                tell=tell,
                watch=watch,
            )
        except EarmarkError as error:
            tell(f"error: {planned.name}: {error}")
            return SweptRun(planned.name, planned.settings, None, str(error))
        return SweptRun(planned.name, planned.settings, result)

    with only_run_in(folder):
        planned = next(plan, None)
        while planned is not None:
            is_new = planned.name not in done
            run = done[planned.name] if not is_new else run_of(planned)
            done[planned.name] = run
            if run.result is not None and run.result.stopped_by is not None:
                break  # at once: it has no row yet
            if is_new:
                write_table(folder, [run.as_json() for run in ranked(done.values())])
            try:
                planned = plan.send(run)
            except StopIteration:
                draw_sweep(folder, [run.as_json() for run in ranked(done.values())])
                break
    return ranked(done.values())


def ranked(runs: Iterable[SweptRun]) -> list[SweptRun]:
    """The runs, the highest ROC-AUC first, those without one last."""
    return sorted(runs, key=lambda run: (run.roc_auc is None, -(run.roc_auc or 0)))


def _combinations(recipes: Sequence[str], settings: Sequence[Setting]) -> _Plan:
    """Every recipe with every combination of the values; all are read before the first one runs."""
    for setting in settings:
        if not setting.values:
            raise BadValue(
                f"{setting.key} has a range, of which Optuna chooses. Say how many runs it may "
                "take with --trials, or name the values"
            )
    values = [[(setting.key, value) for value in setting.values] for setting in settings]
    varied = {setting.key for setting in settings if len(setting.values) > 1}
    planned = [
        _planned(recipe, dict(chosen), varied)
        for recipe in recipes
        for chosen in itertools.product(*values)
    ]
    names = [one.name for one in planned]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadValue(f"two runs would have the name {twice[0]}. Give each recipe another name")
    for one in planned:
        _ = yield one  # the results of before change nothing


def _drawn(recipes: Sequence[str], settings: Sequence[Setting], trials: int) -> _Plan:
    """What Optuna asks for, which learns from each result (tree-structured Parzen estimator)."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("optuna", "sweep") from error
    if len(recipes) != 1 or not settings:
        raise BadValue(
            "--trials varies the settings of one recipe. Name one, and settings with --set"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    varied = {setting.key for setting in settings if len(setting.values) != 1}
    seed = _planned(recipes[0], {}, set()).recipe.seed
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    space = {setting.key: _distribution(setting) for setting in settings}
    for _ in range(trials):
        trial = study.ask(space)
        values = {key: _as_text(value) for key, value in trial.params.items()}
        run = yield _planned(recipes[0], values, varied)
        if run.result is not None and run.roc_auc is None:
            raise BadValue(
                f"{run.name} has no validation ROC-AUC, which Optuna chooses by. Give the recipe "
                "songs to validate on: data.valid"
            )
        failed = optuna.trial.TrialState.FAIL if run.result is None else None
        study.tell(trial, run.roc_auc, state=failed)


def _distribution(setting: Setting) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    low, high = setting.low, setting.high
    if setting.values:
        return CategoricalDistribution(setting.values)
    logarithmic = low > 0 and high / low >= _LOGARITHMIC
    if low.is_integer() and high.is_integer():
        return IntDistribution(int(low), int(high), log=logarithmic)
    return FloatDistribution(low, high, log=logarithmic)


def _as_text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _planned(recipe: str, values: Mapping[str, str], varied: set[str]) -> _Planned:
    made = read_recipe(recipe, changes=[f"{key}={value}" for key, value in values.items()])
    settings = {key: value for key, value in values.items() if key in varied}
    parts = [f"{key.rpartition('.')[2]}={value}" for key, value in settings.items()]
    name = re.sub(r"[^\w.=+,\[\]-]", "_", " ".join([made.name, *parts]).replace(" ", "-"))
    return _Planned(name, made, settings)
