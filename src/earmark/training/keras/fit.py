"""An epoch by Keras's fit, over the batches that torch's learner has too."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.errors import BadRecipe, BadValue
from earmark.training.history import Line
from earmark.training.keras.learner import KerasLearner
from earmark.training.keras.network import save
from earmark.training.loop import batches
from earmark.training.processes import Processes
from earmark.training.recipe import Recipe
from earmark.training.session import Run
from earmark.training.stopping import Stop

LAST, BEST = "last.keras", "best.keras"


@contextmanager
def alone(recipe: Recipe) -> Iterator[Processes]:
    """The only process, with clips as NumPy can have them.

    Raises BadRecipe, by name, for what Keras is not made to do here, and BadValue under torchrun.
    """
    for key, refused in (
        ('loop.precision = "bf16"', recipe.loop.precision == "bf16"),
        ('data.held = "gpu"', recipe.data.held == "gpu"),
    ):
        if refused:
            raise BadRecipe(
                f"--framework keras cannot honour {key}. Leave it at its default with --set, or "
                "train with --framework torch"
            )
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadValue("--framework keras trains in one process: start it without torchrun")
    yield Processes(torch.device("cpu"))


def epoch(session: Run, stop: Stop) -> Line | None:
    """The steps of an epoch that are left; None, with all saved, if it was asked to stop."""
    learner = session.learner
    assert isinstance(learner, KerasLearner)
    keep = _Keep(session, learner, stop)
    if session.places_left():
        with closing(_Steps(session)) as steps:
            learner.network.fit(steps, shuffle=False, verbose=0, callbacks=[keep])
    if keep.stopped:
        return None
    save(learner.network, session.run / LAST)
    return session.end_epoch(on_best=lambda: save(learner.result, session.run / BEST))


class _Steps(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of an epoch from where it stands, in order; reading ahead is the clips' part."""

    def __init__(self, session: Run) -> None:
        super().__init__()
        self._session, self._places = session, session.places_left()
        self._first = session.learner.steps_done
        self._next = 0
        self._reading: Generator[tuple[Tensor, Tensor], None, None] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        if self._reading is None or index != self._next:  # Keras looks at some, and begins again
            self.close()
            places = self._places[index:]
            self._reading = batches(self._session, places, step=self._first + index)
        self._next = index + 1
        clips, labels = next(self._reading)
        return clips.numpy(), labels.numpy()

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.close()


class _Keep(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts steps and losses, saves where the recipe says so, stops where it is asked to."""

    def __init__(self, session: Run, learner: KerasLearner, stop: Stop) -> None:
        super().__init__()
        self.stopped = False
        self._session, self._learner, self._stop = session, learner, stop
        self._steps, self._losses = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        session = self._session
        # self.model: JAX lays the weights back into the network when it is asked for in this way
        self._learner.stepped(lambda: self.model)
        self._steps += 1
        before, self._losses = self._losses, float(logs["loss"]) * self._steps  # Keras tells means
        session.count(torch.tensor(self._losses - before))
        self.stopped = session.to_stop(self._stop.asked)
        if self.stopped or session.save_is_due:
            self.model.stop_training = self.stopped
            session.save()
