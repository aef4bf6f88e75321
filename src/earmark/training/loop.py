"""Training: epochs over a store, validated, saved, and gone on with after any kill.

A run is decided by its recipe, its store and the number of processes: what it draws at random
hangs on the seed and the number of the step alone, and a checkpoint holds all that a step changes.
So a run that was killed and resumed ends with the weights of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from earmark.arrays import Int64Array
from earmark.folder_lock import only_run_in
from earmark.training.augment import augment
from earmark.training.fast_cpu import keep_freed_memory
from earmark.training.history import Board, Line, in_words
from earmark.training.learner import Learner
from earmark.training.processes import processes
from earmark.training.recipe import Recipe
from earmark.training.seeds import generator, seed_torch
from earmark.training.session import Run
from earmark.training.stopping import Stop, stop_on_signals

if TYPE_CHECKING:
    from earmark.training.keras import KerasLearner

Framework = Literal["torch", "keras"]


@dataclass(frozen=True)
class Result:
    """How a run ended, or where it stopped.

    epochs : finished ones; best_epoch : the one whose weights are kept
    roc_auc, average_precision : macro, of the validation songs then; None without validation
    stopped_by : the signal that asked for it; None for a finished run
    first_process : whether this process is the one of all that talks
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
    store: str | Path,
    run: str | Path,
    *,
    framework: Framework = "torch",
    resume: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> Result:
    """Train a network on a store, into the folder `run`, until it is done or asked to stop.

    framework : who computes the steps; a run goes on with the one that it was begun with
    resume : go on with the run in that folder, if there is one; without it, one there is an error
    tell : called with words for a person, in the first process only

    SIGTERM and SIGINT save and end between two steps. Under torchrun, each process calls this.
    Raises BadRecipe, BadStore, FeatureMismatch, FolderInUse, MissingExtra, and DataError for a
    loss that is no number, a damaged checkpoint, or a disk that says no.
    """
    run = Path(run)
    keep_freed_memory()
    join, epoch = processes(), _epoch
    learner: type[Learner | KerasLearner] = Learner
    if framework == "keras":
        from earmark.training import keras

        join, epoch, learner = keras.alone(recipe), keras.epoch, keras.KerasLearner
    with (
        join as here,
        only_run_in(run) if here.first else nullcontext(),
        stop_on_signals() as stop,
        Board(run, wanted=recipe.loop.tensorboard and here.first) as board,
    ):
        session = Run(recipe, Path(store), run, here=here, resume=resume, learner=learner)
        if here.first:
            for words in session.words:
                tell(words)
        while not session.done and not here.any(stop.asked) and (line := epoch(session, stop)):
            board.add(line)
            if here.first:
                tell(in_words(line, epochs=recipe.loop.epochs))
        if session.done:
            session.finish()
        best = session.progress.best or {}
        return Result(
            run,
            epochs=session.progress.epoch,
            best_epoch=best.get("epoch"),
            roc_auc=best.get("roc_auc"),
            average_precision=best.get("average_precision"),
            stopped_by=None if session.done else (stop.signal or "another process"),
            first_process=here.first,
        )


def batches(
    session: Run, places: Sequence[Int64Array], *, step: int
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Yield what to learn from in these steps, of which the first has the number `step`.

    yields : float32 clips (batch, n_mels, n_frames), dB, and labels (batch, n_tags), augmented,
        with torch seeded for the step
    """
    recipe, labels = session.recipe, session.labels
    with closing(session.train_clips.batches(places)) as plain:
        for number, (clips, chosen) in enumerate(zip(plain, places, strict=True), step):
            random = generator(recipe.seed, "step", number, session.here.rank)
            seed_torch(random)
            truth = labels[torch.from_numpy(chosen).to(labels.device)].float()
            yield augment(clips, truth, settings=recipe.augment, random=random)


def _epoch(session: Run, stop: Stop) -> Line | None:
    """The steps of an epoch that are left; None, with all saved, if it was asked to stop."""
    learner = session.learner
    assert isinstance(learner, Learner)
    with closing(batches(session, session.places_left(), step=learner.steps_done)) as steps:
        for clips, labels in steps:
            session.count(learner.step(clips, labels))
            if session.to_stop(stop.asked):
                session.save()
                return None
            if session.save_is_due:
                session.save()
    return session.end_epoch()
