"""Tags over time: the taggram, as numbers (CSV) and as a picture (PNG) under the spectrogram."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark import files, windows
from earmark.audio import load_audio
from earmark.features import log_mel
from earmark.listening import Options
from earmark.tagger import Tagger

Array = npt.NDArray[np.float32]
# A moment is an eighth of a window; it is judged by the stretches, twice as long, that hold it.
MOMENTS_PER_WINDOW = 8
_PICTURE_TAGS = 20  # rows that stay readable
_PICTURE_SECONDS = 0.25  # width of a spectrogram column, at the finest


@dataclass(frozen=True)
class Taggram:
    """Scores over time.

    seconds : float64 (n_cells,), where each cell starts; the last ends with the track
    scores : float32 (n_cells, n_tags), in [0, 1]
    """

    path: Path
    tags: tuple[str, ...]
    seconds: npt.NDArray[np.float64]
    scores: Array
    duration: float  # seconds


def taggram(tagger: Tagger, path: str | Path, *, max_seconds: float | None = None) -> Taggram:
    """The tags of a file over time. Raises UnreadableAudio."""
    features = tagger.card.features
    moment = features.window_samples // MOMENTS_PER_WINDOW
    options = Options(
        hop_seconds=moment / features.rate,
        stretch_seconds=2 * moment / features.rate,
        max_seconds=max_seconds,
    )
    heard = tagger.listen(path, options=options)
    logits = windows.over_time(
        heard.starts,
        heard.logits,
        length=2 * moment,
        n_samples=round(heard.seconds * features.rate),
        cell_samples=moment,
    )
    return Taggram(
        path=Path(path),
        tags=tagger.tags,
        seconds=np.arange(len(logits), dtype=np.float64) * (moment / features.rate),
        scores=tagger.card.scores(logits),
        duration=heard.seconds,
    )


def write_csv(path: str | Path, gram: Taggram) -> None:
    """A table: `seconds`, then one column a tag; one row a cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["seconds", *gram.tags])
    for seconds, scores in zip(gram.seconds, gram.scores, strict=True):
        writer.writerow([f"{seconds:.3f}", *(f"{score:.6f}" for score in scores)])
    files.write_text(path, text.getvalue())


def write_png(path: str | Path, gram: Taggram, *, tagger: Tagger) -> None:
    """A picture: the spectrogram above, below it the tags that are strongest anywhere."""
    from matplotlib.figure import Figure

    order = np.argsort(-gram.scores.max(axis=0), kind="stable")[:_PICTURE_TAGS]
    figure = Figure(figsize=(11, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.6])
    edges = [0.0, gram.duration]
    features = tagger.card.features
    above.imshow(
        _spectrogram(gram, tagger), aspect="auto", origin="lower", cmap="magma",
        extent=(*edges, 0, features.n_mels), interpolation="nearest",
    )  # fmt: skip
    above.set_ylabel("mel band")
    # a file name is no formula and may hold what no font can draw
    name = gram.path.name.encode(errors="replace").decode().replace("$", r"\$")
    above.set_title(f"{name}: what {tagger.card.name} hears")
    bounds = np.append(gram.seconds, gram.duration)
    rows = np.arange(len(order) + 1)
    mesh = below.pcolormesh(
        bounds, rows, gram.scores[:, order].T, vmin=0, vmax=1, cmap="viridis", shading="flat"
    )
    below.set_yticks(rows[:-1] + 0.5, [gram.tags[i].replace("$", r"\$") for i in order])
    below.invert_yaxis()
    below.set_xlabel("seconds")
    figure.colorbar(mesh, ax=below, label="score")
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def names(paths: Sequence[Path]) -> list[str]:
    """A file name, without suffix, for each path's taggram; no two are the same."""
    taken: set[str] = set()
    result = []
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in taken:
            name, number = f"{path.stem}-{number}", number + 1
        taken.add(name.casefold())
        result.append(name)
    return result


def _spectrogram(gram: Taggram, tagger: Tagger) -> Array:
    """A log-mel picture of at most a few thousand columns, made piece by piece."""
    features = tagger.card.features
    width = max(_PICTURE_SECONDS, gram.duration / 2000)  # seconds a column
    columns = []
    for start in np.arange(0, gram.duration, features.seconds):
        seconds = min(features.seconds, gram.duration - start)
        samples = load_audio(gram.path, rate=features.rate, start=start, seconds=seconds).samples
        if samples.size:
            mel = log_mel(samples, settings=features)
            n_columns = max(1, round(seconds / width))
            columns += [part.mean(axis=1) for part in np.array_split(mel, n_columns, axis=1)]
    return np.stack(columns, axis=1)
