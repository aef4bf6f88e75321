"""A run under way: what it is made of, how it begins or goes on, what it saves, when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from earmark.arrays import Int64Array
from earmark.errors import DataError
from earmark.files import sha256
from earmark.folder_lock import disk_errors
from earmark.training.checkpoint import Arrays, read_checkpoint, write_checkpoint
from earmark.training.clips import ClipSource, shuffled
from earmark.training.fast_cpu import peak_bytes
from earmark.training.history import draw_history, write_history
from earmark.training.learner import Learner
from earmark.training.losses import Losses
from earmark.training.model import n_parameters
from earmark.training.probe import fit_output
from earmark.training.processes import Processes
from earmark.training.progress import RunProgress
from earmark.training.recipe import Recipe
from earmark.training.run_folder import BEST, LAST, RECORD, check_same, environment, write_record
from earmark.training.scores import Validation
from earmark.training.songs import choose, digest
from earmark.training.start import first_network
from earmark.training.task import make_task

if TYPE_CHECKING:
    from earmark.training.keras import KerasLearner

_STEPS_PER_QUESTION = 50  # on several GPUs, between asking each other whether to stop
_SECONDS_PER_CURVE = 20  # drawing one takes half a second


class Run:
    """One process's side of a run; of several processes, the first one writes.

    learner : the kind of it that learns here
    words : what a person should know before it starts
    labels : bool (n_train, n_tags), on the device, or float32 where targets are learned
    """

    def __init__(
        self,
        recipe: Recipe,
        store: Path,
        run: Path,
        *,
        here: Processes,
        resume: bool,
        learner: type[Learner | KerasLearner] = Learner,
    ) -> None:
        here.check_batch(recipe.loop.batch)
        self.recipe, self.run, self.here = recipe, run, here
        source = ClipSource(store, held=recipe.data.held, device=here.device)
        songs = choose(source.store, recipe.data, seed=recipe.seed)
        self.words = [source.words, *songs.words]
        self.task = make_task(recipe, source.store, songs)
        self.labels = torch.from_numpy(songs.train_labels).to(here.device)
        self.train_clips = source.clips(songs.train)
        self._validation: Validation | None = None
        if len(songs.valid):
            clips = source.clips(songs.valid[here.rank :: here.count])
            self._validation = Validation(clips, songs.valid_labels, here=here)
        self.progress = RunProgress()
        self._n_steps = len(self._places(0))  # an epoch
        data = digest(source.store, songs)
        begun = self._begun(data, framework=learner.framework, resume=resume)
        self.learner = self._new_learner(learner)
        self._record = self._begin(data) if begun is None else self._go_on(begun)
        self._losses = self._epoch_losses()
        self._last_tick = self._last_save = self._last_curve = perf_counter()
        self._waited = 0.0

    @property
    def done(self) -> bool:
        """Whether no epoch is to come."""
        loop = self.recipe.loop
        tired = 0 < loop.patience <= self.progress.since_best
        return self.progress.epoch >= loop.epochs or tired

    def places_left(self) -> list[Int64Array]:
        """The share of this process in each step that the epoch under way has left."""
        return self._places(self.progress.epoch)[self.progress.step :]

    def count(self, loss: Tensor) -> None:
        """One more step has been taken. Raises DataError for a loss that is no number."""
        self.progress.step += 1
        self._losses.add(self.here.mean(loss), step=self.learner.steps_done)

    def to_stop(self, asked: bool) -> bool:
        """Whether any of the processes was asked to stop; all of them ask at the same steps."""
        every = _STEPS_PER_QUESTION if self.here.device.type == "cuda" else 1
        if self.here.count > 1 and self.progress.step % every:
            return False
        return self.here.any(asked)

    @property
    def save_is_due(self) -> bool:
        """Whether the recipe asks for a checkpoint after this step."""
        loop = self.recipe.loop
        by_steps = loop.checkpoint_steps and self.progress.step % loop.checkpoint_steps == 0
        seconds = 60 * loop.checkpoint_minutes
        return bool(by_steps) or 0 < seconds <= perf_counter() - self._last_save

    def save(self) -> None:
        """Write a checkpoint. Raises DataError for a loss that is no number, or a full disk."""
        self._losses.look(step=self.learner.steps_done)
        self._tick()
        self.progress.losses = (self._losses.total, self._losses.count)
        self._write(LAST, self.learner.arrays(), {"progress": self.progress.to_dict()})
        self._last_save = perf_counter()

    def end_epoch(self, *, on_best: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """Validate, keep the best weights, save; returns the epoch's line of history.

        on_best : called before the best weights are written: a kill in between repeats the epoch
        """
        self._losses.look(step=self.learner.steps_done)
        self._tick()
        progress = self.progress
        clips = self._n_steps * min(self.recipe.loop.batch, len(self.labels))
        line: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "step": self.learner.steps_done,
            "loss": self._losses.mean,
            "rate": self.learner.rate,
            "clips_a_second": clips / progress.epoch_seconds,
            "waiting": progress.waited / progress.epoch_seconds,
        }
        arrays = self.learner.weights()
        if self._validation is not None:
            logits = self._validation.logits(self.learner.listen)
            line |= self._validation.measure(logits)
            arrays |= {"valid.logits": logits, "valid.labels": self._validation.labels}
        self._tick()
        line["seconds"] = progress.seconds
        progress.since_best += 1
        if progress.best is None or _merit(line) > _merit(progress.best):
            progress.best, progress.since_best = line, 0
            on_best()
            self._write(BEST, arrays, {"line": line})
        progress.history.append(line)
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.losses, progress.epoch_seconds, progress.waited = (0.0, 0), 0.0, 0.0
        self._losses = self._epoch_losses()
        self.save()
        self._write_history(draw=perf_counter() - self._last_curve >= _SECONDS_PER_CURVE)
        return line

    def finish(self) -> None:
        """Write the record of a run that is done."""
        if self._record["results"] is not None:
            return
        # again, as a kill may have come between it and its checkpoint
        self._write_history(draw=True)
        gpu = self.here.device.type == "cuda"
        self._record["results"] = {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "epochs": self.progress.epoch,
            "best": self.progress.best,
            "seconds": self.progress.seconds,
            "peak_memory_bytes": peak_bytes(),
            "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated() if gpu else None,
        }
        if self.here.first:
            with disk_errors(self.run):
                write_record(self.run, self._record)

    def _new_learner(self, kind: type[Learner | KerasLearner]) -> Learner | KerasLearner:
        model, new, words = first_network(self.recipe, self.task)
        self._n_parameters = n_parameters(model)
        strength = self.recipe.optimiser.probe
        if strength and not self._saved:
            model.to(self.here.device)
            fit_output(model, self.train_clips, self.labels.float(), strength=strength)
            words += "; the output layer is fitted first"
        n_steps = self._n_steps * self.recipe.loop.epochs
        learner = kind(model, self.recipe, here=self.here, n_steps=n_steps, new=new)
        processes = f" of each of {self.here.count} processes" if self.here.count > 1 else ""
        self.words.append(
            f"{words}; {self._n_steps} steps an epoch, in {learner.precision} {learner.where}"
            f"{processes}"
        )
        return learner

    def _begun(
        self, data: Mapping[str, Any], *, framework: Mapping[str, str], resume: bool
    ) -> dict[str, Any] | None:
        """The record of the run that the folder holds, if it may go on; None for none."""
        # all processes look before the first one writes
        begun, saved = (self.here.any((self.run / name).exists()) for name in (RECORD, LAST))
        self._saved = begun and saved
        if begun and not resume:
            raise DataError(
                f"{self.run} holds a run. Add --resume to go on with it, or take another folder"
            )
        return check_same(self.run, self.recipe, data, framework=framework) if begun else None

    def _begin(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Start a record."""
        record = {
            "recipe": self.recipe.to_dict(),
            "task": self.task.to_dict(),
            "data": dict(data),
            "environment": environment(),
            "parameters": self._n_parameters,
            "init_sha256": self.recipe.init and sha256(self.recipe.init),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            **self._how(),
            "results": None,
        }
        if self.here.first:
            with disk_errors(self.run):
                write_record(self.run, record)
        return record

    def _go_on(self, record: dict[str, Any]) -> dict[str, Any]:
        """Go on from what the folder holds; returns its record."""
        for key, now in self._how().items():
            if record[key] != now:
                self.words.append(
                    f"warning: begun with {key} {record[key]}, and goes on with {now}: the "
                    "weights will not be those of one session"
                )
        if self._saved:
            self._load()
        return record

    def _load(self) -> None:
        path = self.run / LAST
        arrays, facts = read_checkpoint(path)
        try:
            self.progress = RunProgress.from_dict(facts["progress"])
            self.learner.load(arrays, steps_done=self._steps_done())
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"{path} is not of this run, or damaged ({error})") from error
        self.words.append(
            f"goes on after epoch {self.progress.epoch}, step {self.progress.step} of the next"
        )

    def _steps_done(self) -> int:
        return self.progress.epoch * self._n_steps + self.progress.step

    def _how(self) -> dict[str, Any]:
        return {
            "framework": self.learner.framework,
            "processes": self.here.count,
            "precision": self.learner.precision,
        }

    def _places(self, epoch: int) -> list[Int64Array]:
        return shuffled(
            len(self.labels),
            batch=self.recipe.loop.batch,
            seed=self.recipe.seed,
            epoch=epoch,
            part=self.here.rank,
            parts=self.here.count,
        )

    def _epoch_losses(self) -> Losses:
        total, count = self.progress.losses
        return Losses(device=self.here.device, total=total, count=count)

    def _tick(self) -> None:
        now, waited = perf_counter(), self.train_clips.waited
        self.progress.seconds += now - self._last_tick
        self.progress.epoch_seconds += now - self._last_tick
        self.progress.waited += waited - self._waited
        self._last_tick, self._waited = now, waited

    def _write(self, name: str, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        if self.here.first:
            with disk_errors(self.run):
                write_checkpoint(self.run / name, arrays, facts)

    def _write_history(self, *, draw: bool) -> None:
        if self.here.first:
            with disk_errors(self.run):
                write_history(self.run, self.progress.history)
                if draw:
                    draw_history(self.run, self.progress.history)
                    self._last_curve = perf_counter()


def _merit(line: Mapping[str, Any]) -> tuple[int, float]:
    """What the best epoch has most of: ROC-AUC; where no tag has one, the least loss; else time."""
    if line.get("roc_auc") is not None:
        return 2, line["roc_auc"]
    if "valid_loss" in line:
        return 1, -np.inf if line["valid_loss"] is None else -line["valid_loss"]
    return 0, line["epoch"]
