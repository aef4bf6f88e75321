"""Every published network on the 900 labelled clips of 4Q: python -m studies.published_table.

Macro ROC-AUC over the 16 tags of 4Q that mean one of the networks' own 50, centre crop, from the
audio through the front end and the model files; and, for the restored CRNN, how well each ranking
puts a clip's tags first. 4Q and the weights are not in this repository: they lie in ../shared.
Eleven minutes of one core's work, spread over two processes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from earmark import engine, ranking
from earmark.audio import load_audio
from earmark.features import log_mel
from earmark.files import sha256
from earmark.provenance import commit
from earmark.runtime import BATCH, Model
from earmark.tags import msd_50_priors
from earmark.windows import centre_crop
from studies.q4 import COLUMNS, SHARED, TAGS, read_labels
from studies.readings import READINGS, write_reading

RANKED = "Choi CRNN, restored"
SHRINKAGES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Listen:
    """The logits of some model files for some clips; the work of one process."""

    paths: tuple[Path, ...]

    def __call__(self, clips: tuple[Path, ...]) -> np.ndarray:
        models = [_loaded(path) for path in self.paths]
        log_mels = {}
        for features in {model.card.features for model in models}:
            crops = [
                centre_crop(_samples(path, features.rate), settings=features) for path in clips
            ]
            log_mels[features] = np.stack([log_mel(crop, settings=features) for crop in crops])
        return np.stack([model.run(log_mels[model.card.features])[0] for model in models])


@lru_cache(maxsize=len(READINGS))
def _loaded(path: Path) -> Model:
    return Model(path, threads=1)


@lru_cache(maxsize=2 * BATCH)  # two front ends share a rate
def _samples(path: Path, rate: int) -> np.ndarray:
    return load_audio(path, rate=rate).samples


def listen(models: list[Path], paths: list[Path], workers: int) -> np.ndarray:
    """Logits float32 (n_models, n_clips, 50)."""
    units = [tuple(paths[first : first + BATCH]) for first in range(0, len(paths), BATCH)]
    parts = []
    for outcome in engine.map_units(Listen(tuple(models)), units, workers=workers):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.value is not None
        parts.append(outcome.value)
        print(f"\r{sum(part.shape[1] for part in parts)} clips", end="", file=sys.stderr)
    print(file=sys.stderr)
    return np.concatenate(parts, axis=1)


def precision_at(k: int, values: np.ndarray, labels: np.ndarray) -> float:
    """Share of a clip's first k tags that it has, mean over all clips, with or without a tag."""
    first = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(labels, first, axis=1).mean())


def rankings(scores: np.ndarray) -> dict[str, np.ndarray]:
    """The values that each ranking sorts the mapped tags by, with the priors that models carry."""
    priors = msd_50_priors()
    values = {
        "score": scores,
        "lift": ranking.lift(scores, priors),
        **{
            f"evidence, shrinkage {shrinkage:g}": ranking.evidence(
                scores, priors, shrinkage=shrinkage
            )
            for shrinkage in SHRINKAGES
        },
    }
    return {name: array[:, COLUMNS] for name, array in values.items()}


def measure(shared: Path, workers: int) -> dict[str, Any]:
    paths, labels = read_labels(shared / "q4")
    with tempfile.TemporaryDirectory() as folder:
        models, cards = [], []
        for number, name in enumerate(READINGS):
            models.append(Path(folder) / f"{number}.onnx")
            cards.append(write_reading(name, models[-1], shared=shared))
        hashes = [sha256(model) for model in models]
        logits = listen(models, paths, workers)
    scores = {
        name: card.scores(of_model)
        for name, card, of_model in zip(READINGS, cards, logits, strict=True)
    }
    return {
        "data": f"4Q, {len(paths)} clips, {len(TAGS)} mapped tags, centre crop",
        "commit": commit(),
        "readings": [
            {
                "name": name,
                "model_sha256": model_hash,
                "roc_auc": {"macro": roc_auc_score(labels, values[:, COLUMNS])},
                "average_precision": {"macro": average_precision_score(labels, values[:, COLUMNS])},
                "per_tag": {
                    tag: roc_auc_score(labels[:, column], values[:, COLUMNS[column]])
                    for column, tag in enumerate(TAGS)
                },
            }
            for (name, values), model_hash in zip(scores.items(), hashes, strict=True)
        ],
        "ranked": RANKED,
        "rankings": [
            {"name": name, "precision": {k: precision_at(k, values, labels) for k in (1, 3, 5)}}
            for name, values in rankings(scores[RANKED]).items()
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--shared", type=Path, default=SHARED, help="the folder with q4/ and published/"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    result = measure(options.shared, options.workers)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['data']}; commit {result['commit']}\n")
    print(f"{'macro over the tags':28}{'ROC-AUC':>8}{'AP':>8}  model file")
    for reading in result["readings"]:
        print(
            f"{reading['name']:28}{reading['roc_auc']['macro']:8.3f}"
            f"{reading['average_precision']['macro']:8.3f}  {reading['model_sha256'][:12]}"
        )
    print(f"\n{result['ranked']}, precision at{'1':>12}{'3':>8}{'5':>8}")
    for row in result["rankings"]:
        print(f"{row['name']:35}" + "".join(f"{value:8.3f}" for value in row["precision"].values()))


if __name__ == "__main__":
    main()
