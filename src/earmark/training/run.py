"""A run under way: how it starts or resumes, what it counts and saves, and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earmark.errors import DataError
from earmark.folder_lock import disk_errors
from earmark.training.backend import Backend
from earmark.training.batches import Batches, in_order
from earmark.training.checkpoint import Arrays, read_checkpoint, write_checkpoint
from earmark.training.fast_cpu import peak_bytes
from earmark.training.history import Line, draw_history, write_history
from earmark.training.job import Job
from earmark.training.losses import Losses
from earmark.training.model import CRNN, n_parameters
from earmark.training.own_network import make_network
from earmark.training.probe import fit_output
from earmark.training.run_folder import (
    BEST,
    LAST,
    RECORD,
    check_same,
    new_record,
    write_record,
)
from earmark.training.speed import Moment, Speed
from earmark.training.start import measure_norms, start_from, weights_file

_STEPS_PER_QUESTION = 50  # on several GPUs, between asking each other whether to stop
_SECONDS_PER_CURVE = 20  # drawing one takes half a second


@dataclass
class RunProgress:
    """How far a run has come: what a checkpoint holds besides arrays.

    epoch : finished ones; step : finished ones of the epoch under way
    losses : total and count of the losses of that epoch
    best : the history line of the epoch whose weights are kept; None before the first
    since_best : epochs since then
    seconds : spent so far, interruptions not counted
    epoch_seconds, waited : of the epoch under way: all, and those spent waiting for batches
    history : a line for each finished epoch
    """

    epoch: int = 0
    step: int = 0
    losses: tuple[float, int] = (0.0, 0)
    best: dict[str, Any] | None = None
    since_best: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    waited: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The progress as JSON holds it; floats come back bit for bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunProgress:
        """The progress from JSON; KeyError or TypeError where keys are missing or wrong."""
        names = cls.__dataclass_fields__.keys()
        return cls(**{name: values[name] for name in names} | {"losses": tuple(values["losses"])})


def start_or_resume(job: Job, folder: Path, *, backend: type[Backend], resume: bool) -> Run:
    """A new run in the folder, or the one that it holds, where its last checkpoint left it.

    Raises DataError for a folder that holds a run where `resume` is false, and for a damaged
    checkpoint; BadRecipe and BadStore for a run of another recipe, framework or data; BadRecipe,
    BadModel and ModelNotFound for published weights that cannot be started from.
    """
    # all processes look before the first one writes
    started, saved = (job.processes.any((folder / name).exists()) for name in (RECORD, LAST))
    if started and not resume:
        raise DataError(
            f"{folder} holds a run already. Add --resume to continue it, or choose another folder"
        )
    record = None
    if started:
        record = check_same(folder, job.recipe, job.digest, framework=backend.framework)
    saved = started and saved
    learner, size, note = _first_learner(job, backend, fit=not saved)
    how = {
        "framework": backend.framework,
        "processes": job.processes.count,
        "precision": learner.precision,
    }
    notes, progress = [note], RunProgress()
    if record is None:
        init = None if job.recipe.init is None else weights_file(job.recipe.init)
        record = new_record(job.recipe, job.task, job.digest, n_parameters=size, init=init, how=how)
        if job.processes.first:
            with disk_errors(folder):
                write_record(folder, record)
    for key, now in how.items():
        if record[key] != now:
            notes.append(
                f"warning: this run was started with {key} {record[key]} and resumes with {now}: "
                "its weights will differ from those of a run without the interruption"
            )
    planned = record["recipe"]["loop"]["epochs"]
    if started and planned != job.recipe.loop.epochs:
        notes.append(f"goes on to {job.recipe.loop.epochs} epochs, where {planned} were planned")
        if job.recipe.optimiser.schedule != "constant":
            notes.append(
                f"warning: the learning rates of the first epochs were those of a run of {planned}"
                " epochs; from here on they are those of the longer run"
            )
        record |= {"recipe": job.recipe.to_dict(), "results": None}
        if job.processes.first:
            with disk_errors(folder):
                write_record(folder, record)
    if saved:
        progress = _load(folder / LAST, learner, steps_per_epoch=job.steps_per_epoch)
        notes.append(f"resumes after epoch {progress.epoch}, step {progress.step} of the next")
    return Run(job, folder, learner=learner, progress=progress, record=record, notes=tuple(notes))


class Run:
    """One process's side of a run; of several processes, the first one writes the files.

    learner : the network, and what a step changes
    record : what record.json holds
    notes : what a person should know before the first step
    """

    def __init__(
        self,
        job: Job,
        folder: Path,
        *,
        learner: Backend,
        progress: RunProgress,
        record: dict[str, Any],
        notes: tuple[str, ...],
    ) -> None:
        self.job, self.folder, self.learner = job, folder, learner
        self.progress, self.notes = progress, notes
        self._record = record
        self._losses = Losses(*progress.losses, device=job.processes.device)
        self._last_tick = self._last_save = self._last_curve = perf_counter()
        self._waited = job.clips.waited
        self.speed = Speed(batch=min(job.recipe.loop.batch, len(job.labels)))

    @property
    def done(self) -> bool:
        """Whether no epoch is left, or the recipe's patience has run out."""
        loop = self.job.recipe.loop
        stopped_early = 0 < loop.patience <= self.progress.since_best
        return self.progress.epoch >= loop.epochs or stopped_early

    def batches(self) -> Batches:
        """Those that the epoch under way has left."""
        return self.job.batches(self.progress.epoch, first=self.progress.step)

    def step(self, loss: Tensor) -> Tensor:
        """Count a step that was taken; returns its loss, over all processes.

        Raises DataError for a loss that is not finite.
        """
        self.progress.step += 1
        loss = self.job.processes.mean(loss)
        self._losses.add(loss, step=self.learner.steps_done)
        self.speed.step()
        return loss

    def moment(self) -> Moment:
        """How far the run is."""
        return Moment(
            epoch=self.progress.epoch + 1,
            epochs=self.job.recipe.loop.epochs,
            step=self.progress.step,
            steps=self.job.steps_per_epoch,
            loss=self._losses.mean,
            clips_a_second=self.speed.clips_a_second,
            seconds_left=self._seconds_left(),
        )

    def estimate(self) -> str:
        """What the rest of the run takes, in words: time, memory and disk."""
        words = []
        seconds, rate = self._seconds_left(), self.speed.clips_a_second
        if seconds is not None and rate is not None:
            epochs = self.job.recipe.loop.epochs - self.progress.epoch
            time = timedelta(seconds=round(seconds))
            of = "1 epoch" if epochs == 1 else f"{epochs} epochs"
            words.append(f"{time} (h:min:s) for {of}, {rate:.1f} clips a second")
        if (memory := peak_bytes()) is not None:
            words.append(f"{memory / 1e9:.1f} GB of memory")
        if self.job.processes.device.type == "cuda":
            gpu = torch.cuda.max_memory_allocated()
            words.append(f"{gpu / 1e9:.1f} GB of the GPU's memory")
        sizes = [sum(array.nbytes for array in arrays.values()) for arrays in self._saved()]
        # one of the files lies there twice while it is replaced
        words.append(f"{(sum(sizes) + max(sizes)) / 1e6:.0f} MB of disk in {self.folder}")
        return f"this run takes about {', '.join(words)}"

    def should_stop(self, asked: bool) -> bool:
        """Whether any of the processes was asked to stop; all of them ask at the same steps."""
        processes = self.job.processes
        every = _STEPS_PER_QUESTION if processes.device.type == "cuda" else 1
        if processes.count > 1 and self.progress.step % every:
            return False
        return processes.any(asked)

    @property
    def save_is_due(self) -> bool:
        """Whether the recipe asks for a checkpoint after this step."""
        loop = self.job.recipe.loop
        by_steps = loop.checkpoint_steps and self.progress.step % loop.checkpoint_steps == 0
        seconds = 60 * loop.checkpoint_minutes
        return bool(by_steps) or 0 < seconds <= perf_counter() - self._last_save

    def save(self) -> None:
        """Write a checkpoint. Raises DataError for a loss that is not finite, or a full disk."""
        self._losses.check(step=self.learner.steps_done)
        self._tick()
        self.progress.losses = (self._losses.total, self._losses.count)
        self._write_checkpoint(LAST, self.learner.arrays(), {"progress": self.progress.to_dict()})
        self._last_save = perf_counter()

    def end_epoch(self, is_asked_to_stop: Callable[[], bool]) -> Line | None:
        """Validate, keep the best weights, save; returns the history line of the epoch.

        is_asked_to_stop : while the validation songs are scored; then the epoch is saved without
            its end, which comes when the run resumes, and None is returned
        """
        self.speed.rest()
        self._losses.check(step=self.learner.steps_done)
        self.learner.write_network(self.folder, best=False)
        self._tick()
        job, progress = self.job, self.progress
        n_clips = job.steps_per_epoch * min(job.recipe.loop.batch, len(job.labels))
        line: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "step": self.learner.steps_done,
            "loss": self._losses.mean,
            "rate": self.learner.rate,
            "clips_a_second": n_clips / progress.epoch_seconds,
            "waiting": progress.waited / progress.epoch_seconds,
        }
        arrays = self.learner.weights()
        if job.validation is not None:
            logits = job.validation.logits(self.learner.predict, is_asked_to_stop=is_asked_to_stop)
            if logits is None:
                self.save()
                return None
            line |= job.validation.measure(logits)
            arrays |= {"valid.logits": logits, "valid.labels": job.validation.labels}
        self._tick()
        line["seconds"] = progress.seconds
        progress.since_best += 1
        if progress.best is None or _merit(line) > _merit(progress.best):
            progress.best, progress.since_best = line, 0
            # before BEST: a kill in between repeats the epoch, and both are written again
            self.learner.write_network(self.folder, best=True)
            self._write_checkpoint(BEST, arrays, {"line": line})
        progress.history.append(line)
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.losses, progress.epoch_seconds, progress.waited = (0.0, 0), 0.0, 0.0
        self._losses = Losses(device=job.processes.device)
        self.save()
        self._write_history(draw=perf_counter() - self._last_curve >= _SECONDS_PER_CURVE)
        return line

    def finish(self) -> None:
        """Write the results into the record of a run that is done."""
        if self._record["results"] is not None:
            return
        # again, as a kill may have come between the last checkpoint and the history
        self._write_history(draw=True)
        processes = self.job.processes
        gpu = processes.device.type == "cuda"
        self._record["results"] = {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "epochs": self.progress.epoch,
            "best": self.progress.best,
            "seconds": self.progress.seconds,
            "peak_memory_bytes": peak_bytes(),
            "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated() if gpu else None,
        }
        if processes.first:
            with disk_errors(self.folder):
                write_record(self.folder, self._record)

    def _seconds_left(self) -> float | None:
        job, progress = self.job, self.progress
        epochs = job.recipe.loop.epochs - progress.epoch
        n_valid = 0 if job.validation is None else len(job.validation.labels)
        steps = epochs * job.steps_per_epoch - progress.step
        return self.speed.seconds(steps=steps, clips_scored=epochs * n_valid)

    def _saved(self) -> tuple[Arrays, Arrays]:
        """The arrays of LAST and BEST, but for the scores, as they are before these are known."""
        best = self.learner.weights()
        if self.job.validation is not None:
            labels = self.job.validation.labels
            best |= {"labels": labels, "logits": np.empty(labels.shape, np.float32)}
        return self.learner.arrays(), best

    def _tick(self) -> None:
        now, waited = perf_counter(), self.job.clips.waited
        self.progress.seconds += now - self._last_tick
        self.progress.epoch_seconds += now - self._last_tick
        self.progress.waited += waited - self._waited
        self._last_tick, self._waited = now, waited

    def _write_checkpoint(self, name: str, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        if self.job.processes.first:
            with disk_errors(self.folder):
                write_checkpoint(self.folder / name, arrays, facts)

    def _write_history(self, *, draw: bool) -> None:
        if self.job.processes.first:
            with disk_errors(self.folder):
                write_history(self.folder, self.progress.history)
                if draw:
                    draw_history(self.folder, self.progress.history)
                    self._last_curve = perf_counter()


def _first_learner(job: Job, backend: type[Backend], *, fit: bool) -> tuple[Backend, int, str]:
    """The learner before the first step, how many parameters it has, and a note on both.

    fit : fit the output layer first, where the recipe asks for it
    """
    recipe, processes = job.recipe, job.processes
    model, new = make_network(recipe, job.task), None
    size = n_parameters(model)
    note = f"{size:,} parameters, {len(job.task.tags)} tags"
    if recipe.init is not None:
        started = start_from(
            model, recipe.init, tags=job.task.tags, standardise=job.task.standardise
        )
        new = started.new
        if started.folded and fit:
            model.to(processes.device)
            places = in_order(len(job.labels), batch=recipe.loop.batch)
            with closing(job.clips.batches(places)) as batches:
                measure_norms(model, batches)
        note += f", from the weights in {recipe.init} (new: {', '.join(sorted(new)) or 'nothing'})"
    if recipe.optimiser.probe and fit:
        assert isinstance(model, CRNN)  # of which the recipe has made sure
        model.to(processes.device)
        fit_output(model, job.clips, job.labels.float(), strength=recipe.optimiser.probe)
        note += "; the output layer is fitted first"
    n_steps = job.steps_per_epoch * recipe.loop.epochs
    learner = backend(model, recipe, task=job.task, processes=processes, n_steps=n_steps, new=new)
    note += f"; {job.steps_per_epoch} steps an epoch, in {learner.precision} {learner.device_name}"
    if processes.count > 1:
        note += f" of each of {processes.count} processes"
    return learner, size, note


def _load(checkpoint: Path, learner: Backend, *, steps_per_epoch: int) -> RunProgress:
    """Bring a learner back to a checkpoint; returns the progress that it holds."""
    arrays, facts = read_checkpoint(checkpoint)
    try:
        progress = RunProgress.from_dict(facts["progress"])
        steps_done = progress.epoch * steps_per_epoch + progress.step
        learner.load(arrays, steps_done=steps_done)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{checkpoint} belongs to another run, or is damaged ({error}). Train into another "
            "folder"
        ) from error
    return progress


def _merit(line: Mapping[str, Any]) -> tuple[float, ...]:
    """What the best epoch has most of: ROC-AUC, then the least loss; without validation, time."""
    if "valid_loss" not in line:
        return (line["epoch"],)
    auc, loss = line["roc_auc"], line["valid_loss"]
    return -np.inf if auc is None else auc, -np.inf if loss is None else -loss
