"""Probing: how much of the tags of a store a frozen model's embeddings hold.

One logistic regression a tag is fitted to the embeddings of the training songs; how strongly it is
held back is chosen by the validation songs, and the test songs measure it. So models are compared
in MARBLE (Yuan et al. 2023, arXiv:2306.10548) and in much work before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import metrics
from earmark.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from earmark.data.store.reader import Store, open_store
from earmark.errors import BadValue
from earmark.evaluation.measures import measure, number
from earmark.evaluation.run import Stage, no_stage
from earmark.evaluation.scores import ScoredSongs, songs_of, source_of
from earmark.files import Json
from earmark.model_file import Card, sigmoid
from earmark.provenance import commit
from earmark.runtime import BATCH, Model

# (features, labels, strength) -> weights (n_tags, n_features), biases (n_tags,)
Fit = Callable[[Float32Array, BoolArray, float], tuple[Float32Array, Float32Array]]

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@dataclass(frozen=True)
class ProbeOptions:
    """Which songs of a store are learned from, choose and measure; and what is tried.

    train, valid, test : splits of the store, or fold numbers
    strengths : inverse of the penalty on the weights of standardised embeddings, scikit-learn's C
    replicates : draws of songs for the intervals; seed : of these
    """

    train: str = "train"
    valid: str = "valid"
    test: str = "test"
    strengths: Sequence[float] = STRENGTHS
    replicates: int = metrics.REPLICATES
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse splits that share songs, and strengths that are none."""
        if len({self.train, self.valid, self.test}) < 3:
            raise BadValue(
                f"the splits {self.train!r}, {self.valid!r} and {self.test!r} must differ: songs "
                "that are learned from cannot measure"
            )
        if not self.strengths or not all(strength > 0 for strength in self.strengths):
            raise BadValue(f"strengths {list(self.strengths)}: give one or more, above zero")


def probe_model(
    model: str | Path,
    store: str | Path,
    *,
    fit: Fit,
    options: ProbeOptions = ProbeOptions(),
    command: str = "",
    stage: Stage = no_stage,
) -> tuple[Json, ScoredSongs]:
    """Measure the embeddings of a model file; returns the result for `--json`, and the scores.

    fit : makes the regressions (earmark.training.linear_probe)
    command : the command line, for the record

    The tags are those of the store that some training songs carry and some do not, whatever the
    model's are. The result has what an evaluation has, and `probe`.

    Raises FeatureMismatch for a store of other features, BadValue for a split without labelled
    songs.
    """
    loaded = Model(model)
    opened = open_store(store, resident=False)  # stays open for the spectrograms of a report
    loaded.card.features.require(opened.settings, what=f"the store {opened.folder}")
    splits = (options.train, options.valid, options.test)
    songs, n_unlabelled = zip(*(songs_of(opened, split=split) for split in splits), strict=True)
    with stage(f"hearing with {loaded.card.name}", sum(map(len, songs))) as advance:
        heard = [_embeddings(loaded, opened, of_split, advance) for of_split in songs]
    labels = [opened.labels[of_split] for of_split in songs]
    columns = np.flatnonzero(~metrics.one_class(labels[0]))
    if not len(columns):
        raise BadValue(
            f"there is nothing to learn: in the split {options.train!r} each tag is carried by all "
            "songs or by none. Choose another with --train"
        )
    labels = [of_split[:, columns] for of_split in labels]
    with stage("fitting", len(options.strengths)) as advance:
        best, tried = _chosen(heard, labels, fit, options.strengths, advance)
    scored = _scored(
        loaded, opened, songs[2], options.test,
        columns=columns, priors=labels[0].mean(axis=0),
        logits=_logits(heard[2], *best), n_unlabelled=n_unlabelled[2],
    )  # fmt: skip
    with stage(f"{options.replicates} draws of {len(songs[2])} songs for the intervals", 1):
        generator = np.random.default_rng(options.seed)
        result = measure(scored, generator=generator, n=options.replicates)
    result["probe"] = {
        "train": options.train,
        "valid": options.valid,
        "n_train": len(songs[0]),
        "n_valid": len(songs[1]),
        "n_dimensions": heard[0].shape[1],
        "tried": tried,
    }
    return result | {"command": command, "commit": commit(), "seed": options.seed}, scored


def _embeddings(
    model: Model, store: Store, songs: Int64Array, advance: Callable[[int], object]
) -> Float32Array:
    parts = []
    for first in range(0, len(songs), BATCH):
        batch = songs[first : first + BATCH]
        parts.append(model.run(store.log_mels(batch))[1])
        advance(len(batch))
    return np.concatenate(parts)


def _chosen(
    heard: Sequence[Float32Array],
    labels: Sequence[BoolArray],
    fit: Fit,
    strengths: Sequence[float],
    advance: Callable[[int], object],
) -> tuple[tuple[Float32Array, Float32Array], list[Json]]:
    """The regressions with the best macro ROC-AUC of the validation songs, and all that were tried.

    Of equals the one that is held back most.
    """
    tried: list[Json] = []
    fitted = []
    for strength in sorted(strengths):
        fitted.append(fit(heard[0], labels[0], strength))
        auc = metrics.roc_auc(labels[1], _logits(heard[1], *fitted[-1]))
        tried.append({"strength": strength, "valid_roc_auc": number(auc)})
        advance(1)
    aucs = [one["valid_roc_auc"] or 0.0 for one in tried]
    best = int(np.argmax(aucs))
    for place, one in enumerate(tried):
        one["chosen"] = place == best
    return fitted[best], tried


def _logits(features: Float32Array, weight: Float32Array, bias: Float32Array) -> Float32Array:
    logits: Float32Array = features @ weight.T + bias
    return logits


def _scored(
    model: Model,
    store: Store,
    songs: Int64Array,
    split: str,
    *,
    columns: Int64Array,
    priors: Float64Array,
    logits: Float32Array,
    n_unlabelled: int,
) -> ScoredSongs:
    scores = sigmoid(logits)
    tags = tuple(store.tags[column] for column in columns)
    card = Card(
        name=model.card.name,
        tags=tags,
        features=model.card.features,
        priors=tuple(priors.tolist()),
        source=f"a linear probe of {model.card.name}",
        licence=model.card.licence,
    )
    return ScoredSongs(
        card=card,
        source=source_of(model, "store", store.folder, split, data_sha256=store.sha256),
        tags=tags,
        ids=tuple(store.ids[place] for place in songs),
        labels=store.labels[songs][:, columns],
        scores=scores,
        raw=scores,
        only_model=(),
        only_data=tuple(tag for tag in store.tags if tag not in tags),
        n_unlabelled=n_unlabelled,
        spectrogram=lambda place: store.log_mels([songs[place]])[0],
    )
