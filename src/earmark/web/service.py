"""The work behind the API: uploads are decoded, heard and described, several at once."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, Self, TypeVar

import numpy as np
import numpy.typing as npt

from earmark import chapters, files, taggrams, zoo
from earmark.audio import Audio
from earmark.errors import BadValue
from earmark.files import Json
from earmark.inference import Options
from earmark.results import Tags
from earmark.runtime import Model
from earmark.tagger import Tagger
from earmark.web import cards, drawing
from earmark.web.access import LOOPBACK
from earmark.web.batching import ReportingModel, SharedModel
from earmark.web.decoders import Decoders
from earmark.web.errors import Busy, TooLong
from earmark.web.limits import Limits
from earmark.web.metrics import Metrics
from earmark.web.occlusion import sensitivity

Result = TypeVar("Result")
# From an embedding, float32 (n_dimensions,), to the songs of a library that are most like it, best
# first, each as {"title", "similarity"}.
Similar = Callable[[npt.NDArray[np.float32]], list[Json]]
OnShare = Callable[[float], None]  # called with the share of a song that was heard, in [0, 1]

_REQUESTS_PER_DECODER = 2  # one is decoded while the other is heard
_SHORT_MINUTES = 20.0  # of a song whose samples may lie in memory beside those of others
_FIRST_GUESS = 1.0  # seconds that a request takes, before one was served


@dataclass(frozen=True)
class Upload:
    """An uploaded file. `name` is the sender's name for it, and is never used as a path."""

    path: Path
    name: str


class Service:
    """A loaded model and its decoders, shared by all requests.

    similar : finds songs like one that was heard; None where no library was given
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        limits: Limits = Limits(),
        runtime: str | None = None,
        similar: Similar | None = None,
    ) -> None:
        self.limits = limits
        self.metrics = Metrics()
        self._similar = similar
        loaded = Model(zoo.resolve(model), runtime=runtime)
        self._model = SharedModel(loaded, on_batch=self.metrics.batches.observe)
        self.tagger = Tagger(self._model)
        self._sha256 = files.sha256(loaded.path)
        self._decoders = Decoders(
            limits, on_loss=lambda why: self.metrics.decoders_lost.labels(why).inc()
        )
        n_threads = _REQUESTS_PER_DECODER * limits.n_decoders
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="request")
        self._turns = asyncio.Semaphore(n_threads)
        self._long = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="earmark-")
        self.folder = Path(self._folder.name)  # deleted at the end
        self._numbers = itertools.count()
        self._under_way = 0
        self._of_client: Counter[str | None] = Counter()
        self._usual_seconds = _FIRST_GUESS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End threads and processes, and delete the remaining uploads."""
        self._threads.shutdown()
        self._decoders.close()
        self._model.close()
        self._folder.cleanup()

    @contextmanager
    def slot(self, client: str | None = None) -> Iterator[None]:
        """A slot among the requests under way. Raises Busy where none is free.

        client : the address that asks; one that is not on this machine gets half of the slots
        """
        mine = self._of_client[client]
        is_here = client is None or client in LOOPBACK
        if self._under_way >= self.limits.waiting:
            self._busy(f"the server is full: {self._under_way} requests are under way")
        if not is_here and mine >= max(1, self.limits.waiting // 2):
            self._busy(f"{mine} requests from your address are under way")
        self._under_way += 1
        self._of_client[client] += 1
        self.metrics.under_way.set(self._under_way)
        try:
            yield
        finally:
            self._under_way -= 1
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]
            self.metrics.under_way.set(self._under_way)

    def _busy(self, why: str) -> NoReturn:
        turns = self.limits.waiting / (_REQUESTS_PER_DECODER * self.limits.n_decoders)
        wait = min(60, max(1, math.ceil(turns * self._usual_seconds)))
        raise Busy(f"{why}. Try again in {wait} seconds", retry_after=wait)

    @asynccontextmanager
    async def stored(self, file: BinaryIO, name: str) -> AsyncIterator[Upload]:
        """An upload on the disk under a number, deleted at the end of the block."""
        path = self.folder / str(next(self._numbers))

        def copy() -> None:
            with path.open("xb") as target:
                shutil.copyfileobj(file, target, 1 << 20)

        try:
            await asyncio.to_thread(copy)
            yield Upload(path, name)
        finally:
            path.unlink(missing_ok=True)

    async def run(
        self, work: Callable[[], Result], *, is_gone: Callable[[], Awaitable[bool]]
    ) -> Result | None:
        """The result of work, in a thread of the pool; None if the client is gone before a thread
        is free.
        """
        async with self._turns:
            if await is_gone():
                return None
            started = time.monotonic()
            result = await asyncio.get_running_loop().run_in_executor(self._threads, work)
            self._usual_seconds += 0.1 * (time.monotonic() - started - self._usual_seconds)
            return result

    def tag(self, upload: Upload, options: Options) -> Tags:
        """The tags of an upload, as Tagger.tag gives them for its file."""
        with self._decoded(upload, seconds=options.max_seconds) as audio:
            return self._tags(self.tagger, upload, audio, options)[0]

    def embed(self, upload: Upload, options: Options) -> Json:
        """The embedding of an upload, as Tagger.embed gives it for its file."""
        with self._decoded(upload, seconds=options.max_seconds) as audio:
            heard = self.tagger.listen(audio.samples, rate=audio.rate, options=options)
        return {
            "path": upload.name,
            "seconds": round(heard.seconds, 3),
            "model": self.tagger.card.name,
            "sha256": self._sha256,
            "embedding": [float(f"{value:.7g}") for value in heard.embedding.tolist()],
        }

    def describe(self, upload: Upload, options: Options, on_progress: OnShare) -> Json:
        """All that the page shows of an upload.

        on_progress : called for the first time when the file is decoded; whatever it raises ends
            the work
        """
        with self._decoded(upload, seconds=options.max_seconds) as audio:
            return self._described(upload, audio, options, on_progress)

    def _described(
        self, upload: Upload, audio: Audio, options: Options, on_progress: OnShare
    ) -> Json:
        on_progress(0.0)
        settings = self.tagger.card.features
        clips = audio.seconds / settings.seconds
        stretches = max(1, math.ceil(clips * taggrams.MOMENTS_PER_WINDOW) - 1)
        n_windows = math.ceil(clips) + stretches
        done = 0

        def on_run(n: int) -> None:
            nonlocal done
            done += n
            on_progress(min(1.0, done / n_windows))

        tagger = Tagger(ReportingModel(self._model, on_run))
        heard, embedding = self._tags(tagger, upload, audio, options)
        gram = taggrams.taggram(tagger, audio.samples, rate=audio.rate)
        parts = chapters.chapters(gram, self.tagger.card) if not heard.headline else ()
        return {
            "song": heard.as_json(),
            "headline": heard.headline,
            "window_seconds": round(settings.seconds, 3),
            "waveform": drawing.waveform(audio.samples),
            "spectrogram": drawing.mel_image(audio.samples, settings=settings),
            "taggram": drawing.over_time(gram),
            "csv": taggrams.as_csv(gram),
            "chapters": chapters.as_json(parts),
            "chapter_list": chapters.as_text(parts),
            "cue": chapters.as_cue(parts, name=upload.name),
            "similar": self._similar(embedding) if self._similar and not heard.headline else None,
        }

    def sensitivity(self, upload: Upload, *, start: float) -> Json:
        """The regions that each tag depends on, of the window from `start` seconds on."""
        seconds = self.tagger.card.features.seconds
        with self._decoded(upload, start=start, seconds=seconds) as audio:
            return sensitivity(self.tagger, audio.samples, start=start)

    def models(self) -> Json:
        """The card of the model that is served, with a row for each tag."""
        card = self.tagger.card
        return {"models": [cards.as_json(card, sha256=self._sha256, runtime=self._model.runtime)]}

    def health(self) -> Json:
        """Whether the server works, and how many requests are under way."""
        return {
            "status": "ok",
            "model": self.tagger.card.name,
            "under_way": self._under_way,
            "waiting_limit": self.limits.waiting,
        }

    @contextmanager
    def _decoded(
        self, upload: Upload, *, start: float = 0.0, seconds: float | None = None
    ) -> Iterator[Audio]:
        """The samples of an upload. Of long recordings, whose samples take hundreds of MB, there is
        one at a time.

        Raises Busy for another.
        """
        short = min(_SHORT_MINUTES, self.limits.minutes)
        audio = None
        try:
            audio = self._decode(upload, start=start, seconds=seconds, minutes=short)
        except TooLong:
            if short == self.limits.minutes:
                raise
        if audio is not None:
            yield audio
            return
        if not self._long.acquire(blocking=False):
            raise Busy(
                f"another recording of more than {short:g} minutes is under way. Try again in a "
                "minute",
                retry_after=60,
            )
        try:
            yield self._decode(upload, start=start, seconds=seconds, minutes=self.limits.minutes)
        finally:
            self._long.release()

    def _decode(
        self, upload: Upload, *, start: float, seconds: float | None, minutes: float
    ) -> Audio:
        audio = self._decoders.decode(
            upload.path,
            name=upload.name,
            rate=self.tagger.card.features.rate,
            start=start,
            seconds=seconds,
            minutes=minutes,
        )
        if not audio.samples.size:
            if start:
                raise BadValue(
                    f"{upload.name} ends before {start:g} seconds; ask for an earlier start"
                )
            raise BadValue(f"{upload.name} holds no sound in what was asked for; ask for more")
        self.metrics.heard.inc(audio.seconds)
        return audio

    def _tags(
        self, tagger: Tagger, upload: Upload, audio: Audio, options: Options
    ) -> tuple[Tags, npt.NDArray[np.float32]]:
        """The tags of an upload, and its embedding."""
        heard = tagger.listen(audio.samples, rate=audio.rate, options=options)
        heard = dataclasses.replace(
            heard, damaged_packets=audio.damaged_packets, cut_short=audio.cut_short
        )
        return tagger.tags_of(heard, path=Path(upload.name), options=options), heard.embedding
