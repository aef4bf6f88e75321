"""Taggrams: the scores of tags over time, as CSV and as a PNG below the spectrogram."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import files, windows
from earmark import tags as vocabulary
from earmark.arrays import Float32Array, Float64Array
from earmark.audio import load_audio
from earmark.audio.fetched import local_file
from earmark.audio.given import AudioSource, path_of
from earmark.errors import BadValue
from earmark.features import LogMel, log_mel
from earmark.inference import Options
from earmark.pictures import new_figure
from earmark.remote import Place
from earmark.tagger import Tagger

# A cell is 1/8 of a window; its scores come from the stretches, twice as long, that cover it.
MOMENTS_PER_WINDOW = 8
_PICTURE_TAGS = 20  # rows that stay readable
_PICTURE_SECONDS = 0.25  # width of a spectrogram column, at the finest
_PICTURE_COLUMNS = 2000
_LONGEST_STEM = 230  # bytes; file systems allow names of 255, such as "STEM-100.chapters.txt"


@dataclass(frozen=True)
class Taggram:
    """The tags of one track over time.

    path : of the file, or its address; None for samples
    tags : the names of the scores' columns
    seconds : float64 (n_cells,), where each cell starts; the last ends with the track
    scores : float32 (n_cells, n_tags), in [0, 1]
    duration : seconds of the track
    """

    path: Place | None
    tags: tuple[str, ...]
    seconds: Float64Array
    scores: Float32Array
    duration: float


def taggram(
    tagger: Tagger,
    source: AudioSource,
    *,
    rate: int | None = None,
    max_seconds: float | None = None,
    limits: bool = True,
) -> Taggram:
    """The tags of a file, or of samples at `rate` Hz, over time.

    source : what Tagger.tag takes
    max_seconds : the track ends there; None takes all of it
    limits : as of inference.Options

    Raises UnreadableAudio for a file that holds no audio.
    """
    features = tagger.card.features
    moment = features.window_samples // MOMENTS_PER_WINDOW
    options = Options(
        hop_seconds=moment / features.rate,
        stretch_seconds=2 * moment / features.rate,
        max_seconds=max_seconds,
        limits=limits,
    )
    heard = tagger.listen(source, rate=rate, options=options)
    logits = windows.over_time(
        heard.starts,
        heard.logits,
        lengths=heard.lengths,
        n_samples=round(heard.seconds * features.rate),
        cell_samples=moment,
    )
    # the words for what is not music are no tags
    columns = [i for i, tag in enumerate(tagger.tags) if vocabulary.group(tag) != "sound"]
    return Taggram(
        path=path_of(source),
        tags=tuple(tagger.tags[column] for column in columns),
        seconds=np.arange(len(logits), dtype=np.float64) * (moment / features.rate),
        scores=tagger.card.scores(logits)[:, columns],
        duration=heard.seconds,
    )


def as_csv(gram: Taggram) -> str:
    """A table: `seconds`, then one column a tag; one row a cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["seconds", *gram.tags])
    for seconds, scores in zip(gram.seconds, gram.scores, strict=True):
        writer.writerow([f"{seconds:.3f}", *(f"{score:.6f}" for score in scores)])
    return text.getvalue()


def write_csv(path: str | Path, gram: Taggram) -> None:
    """Write the table of as_csv."""
    files.write_text(path, as_csv(gram))


def write_png(path: str | Path, gram: Taggram, *, tagger: Tagger) -> None:
    """Write a PNG: the spectrogram above, below it the tags with the highest scores.

    Raises BadValue for the taggram of samples, which came from no file, and MissingExtra without
    matplotlib.
    """
    if gram.path is None:
        raise BadValue(
            "a PNG needs the audio file; this taggram was made from samples. Make it from a file"
        )

    order = np.argsort(-gram.scores.max(axis=0), kind="stable")[:_PICTURE_TAGS]
    figure = new_figure(11, 7)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.6])
    edges = [0.0, gram.duration]
    features = tagger.card.features
    with local_file(gram.path) as audio:
        mel = spectrogram(
            _pieces(audio, settings=features, duration=gram.duration),
            settings=features,
            column_seconds=max(_PICTURE_SECONDS, gram.duration / _PICTURE_COLUMNS),
        )
    above.imshow(
        mel, aspect="auto", origin="lower", cmap="magma",
        extent=(*edges, 0, features.n_mels), interpolation="nearest",
    )  # fmt: skip
    above.set_ylabel("mel band")
    # $ would begin a formula, and some characters cannot be drawn by any font
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
        figure.savefig(temporary, format="png")


def names(paths: Sequence[Place]) -> list[str]:
    """A file name, without suffix, for each path's taggram; no two are the same."""
    taken: set[str] = set()
    result = []
    for path in paths:
        stem, encoded = path.stem, os.fsencode(path.stem)
        if len(encoded) > _LONGEST_STEM:
            stem = encoded[:_LONGEST_STEM].decode(errors="ignore")  # cut between two letters
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name.casefold())
        result.append(name)
    return result


def spectrogram(
    pieces: Iterable[Float32Array], *, settings: LogMel, column_seconds: float
) -> Float32Array:
    """The log-mel spectrogram of a track, with columns of about `column_seconds`, piece by piece.

    pieces : one clip's length each, but the last
    returns : float32 (n_mels, n_columns), dB, cut off below the loudest of the whole track
    """
    # else each piece would have a floor and a level of its own
    uncut = dataclasses.replace(settings, top_db=None, level=None)
    columns = []
    for samples in pieces:
        mel = log_mel(samples, settings=uncut)
        n_frames = mel.shape[1]
        n_columns = min(max(1, round(samples.size / settings.rate / column_seconds)), n_frames)
        edges = np.arange(n_columns + 1) * n_frames // n_columns  # evenly, so that time is straight
        columns.append(np.add.reduceat(mel, edges[:-1], axis=1) / np.diff(edges))
    whole: Float32Array = np.concatenate(columns, axis=1)
    if settings.top_db is not None:
        np.maximum(whole, whole.max() - np.float32(settings.top_db), out=whole)
    return whole


def _pieces(path: Path, *, settings: LogMel, duration: float) -> Iterator[Float32Array]:
    """The clips of a file, one after the other."""
    for start in np.arange(0, duration, settings.seconds):
        seconds = min(settings.seconds, duration - start)
        part = load_audio(  # its costs were looked at when it was heard
            path, rate=settings.rate, start=start, seconds=seconds, limits=False
        )
        samples = part.samples
        if samples.size:
            yield samples
