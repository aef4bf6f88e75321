"""One model for all requests: the windows that wait go through it together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark.arrays import Float32Array
from earmark.errors import BadModel
from earmark.runtime import BATCH, LoadedModel


class _Waiting(NamedTuple):
    log_mel: Float32Array
    answer: Future[tuple[Float32Array, Float32Array]]


class SharedModel:
    """A loaded model whose `run` many threads may call at once.

    One thread runs the network. It does not wait for a batch to fill: when it is free it takes what
    waits, so that a single request is answered at once, and many fill the batches by themselves.

    on_batch : called with how many windows were taken together, each time; a request of more than
        BATCH is taken alone
    """

    def __init__(self, model: LoadedModel, *, on_batch: Callable[[int], None]) -> None:
        self.path, self.runtime, self.card = model.path, model.runtime, model.card
        self._model, self._on_batch = model, on_batch
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._held: list[_Waiting] = []  # at most one, which did not fit into the last batch
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def run(self, log_mel: Float32Array) -> tuple[Float32Array, Float32Array]:
        """As Model.run, together with the windows of other requests."""
        answer: Future[tuple[Float32Array, Float32Array]] = Future()
        self._waiting.put(_Waiting(log_mel, answer))
        return answer.result()

    def close(self) -> None:
        """Answer what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._next(wait=True)) is not None:
            together = self._gather(first)
            try:
                logits, embeddings = self._model.run(
                    np.concatenate([one.log_mel for one in together])
                )
            except BaseException as error:  # noqa: BLE001 - each request raises it for itself
                for one in together:
                    one.answer.set_exception(error)
                continue
            self._on_batch(len(logits))
            ends = np.cumsum([len(one.log_mel) for one in together])[:-1]
            parts = zip(np.split(logits, ends), np.split(embeddings, ends), strict=True)
            for one, part in zip(together, parts, strict=True):
                if all(np.isfinite(array).all() for array in part):
                    one.answer.set_result(part)
                else:
                    one.answer.set_exception(_not_finite(self.path))

    def _gather(self, first: _Waiting) -> list[_Waiting]:
        """What waits now and fits into one batch."""
        together, n = [first], len(first.log_mel)
        while n < BATCH and (more := self._next(wait=False)) is not None:
            n += len(more.log_mel)
            if n > BATCH:
                self._held.append(more)
            else:
                together.append(more)
        return together

    def _next(self, *, wait: bool) -> _Waiting | None:
        """What has waited longest; None at the end, or where nothing waits and `wait` is false."""
        if self._held:
            return self._held.pop()
        try:
            item = self._waiting.get(block=wait)
        except queue.Empty:
            return None
        if item is None:
            self._waiting.put(None)  # for the next call
        return item


def _not_finite(path: Path) -> BadModel:
    return BadModel(
        f"the model {path.name} answers with infinite numbers or with none (NaN). Check the file "
        "with `earmark models info`, or serve another model"
    )


class ReportingModel:
    """A loaded model that reports after each `run` how many windows went through it."""

    def __init__(self, model: LoadedModel, on_run: Callable[[int], None]) -> None:
        self.path, self.runtime, self.card = model.path, model.runtime, model.card
        self._model, self._on_run = model, on_run

    def run(self, log_mel: Float32Array) -> tuple[Float32Array, Float32Array]:
        """As Model.run."""
        result = self._model.run(log_mel)
        self._on_run(len(log_mel))
        return result
