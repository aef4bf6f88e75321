"""How good the shipped model is on music of artists that it never heard, beside its teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.metrics import (
    Statistic,
    average_precision,
    bootstrap,
    expected_calibration_error,
    roc_auc,
)
from earmark.model_file import Calibration, sigmoid
from earmark.training.export.calibration import calibrate
from studies.shipped_first import first_of, mean_priors, right_in_4q, right_in_songs
from studies.shipped_labels import Labels
from studies.shipped_music import Clip, folds_of, frequent_words
from studies.shipped_styles import GENRES
from studies.shipped_truth import (
    DECADES,
    ENOUGH_TO_CALIBRATE,
    ENOUGH_TO_MEASURE,
    SIXTEEN,
    VOICES,
    judged,
    truth,
)

Array = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
STATISTICS: dict[Statistic, Callable[..., Any]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}
REPLICATES = 300
SHRINKAGES = (0.0, 0.15, 0.3, 0.5, 0.7)
N_OF_A_GENRE = 15  # songs, for it to be judged


@dataclass(frozen=True, eq=False)
class Question:
    """Tags, and clips whose truth is known of them.

    at : bool (n,), the clips; tags : as models call them; truth : bool (n, n_tags)
    by_fold : the mean over folds, or, where a fold has too few clips, all together
    """

    name: str
    at: Bools
    tags: tuple[str, ...]
    truth: Bools
    by_fold: bool


def questions(clips: Sequence[Clip]) -> list[Question]:
    """All that models are compared by."""
    q4 = np.array([clip.source == "q4" for clip in clips])
    known = np.array([clip.known for clip in clips])
    words = [clip.words("genres", "moods") for clip in clips]
    years = np.array([float(clip.said.get("year") or "nan") for clip in clips])
    voices = np.array([clip.said.get("vocal", "") for clip in clips])
    genres = [clip.words("genres") if clip.known else frozenset() for clip in clips]
    fifty = frequent_words(clips)
    counts = {genre: sum(genre in said for said in genres) for genre in GENRES}
    heard = [
        genre for genre in GENRES if counts[genre] >= N_OF_A_GENRE and "|" not in GENRES[genre]
    ]
    heard += ["Hip-Hop"]
    tag_of = {genre: GENRES[genre].split("|")[0] for genre in dict.fromkeys(heard)}
    one_of_each = {tag: genre for genre, tag in reversed(tag_of.items())}
    sung = {"female", "male", "mixed", "none"}
    return [
        Question("16 tags in 4Q", q4, tuple(SIXTEEN), _having(words, SIXTEEN.values()), True),
        Question("fifty words of 4Q", q4, tuple(f"4Q {word}" for word in fifty),
                 _having(words, fifty), True),
        Question("decade of known songs", known & np.isfinite(years), tuple(DECADES),
                 np.stack([years // 10 * 10 == first for first in DECADES.values()], 1), False),
        Question("voice of known songs", known & np.isin(voices, sorted(sung)), tuple(VOICES),
                 np.stack([np.isin(voices, of) for of in VOICES.values()], 1), False),
        Question("genres of known songs", np.array([bool(said) for said in genres]),
                 tuple(one_of_each), _having(genres, one_of_each.values()), False),
    ]  # fmt: skip


def answer(
    question: Question, tags: Sequence[str], logits: Array, folds: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """[mean, low, high] (95 %) of each statistic over the tags that a model has; and of each."""
    having = [place for place, tag in enumerate(question.tags) if tag in tags]
    columns = [list(tags).index(question.tags[place]) for place in having]
    parts = [folds == fold for fold in np.unique(folds)] if question.by_fold else [folds >= 0]
    result: dict[str, Any] = {}
    for name, function in STATISTICS.items():
        values, errors = [], []
        for number, part in enumerate(parts):
            at = question.at & part
            true, said = question.truth[at][:, having], logits[at][:, columns]
            values.append(float(function(true, said)))
            random = np.random.default_rng(number)
            errors.append(bootstrap(true, said, name, generator=random, n=REPLICATES).error)
        mean = float(np.mean(values))
        error = float(np.sqrt(np.sum(np.square(errors)))) / len(parts)
        result[name] = [round(x, 4) for x in (mean, mean - 1.96 * error, mean + 1.96 * error)]
    of_each = roc_auc(
        question.truth[question.at][:, having], logits[question.at][:, columns], average=None
    )
    names = [question.tags[place] for place in having]
    result["each"] = {tag: round(float(x), 3) for tag, x in zip(names, of_each, strict=True)}
    if len(having) < len(question.tags):
        result["without"] = [tag for tag in question.tags if tag not in tags]
    return result


def fitted(logits: Array, labels: Labels, cells: Bools) -> tuple[Calibration, Bools]:
    """Slope and offset of each head with enough sure clips; the others are left as they are."""
    n = len(labels.heads)
    slope, offset, enough = np.ones(n), np.zeros(n), np.zeros(n, dtype=bool)
    has = truth(labels)
    for column in range(n):
        at = cells[:, column] & np.isfinite(logits[:, column])
        if min((has[at, column]).sum(), (~has[at, column]).sum()) < ENOUGH_TO_CALIBRATE:
            continue
        fit = calibrate(logits[at][:, [column]].astype(np.float32), has[at][:, [column]])
        slope[column], offset[column], enough[column] = fit.scale[0], fit.offset[0], True
    return Calibration(tuple(slope.tolist()), tuple(offset.tolist())), enough


def calibrated_by_others(
    logits: Array, labels: Labels, cells: Bools, folds: npt.NDArray[np.int64]
) -> tuple[Array, Bools]:
    """Each fold's logits by the fit of the other folds; and which heads are calibrated."""
    result, enough = logits.copy(), np.zeros(len(labels.heads), dtype=bool)
    for fold in np.unique(folds):
        here = folds == fold
        fit, fitted_here = fitted(logits[~here], _rows(labels, ~here), cells[~here])
        result[here] = logits[here] * np.array(fit.scale) + np.array(fit.offset)
        enough |= fitted_here
    return result, enough


def per_tag(logits: Array, labels: Labels, cells: Bools) -> dict[str, dict[str, Any]]:
    """Of each head with enough sure clips: how many have it, ROC-AUC and its 95 % interval."""
    has, result = truth(labels), {}
    for column, head in enumerate(labels.heads):
        at = cells[:, column]
        true, said = has[at][:, [column]], logits[at][:, [column]]
        if min(true.sum(), (~true).sum()) < ENOUGH_TO_MEASURE:
            continue
        interval = bootstrap(
            true, said, "roc_auc", generator=np.random.default_rng(column), n=REPLICATES
        )
        result[head] = {
            "positives": int(true.sum()),
            "negatives": int((~true).sum()),
            "roc_auc": round(float(roc_auc(true, said)), 4),
            "interval": [round(interval.low, 4), round(interval.high, 4)],
        }
    return result


def calibration_errors(
    logits: Array, by_others: Array, labels: Labels, cells: Bools, enough: Bools
) -> dict[str, float]:
    """Expected calibration error, the mean over the calibrated heads, before and after."""
    has, result = truth(labels), {}
    for name, values in (("before", logits), ("after", by_others)):
        errors = [
            expected_calibration_error(
                has[cells[:, column], column][:, None],
                sigmoid(values[cells[:, column], column])[:, None],
            )
            for column in np.flatnonzero(enough)
        ]
        result[name] = round(float(np.mean(errors)), 4)
    return result


def first_genres(clips: Sequence[Clip], tags: Sequence[str], log_odds: Array) -> dict[str, Any]:
    """How often the first genre is right, for each share of the prior that is taken off."""
    priors, result = mean_priors(log_odds), {}
    for shrinkage in SHRINKAGES:
        first = first_of(log_odds, tags, priors, shrinkage=shrinkage)
        rights = {
            "4Q": right_in_4q(clips, first),
            "songs, as named": right_in_songs(clips, first, wider=False),
            "songs, or a wider genre named": right_in_songs(clips, first, wider=True),
        }
        result[f"{shrinkage}"] = {
            name: [round(float(right.mean()), 4), round(_half_width(right), 4), len(right)]
            for name, right in rights.items()
        }
    return result


def when_sure(
    clips: Sequence[Clip], tags: Sequence[str], log_odds: Array, *, shrinkage: float
) -> dict[str, Any]:
    """4Q's clips whose first genre has at least a score: their share, and how many are right."""
    q4 = np.array([clip.source == "q4" for clip in clips])
    first = first_of(log_odds, tags, mean_priors(log_odds), shrinkage=shrinkage)
    right = right_in_4q(clips, first)
    columns = [list(tags).index(genre) for genre in first]
    scores = sigmoid(log_odds[np.arange(len(first)), columns])[q4]
    result = {}
    for least in (0.0, 0.2, 0.3, 0.4, 0.5, 0.7):
        at = scores >= least
        result[f"{least}"] = [round(float(at.mean()), 3), round(float(right[at].mean()), 3)]
    return result


def agreement(
    tags: Sequence[str], logits: Array, teachers: Mapping[str, Array], folds: npt.NDArray[np.int64]
) -> dict[str, float]:
    """Spearman's correlation with the teachers' logits, the mean over the folds, of each tag."""
    return {
        tag: round(float(np.mean([
            _rank_correlation(logits[folds == fold, list(tags).index(tag)], said[folds == fold])
            for fold in np.unique(folds)
        ])), 4)
        for tag, said in teachers.items()
    }  # fmt: skip


def shared_genres(clips: Sequence[Clip], vectors: Array, *, n_nearest: int = 5) -> float:
    """Jaccard's share of genres with the nearest clips of other artists in 4Q, within a fold."""
    shares = []
    folds = folds_of(clips)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for fold in np.unique(folds):
        places = [p for p in np.flatnonzero(folds == fold).tolist() if clips[p].source == "q4"]
        places = [p for p in places if clips[p].words("genres")]
        similar = unit[places] @ unit[places].T
        for row, place in enumerate(places):
            mine = clips[place].words("genres")
            nearest = (places[other] for other in np.argsort(-similar[row]).tolist())
            others = [p for p in nearest if clips[p].said["artist"] != clips[place].said["artist"]]
            for other in others[:n_nearest]:
                theirs = clips[other].words("genres")
                shares.append(len(mine & theirs) / len(mine | theirs))
    return round(float(np.mean(shares)), 4)


def _having(said: Sequence[frozenset[str]], words: Any) -> Bools:
    return np.array([[word in of_clip for word in words] for of_clip in said])


def _rows(labels: Labels, rows: Bools) -> Labels:
    return Labels(labels.heads, labels.values[rows], labels.weights[rows])


def _half_width(right: Bools) -> float:
    share = right.mean()
    return float(1.96 * np.sqrt(share * (1 - share) / len(right)))


def _rank_correlation(a: Array, b: Array) -> float:
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


__all__ = [
    "agreement", "answer", "calibrated_by_others", "calibration_errors", "first_genres", "fitted",
    "judged", "per_tag", "questions", "shared_genres", "when_sure",
]  # fmt: skip
