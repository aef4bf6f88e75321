"""All figures of the shipped model, and how a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.tags import MSD_50
from earmark.training.probe import fit
from studies.shipped_kind import kinds_of, worst
from studies.shipped_labels import Labels
from studies.shipped_measures import (
    agreement,
    answer,
    calibrated_by_others,
    calibration_errors,
    first_genres,
    per_tag,
    questions,
    shared_genres,
    when_sure,
)
from studies.shipped_music import Clip, folds_of
from studies.shipped_sounds import Sound
from studies.shipped_targets import Said, by_regression, mean_of_msd
from studies.shipped_teachers import TEACHERS
from studies.shipped_truth import judged
from studies.shipped_words import TAGS

Array = npt.NDArray[np.float32]
SHRINKAGE = 0.3  # of the prior, for the first genre
PROBE_STRENGTH = 0.01  # C of the probe on the standardised embedding


def measure(
    clips: Sequence[Clip],
    labels: Labels,
    sounds: Sequence[Sound],
    said: Said,
    logits: Array,
    embeddings: Array,
) -> dict[str, Any]:
    """From what each fold's model hears of the fold that it left out.

    logits : float32 (n_clips + n_sounds, n_heads + 7); embeddings : (n_clips + n_sounds, n)
    """
    n = len(clips)
    folds = folds_of(clips)
    of_music = logits[:n, : len(labels.heads)]
    cells = judged(clips, labels)
    by_others, enough = calibrated_by_others(of_music, labels, cells, folds)
    msd = mean_of_msd(said)
    models: dict[str, tuple[Sequence[str], Array]] = {
        "earmark": (labels.heads, of_music),
        "teachers' mean": (MSD_50, msd),
        **{name: (MSD_50, said[name][0]) for name in TEACHERS if TEACHERS[name].weight},
    }
    results: dict[str, Any] = {
        question.name: {
            name: answer(question, tags, of_model, folds)
            for name, (tags, of_model) in models.items()
            if set(tags) & set(question.tags)
        }
        for question in questions(clips)
    }
    fifty = questions(clips)[1]
    probed = probe(embeddings[:n], fifty.truth, fifty.at, folds)
    results[fifty.name]["probe on the embedding"] = answer(fifty, fifty.tags, probed, folds)
    untaught = [tag for tag in MSD_50 if not by_regression(labels)[labels.column(tag)]]
    agreed = agreement(
        labels.heads, of_music, {tag: msd[:, MSD_50.index(tag)] for tag in untaught}, folds
    )
    results["agreement with the teachers"] = {
        "mean": round(float(np.mean(list(agreed.values()))), 4), "each": agreed
    }  # fmt: skip
    results["calibration error"] = calibration_errors(of_music, by_others, labels, cells, enough)
    results["calibrated"] = [
        head for head, is_so in zip(labels.heads, enough, strict=True) if is_so and head in TAGS
    ]
    results["first genre right"] = {
        "earmark": first_genres(clips, labels.heads, by_others),
        **{
            name: first_genres(clips, tags, z)
            for name, (tags, z) in models.items()
            if tags is MSD_50
        },
    }
    results["first genre of 4Q, answered and right from a score on"] = when_sure(
        clips, labels.heads, by_others, shrinkage=SHRINKAGE
    )
    results["five nearest share of genres"] = shared_genres(clips, embeddings[:n])
    results["kinds"] = kinds_of(logits[:, len(labels.heads) :], clips, sounds)
    results["not called music"] = worst(logits[:n, len(labels.heads) :], clips)
    results["per tag"] = per_tag(of_music, labels, cells)
    return results


def probe(
    embeddings: Array,
    labels: npt.NDArray[np.bool_],
    at: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
) -> Array:
    """float32 (n, n_tags): logits of regressions on the embedding, learned on the other folds."""
    import torch

    result = np.zeros(labels.shape, dtype=np.float32)
    for fold in np.unique(folds):
        learned = at & (folds != fold)
        mean, deviation = embeddings[learned].mean(0), embeddings[learned].std(0) + 1e-6
        x = (embeddings - mean) / deviation
        weight, bias = fit(
            torch.from_numpy(x[learned]),
            torch.from_numpy(labels[learned].astype(np.float32)),
            strength=PROBE_STRENGTH,
        )
        here = folds == fold
        result[here] = x[here] @ weight.numpy().T + bias.numpy()
    return result


def show(results: dict[str, Any]) -> None:
    """The figures that a goal was set for."""
    for name, values in results.items():
        if not isinstance(values, dict) or name == "per tag":
            print(f"{name}: {values if name != 'per tag' else f'{len(values)} measured'}")
            continue
        print(f"{name}:")
        for key, value in values.items():
            if isinstance(value, dict) and "roc_auc" in value:
                value = f"{value['roc_auc']}  AP {value['average_precision']}"
            print(f"  {key:<28} {value}")
