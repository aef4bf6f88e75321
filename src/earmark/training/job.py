"""The job of a run: its recipe, its task, and the songs that it learns from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from earmark.arrays import Int64Array
from earmark.training.batches import Batches, shuffled
from earmark.training.clips import Clips, open_clips
from earmark.training.processes import Processes
from earmark.training.recipe import Recipe
from earmark.training.scores import Validation
from earmark.training.songs import choose, digest
from earmark.training.task import Task, make_task


@dataclass(frozen=True, eq=False)
class Job:
    """All that is known before the first step, in one of the processes.

    clips : of the songs to learn from
    labels : bool (n_clips, n_tags), on the device; float32 where targets are learned
    validation : None without songs to validate on
    digest : which songs and labels these are, for the record of the run
    steps_per_epoch : in every process
    notes : what a person should know about the songs, warnings included
    """

    recipe: Recipe
    task: Task
    clips: Clips
    labels: Tensor
    validation: Validation | None
    digest: Mapping[str, int | str]
    processes: Processes
    steps_per_epoch: int
    notes: tuple[str, ...]

    def batches(self, epoch: int, *, first: int) -> Batches:
        """The batches of an epoch, counted from 0, from its step `first` on."""
        places = _places(len(self.labels), self.recipe, self.processes, epoch=epoch)
        return Batches(
            self.clips,
            self.labels,
            places=places[first:],
            recipe=self.recipe,
            first_step=epoch * self.steps_per_epoch + first,
            rank=self.processes.rank,
        )


def prepare(recipe: Recipe, store: str | os.PathLike[str], *, processes: Processes) -> Job:
    """Open the store, choose the songs, and make the task.

    Raises BadRecipe, BadStore and FeatureMismatch.
    """
    source = open_clips(store, held=recipe.data.held, device=processes.device)
    songs = choose(source.store, recipe.data, seed=recipe.seed)
    task = make_task(recipe, source.store, songs)
    validation = None
    if len(songs.valid):
        clips = source.clips(songs.valid[processes.rank :: processes.count])
        validation = Validation(clips, songs.valid_labels, processes=processes)
    return Job(
        recipe=recipe,
        task=task,
        clips=source.clips(songs.train),
        labels=torch.from_numpy(songs.train_labels).to(processes.device),
        validation=validation,
        digest=digest(source.store, songs),
        processes=processes,
        steps_per_epoch=len(_places(len(songs.train), recipe, processes, epoch=0)),
        notes=(source.note, *songs.notes),
    )


def _places(n: int, recipe: Recipe, processes: Processes, *, epoch: int) -> list[Int64Array]:
    return shuffled(
        n,
        batch=recipe.loop.batch,
        seed=recipe.seed,
        epoch=epoch,
        part=processes.rank,
        parts=processes.count,
    )
