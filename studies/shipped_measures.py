"""How good the shipped model is on music of artists that it never heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.metrics import (
    average_precision,
    bootstrap,
    expected_calibration_error,
    precision_at_k,
    roc_auc,
)
from earmark.model_file import sigmoid
from earmark.ranking import RANKINGS, rank_values
from earmark.tags import MSD_50
from earmark.training.export.calibration import calibrate
from earmark.training.songs import priors
from studies.shipped_music import MAPPED, SAME, Music

Array = npt.NDArray[np.float64]
Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]
SIXTEEN = tuple(MAPPED.values())  # those of README's table
ELEVEN = tuple(SAME.values())  # of them, those that mean the same: what is calibrated


def labels_of(music: Music) -> dict[str, Labels]:
    """The truth of every tag that 4Q has a word for; bool (n,) each."""
    words = {tag: word for word, tag in MAPPED.items()} | {word: word for word in music.own}
    return {tag: music.has(words[tag]) for tag in music.tags if tag in words}


def measure(
    music: Music, logits: Logits, *, teachers: Array, best: Array, tested: Labels
) -> dict[str, Any]:
    """All figures, from the logits of the folds' own models.

    Means are over folds; `per_tag` has ROC-AUC over all clips together.

    logits : float32 (n, n_tags); teachers : (n, 50), their mean; best : (n, 50),
        of the best of them; tested : bool (n,)
    """
    labels = labels_of(music)
    known = music.labelled & tested
    folds = sorted(set(music.folds[tested].tolist()))
    of = {tag: music.tags.index(tag) for tag in music.tags}
    fifty = [SAME.get(word, word) for word in music.fifty]
    judged = [*fifty, *(tag for tag in SAME.values() if tag not in fifty)]
    summary: dict[str, Any] = {
        "16 mapped tags": _quality(music, logits, labels, SIXTEEN, folds),
        "50 words of 4Q": _quality(music, logits, labels, fifty, folds),
    }
    for name, of_teachers in (("teachers' mean", teachers), ("best teacher", best)):
        summary[f"16 mapped tags, {name}"] = _quality(music, of_teachers, labels, SIXTEEN, folds)
    others = [tag for tag in MSD_50 if tag not in SIXTEEN]
    agreement = {
        tag: float(
            np.mean([
                _rank_correlation(logits[at, of[tag]], teachers[at, of[tag]])
                for at in (music.folds == fold for fold in folds)
            ])
        )
        for tag in others
    }  # fmt: skip
    summary["agreement with the teachers"] = {
        "mean": float(np.mean(list(agreement.values()))),
        "least": min(agreement.items(), key=lambda pair: pair[1]),
    }
    for tags in (SIXTEEN, ELEVEN):
        errors = _calibration(music, logits, labels, tags, folds)
        summary[f"calibration error, {len(tags)} tags"] = errors
    summary["precision at"] = _rankings(music, logits, labels, judged, folds)
    per_tag = {
        tag: {
            "positives": int(labels[tag][known].sum()),
            "roc_auc": float(roc_auc(labels[tag][known], logits[known, of[tag]])),
        }
        for tag in labels
    }
    for tag, value in agreement.items():
        per_tag.setdefault(tag, {})["agreement"] = value
    return {"summary": summary, "per_tag": per_tag}


def show(results: dict[str, Any]) -> None:
    """The figures, as a person reads them."""
    for name, values in results["summary"].items():
        print(f"{name}:")
        for key, value in values.items():
            shown = "-  (a single fold leaves nothing to fit on)" if value is None else value
            print(f"  {key:<20} {shown}")


def _quality(
    music: Music,
    logits: Logits,
    labels: dict[str, Labels],
    tags: tuple[str, ...] | list[str],
    folds: list[int],
) -> dict[str, list[float]]:
    """Macro ROC-AUC and AP: mean over the folds, and its 95 % interval by bootstrap within each."""
    columns = [music.tags.index(tag) for tag in tags]
    result = {}
    for name, function in (("roc_auc", roc_auc), ("average_precision", average_precision)):
        values, errors = [], []
        for fold in folds:
            at = music.labelled & (music.folds == fold)
            truth = np.stack([labels[tag][at] for tag in tags], axis=1)
            values.append(float(function(truth, logits[at][:, columns])))
            generator = np.random.default_rng(fold)
            interval = bootstrap(truth, logits[at][:, columns], name, generator=generator, n=300)
            errors.append(interval.error)
        mean, error = float(np.mean(values)), float(np.sqrt(np.sum(np.square(errors)))) / len(folds)
        result[name] = [round(x, 4) for x in (mean, mean - 1.96 * error, mean + 1.96 * error)]
    return result


def _calibration(
    music: Music,
    logits: Logits,
    labels: dict[str, Labels],
    tags: tuple[str, ...],
    folds: list[int],
) -> dict[str, float | None]:
    """Expected calibration error of these tags; after: each fold by the fit of the others.

    After is None for a single fold, beside which there is nothing to fit on.
    """
    columns = [music.tags.index(tag) for tag in tags]
    truth = np.stack([labels[tag] for tag in tags], axis=1)
    plain, fitted, true = [], [], []
    for fold in folds:
        here = music.labelled & (music.folds == fold)
        there = music.labelled & np.isin(music.folds, folds) & ~here
        x = logits[here][:, columns]
        plain.append(sigmoid(x))
        if there.any():
            by = calibrate(logits[there][:, columns], truth[there])
            fitted.append(sigmoid(x * np.array(by.scale) + np.array(by.offset)))
        true.append(truth[here])
    return {"before": _error(true, plain), "after": _error(true, fitted) if fitted else None}


def _error(truth: list[Labels], scores: list[npt.NDArray[Any]]) -> float:
    """The mean over tags of their calibration error, over all folds together."""
    pairs = zip(np.concatenate(truth).T, np.concatenate(scores).T, strict=True)
    return float(np.mean([expected_calibration_error(t, s) for t, s in pairs]))


def _rankings(
    music: Music,
    logits: Logits,
    labels: dict[str, Labels],
    tags: list[str],
    folds: list[int],
) -> dict[str, dict[int, float]]:
    """Precision of the first 1, 3, 5 and 10 tags by each ranking; calibrated on other folds."""
    columns = [music.tags.index(tag) for tag in tags]
    truth = np.stack([labels[tag] for tag in tags], axis=1)
    values: dict[str, dict[int, list[float]]] = {
        by: {k: [] for k in (1, 3, 5, 10)} for by in RANKINGS
    }
    for fold in folds:
        here = music.labelled & (music.folds == fold)
        there = music.labelled & np.isin(music.folds, folds) & ~here
        if not there.any():
            continue
        fit = calibrate(logits[there][:, columns], truth[there])
        scores = sigmoid(logits[here][:, columns] * np.array(fit.scale) + np.array(fit.offset))
        shares = priors(truth[there]).astype(np.float32)
        for by in RANKINGS:
            ranked = rank_values(scores.astype(np.float32), shares, by=by)
            for k, of_k in values[by].items():
                of_k.append(precision_at_k(truth[here], ranked, k=k))
    return {
        by: {k: round(float(np.mean(of_k)), 4) for k, of_k in of_by.items() if of_k}
        for by, of_by in values.items()
    }


def _rank_correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Spearman's, of numbers without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
