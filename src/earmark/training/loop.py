"""Training: epochs over a store, validated, saved, and resumed after any kill.

A run is decided by its recipe, its store and the number of processes: what is drawn at random
depends on the seed and the number of the step only, and a checkpoint holds all that a step changes.
So a run that was killed and resumed ends with the weights of one that was not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from earmark.folder_lock import only_run_in
from earmark.training.backend import Backend
from earmark.training.fast_cpu import keep_freed_memory
from earmark.training.history import Board, in_words
from earmark.training.job import prepare
from earmark.training.learner import Learner
from earmark.training.recipe import Recipe
from earmark.training.run import start_or_resume
from earmark.training.speed import Moment
from earmark.training.stopping import stop_on_signals

Framework = Literal["torch", "keras"]


@dataclass(frozen=True)
class Result:
    """How a run ended, or where it stopped.

    epochs : finished ones; best_epoch : the one whose weights are kept
    roc_auc, average_precision : macro, of the validation songs then; None without validation
    stopped_by : the signal that asked for it; None for a finished run
    first_process : whether this is the process that writes files and messages
    """

    run: Path
    epochs: int
    best_epoch: int | None
    roc_auc: float | None
    average_precision: float | None
    stopped_by: str | None = None
    first_process: bool = True

    def as_json(self) -> dict[str, Any]:
        """The result as a program reads it."""
        return {
            "run": str(self.run),
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
        }


def train(
    recipe: Recipe,
    store: str | os.PathLike[str],
    run: str | Path,
    *,
    framework: Framework = "torch",
    resume: bool = False,
    tell: Callable[[str], object] = lambda _: None,
    watch: Callable[[Moment], object] = lambda _: None,
) -> Result:
    """Train a network on a store, into the folder `run`, until it is done or asked to stop.

    framework : what computes the steps; a run resumes with the one that it was started with
    resume : continue the run in that folder, if there is one; without it, one there is an error
    tell : called with messages for a person, in the first process only
    watch : called a few times a second with how far the run is, in the first process only

    SIGTERM and SIGINT save and end between two steps, or while the validation songs are scored.
    Under torchrun, each process calls this.
    Raises BadRecipe, BadStore, FeatureMismatch, FolderInUse, MissingExtra, and DataError for a
    loss that is not finite, a damaged checkpoint, or a disk that cannot be written to.
    """
    folder, backend = Path(run), _backend(framework)
    keep_freed_memory()
    with (
        backend.join(recipe) as processes,
        only_run_in(folder) if processes.first else nullcontext(),
        Board(folder, wanted=recipe.loop.tensorboard and processes.first) as board,
    ):
        job = prepare(recipe, store, processes=processes)
        current = start_or_resume(job, folder, backend=backend, resume=resume)
        estimated = current.done

        def tell_first(message: str) -> None:
            if processes.first:
                tell(message)

        def after_step(loss: Tensor) -> bool:
            nonlocal estimated
            loss = current.step(loss)
            every = recipe.loop.tensorboard_steps
            if every and current.learner.steps_done % every == 0:
                board.add_step(current.learner.steps_done, loss, rate=current.learner.rate)
            if processes.first and current.speed.is_due():
                watch(current.moment())
            if processes.first and not estimated and current.speed.is_known:
                tell(current.estimate())
                estimated = True
            stopping = current.should_stop(stop.asked)
            if stopping or current.save_is_due:
                current.save()
            return stopping

        for note in (*job.notes, *current.notes):
            tell_first(note)
        with stop_on_signals() as stop:
            while not current.done and not processes.any(stop.asked):
                if not current.learner.learn(current.batches(), after_step=after_step):
                    break
                if processes.first:
                    watch(current.moment())
                line = current.end_epoch(lambda: stop.asked)
                if line is None:
                    break
                board.add(line)
                tell_first(in_words(line, epochs=recipe.loop.epochs))
        if current.done:
            current.finish()
        best = current.progress.best or {}
        return Result(
            folder,
            epochs=current.progress.epoch,
            best_epoch=best.get("epoch"),
            roc_auc=best.get("roc_auc"),
            average_precision=best.get("average_precision"),
            stopped_by=None if current.done else (stop.signal or "another process"),
            first_process=processes.first,
        )


def _backend(framework: Framework) -> type[Backend]:
    if framework == "torch":
        return Learner
    from earmark.training.keras import KerasLearner

    return KerasLearner
