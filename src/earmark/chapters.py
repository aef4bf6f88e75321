"""Chapters: where a long recording changes, as a list of times, and as a cue sheet.

The scores over time (earmark.taggrams) are cut where that makes the parts most alike within
themselves: the least sum of squared distances from the mean of each part, plus a price for each
part. Dynamic programming finds that cut for all numbers of parts at once (optimal partitioning,
Jackson et al. 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import files
from earmark import tags as vocabulary
from earmark.arrays import Float64Array, Int64Array
from earmark.counted import clock
from earmark.files import Json
from earmark.model_file import Card
from earmark.ranking import evidence, log_odds
from earmark.taggrams import Taggram

_LEAST_SECONDS = 45.0  # of a chapter: a verse is none
_MOST_CELLS = 2500  # more are put together in pairs, and so on: the work grows with their square
# The price of a chapter, in mean squared distances of a cell from the mean of the recording.
# studies/chapters.py: all of 14 changes between known songs are found within 8 s with prices from 1
# to 6, and no song is cut in two.
PRICE = 4.0
_TITLE_TAGS = 3
_LEAST_TITLE_SCORE = 0.3


@dataclass(frozen=True)
class Chapter:
    """A part of a recording.

    start, end : seconds
    tags : what stands out in it, best first
    """

    start: float
    end: float
    tags: tuple[str, ...]

    @property
    def title(self) -> str:
        """The tags in one line, or what is said where none stands out."""
        return ", ".join(self.tags) or "music"


def chapters(gram: Taggram, card: Card) -> tuple[Chapter, ...]:
    """The chapters of a recording, in order, without gaps; one where nothing changes."""
    columns = [i for i, tag in enumerate(gram.tags) if _counts(tag)]
    cells = log_odds(gram.scores[:, columns]).astype(np.float64)
    together = -(-len(cells) // _MOST_CELLS)
    starts = np.arange(0, len(cells), together)
    sums = np.add.reduceat(cells, starts, axis=0)
    seconds = gram.seconds[starts]
    lengths = np.diff(np.append(starts, len(cells)))
    cell_seconds = gram.duration / len(starts)
    least = max(1, round(_LEAST_SECONDS / cell_seconds))
    cuts = _cuts(sums / lengths[:, None], least=least)
    bounds = [*seconds[cuts].tolist(), gram.duration]
    edges = [*starts[cuts].tolist(), len(cells)]
    return tuple(
        Chapter(bounds[i], bounds[i + 1], _stands_out(gram, card, edges[i], edges[i + 1]))
        for i in range(len(cuts))
    )


def as_json(parts: Sequence[Chapter]) -> list[Json]:
    """The chapters as JSON: {"start", "end", "title", "tags"}."""
    return [
        {
            "start": round(one.start, 3),
            "end": round(one.end, 3),
            "title": one.title,
            "tags": list(one.tags),
        }
        for one in parts
    ]


def as_text(parts: Sequence[Chapter]) -> str:
    """A line for each chapter, "12:34 title", as video and podcast sites read it."""
    return "".join(f"{clock(int(one.start))} {one.title}\n" for one in parts)


def as_cue(parts: Sequence[Chapter], *, name: str) -> str:
    """A cue sheet for a file of that name; players show its tracks."""
    kind = {".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF"}.get(Path(name).suffix.lower(), "WAVE")
    lines = [f'FILE "{_quoted(name)}" {kind}']
    for number, one in enumerate(parts, 1):
        frames = round(one.start * 75)  # of a CD
        minutes, rest = divmod(frames, 75 * 60)
        lines += [
            f"  TRACK {number:02d} AUDIO",
            f'    TITLE "{_quoted(one.title)}"',
            f"    INDEX 01 {minutes:02d}:{rest // 75:02d}:{rest % 75:02d}",
        ]
    return "\n".join(lines) + "\n"


def write(folder: str | Path, name: str, parts: Sequence[Chapter], *, source: str) -> None:
    """Write FOLDER/NAME.cue and FOLDER/NAME.chapters.txt.

    source : the name of the audio file
    """
    files.write_text(Path(folder) / f"{name}.cue", as_cue(parts, name=source))
    files.write_text(Path(folder) / f"{name}.chapters.txt", as_text(parts))


def _counts(tag: str) -> bool:
    """Whether a change of this tag is a change that people hear: a year is none."""
    return vocabulary.group(tag) not in ("era", "sound")


def _cuts(cells: Float64Array, *, least: int) -> Int64Array:
    """The first cell of each part; the first is 0.

    cells : float64 (n_cells, n_columns)
    least : cells of a part, but where there are fewer than that in all
    """
    n = len(cells)
    if n < 2 * least:
        return np.zeros(1, dtype=np.int64)
    centred = cells - cells.mean(axis=0)
    squares = np.append(0.0, np.cumsum((centred**2).sum(axis=1)))
    sums = np.vstack([np.zeros(cells.shape[1]), np.cumsum(centred, axis=0)])
    price = PRICE * squares[-1] / n
    best, last = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0] = -price
    for end in range(least, n + 1):
        begins = np.arange(end - least + 1)
        inside = ((sums[end] - sums[begins]) ** 2).sum(axis=1) / (end - begins)
        costs = best[begins] + squares[end] - squares[begins] - inside + price
        last[end] = int(np.argmin(costs))
        best[end] = costs[last[end]]
    cuts = []
    end = n
    while end:
        end = int(last[end])
        cuts.append(end)
    return np.array(cuts[::-1], dtype=np.int64)


def _stands_out(gram: Taggram, card: Card, first: int, end: int) -> tuple[str, ...]:
    """The likely tags of some cells, best first: a genre, then one of each other group."""
    scores = gram.scores[first:end].mean(axis=0)
    column = {tag: i for i, tag in enumerate(card.tags)}
    columns = [column[tag] for tag in gram.tags]
    values = scores
    if card.priors is not None:
        values = evidence(scores, np.array(card.priors, dtype=np.float32)[columns])
    best: dict[str, str] = {}
    for i in np.argsort(-values, kind="stable"):
        tag = gram.tags[i]
        if scores[i] >= _LEAST_TITLE_SCORE and _counts(tag) and _is_told(card, columns[i]):
            best.setdefault(vocabulary.group(tag), tag)
    genre = [best.pop("genre")] if "genre" in best else []
    return tuple([*genre, *best.values()][:_TITLE_TAGS])


def _is_told(card: Card, column: int) -> bool:
    """Whether a tag was compared with labels, or none was."""
    if card.reliability is None and card.calibration is None:
        return True
    measured = card.reliability is not None and card.reliability[column] is not None
    return measured or card.is_calibrated(column)


def _quoted(text: str) -> str:
    """A text that may stand between the quotes of a cue sheet, which knows no escapes."""
    return "".join(char if char.isprintable() else " " for char in text).replace('"', "'")
