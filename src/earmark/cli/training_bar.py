"""The bar of a training: steps of the epoch, clips a second, loss, and the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from earmark.cli.terminal import Exit, LineTimer, live_bar, say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from earmark.training import Result
    from earmark.training.speed import Moment


@contextmanager
def training_bar() -> Iterator[Callable[[Moment], None]]:
    """A function to call with how far the run is; a bar on a terminal, else a line at times."""
    with live_bar() as bar:
        if bar is None:
            timer = LineTimer()

            def line(moment: Moment) -> None:
                if timer.is_due():
                    say(_in_words(moment))

            yield line
            return
        task: TaskID | None = None
        epoch = 0

        def show(moment: Moment) -> None:
            nonlocal task, epoch
            if task is None:
                task = bar.add_task(_epoch(moment), total=moment.steps, rate="", note="")
            elif moment.epoch != epoch:
                bar.reset(task)
            epoch = moment.epoch
            rate = moment.clips_a_second
            bar.update(
                task,
                description=_epoch(moment),
                completed=moment.step,
                total=moment.steps,
                rate="" if rate is None else f"{rate:.1f} clips/s",
                note=f"loss {moment.loss:.4f}",
            )

        yield show


def end_where_stopped(result: Result, *, again: str) -> None:
    """End the command, as the signal that stopped the run would have; else do nothing.

    again : what to do to go on
    """
    if result.stopped_by is None:
        return
    say(f"stopped by {result.stopped_by}. All is saved: {again}")
    raise typer.Exit(Exit.TERMINATED if result.stopped_by == "SIGTERM" else Exit.INTERRUPTED)


def _epoch(moment: Moment) -> str:
    return f"epoch {moment.epoch} of {moment.epochs}"


def _in_words(moment: Moment) -> str:
    words = [_epoch(moment), f"step {moment.step} of {moment.steps}", f"loss {moment.loss:.4f}"]
    if moment.clips_a_second is not None:
        words.append(f"{moment.clips_a_second:.1f} clips a second")
    if moment.seconds_left is not None:
        words.append(f"{timedelta(seconds=round(moment.seconds_left))} left in all")
    return ", ".join(words)
