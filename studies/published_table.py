"""Every published network on the 900 labelled clips of 4Q: python -m studies.published_table.

Macro ROC-AUC over the 16 tags of 4Q that mean one of MSD-50, or as many of them as the network has
a word for, centre crop, from the audio through the front end and the model files; beside the
latter, the restored CNN's on the same tags; and, for the restored CRNN, how well each ranking puts
a clip's tags first. 4Q and the weights are not in this repository: they lie in ../shared; the wheel
of musicnn (`pip download --no-deps musicnn==0.1.0`) there or where --wheel says.
The networks of Choi, CS2470 and Won take eleven minutes of one core's work, mn04 five, musicnn's
and Jamendo's an hour; --only takes some of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
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
from earmark.metrics import precision_at_k
from earmark.model_file import Card
from earmark.provenance import commit
from earmark.runtime import BATCH, Model
from earmark.tags import msd_50_priors
from earmark.windows import centre_crop
from studies.q4 import COLUMNS, SHARED, TAGS, read_labels
from studies.readings import MUSICNN, READINGS, write_reading

# What means the same in MTG-Jamendo and AudioSet, where it is spelt otherwise; MagnaTagATune's
# words are spelt as MSD-50's.
OTHERS = {
    "Pop/Rock": ("genre---rock", "Rock music"),
    "Jazz": ("genre---jazz",),
    "Electronic": ("genre---electronic", "Electronic music"),
    "R&B": ("Rhythm and blues",),
    "Rap": ("genre---hiphop", "Hip hop music"),
    "Folk": ("genre---folk", "Folk music"),
    "Easy Listening": ("genre---easylistening",),
    "Happy": ("mood/theme---happy", "Happy music"),
    "Sad": ("Sad music",),
    "Peaceful": ("genre---ambient", "Ambient music"),
    "Relaxed": ("mood/theme---relaxing",),
}
RANKED = "Choi CRNN, restored"
BESIDE = "Choi CNN, restored"  # what networks of fewer tags are compared with
SHRINKAGES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Listen:
    """The logits of some model files for some clips; the work of one process."""

    paths: tuple[Path, ...]

    def __call__(self, clips: tuple[Path, ...]) -> list[np.ndarray]:
        models = [_loaded(path) for path in self.paths]
        log_mels = {}
        for features in {model.card.features for model in models}:
            crops = [
                centre_crop(_samples(path, features.rate), settings=features) for path in clips
            ]
            log_mels[features] = np.stack([log_mel(crop, settings=features) for crop in crops])
        return [model.run(log_mels[model.card.features])[0] for model in models]


@lru_cache(maxsize=len(READINGS))
def _loaded(path: Path) -> Model:
    return Model(path, threads=1)


@lru_cache(maxsize=2 * BATCH)  # two front ends share a rate
def _samples(path: Path, rate: int) -> np.ndarray:
    return load_audio(path, rate=rate).samples


def columns_of(tags: Sequence[str]) -> dict[str, int]:
    """Where a network answers each of 4Q's words that it has a word for."""
    places = {tag.casefold(): column for column, tag in enumerate(tags)}
    names = {word: (tag, *OTHERS.get(word, ())) for word, tag in TAGS.items()}
    found = {
        word: [places[name.casefold()] for name in of_word if name.casefold() in places]
        for word, of_word in names.items()
    }
    return {word: columns[0] for word, columns in found.items() if columns}


def listen(models: list[Path], paths: list[Path], workers: int) -> list[np.ndarray]:
    """Logits float32 (n_clips, n_tags) of each model."""
    units = [tuple(paths[first : first + BATCH]) for first in range(0, len(paths), BATCH)]
    parts: list[list[np.ndarray]] = []
    for outcome in engine.map_units(Listen(tuple(models)), units, workers=workers):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.value is not None
        parts.append(outcome.value)
        print(f"\r{sum(len(part[0]) for part in parts)} clips", end="", file=sys.stderr)
    print(file=sys.stderr)
    return [np.concatenate(of_model) for of_model in zip(*parts, strict=True)]


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


def measure(
    shared: Path, wheel: Path | None, workers: int, wanted: Sequence[str]
) -> dict[str, Any]:
    paths, labels = read_labels(shared / "q4")
    with tempfile.TemporaryDirectory() as folder:
        models, cards = [], []
        for number, name in enumerate(wanted):
            models.append(Path(folder) / f"{number}.onnx")
            cards.append(write_reading(name, models[-1], shared=shared, wheel=wheel))
        hashes = [sha256(model) for model in models]
        logits = listen(models, paths, workers)
    scores = {
        name: card.scores(of_model)
        for name, card, of_model in zip(wanted, cards, logits, strict=True)
    }
    readings = [
        _measured(name, card, scores[name], labels) | {"model_sha256": model_hash}
        for name, card, model_hash in zip(wanted, cards, hashes, strict=True)
    ]
    beside: dict[str, float] = next(
        (one["per_tag"] for one in readings if one["name"] == BESIDE), {}
    )
    for reading in readings if beside else ():
        reading["beside"] = float(np.mean([beside[tag] for tag in reading["per_tag"]]))
    return {
        "data": f"4Q, {len(paths)} clips, {len(TAGS)} mapped tags, centre crop",
        "commit": commit(),
        "readings": readings,
        "ranked": RANKED,
        "rankings": [
            {"name": name, "precision": {k: precision_at_k(labels, values, k=k) for k in (1, 3, 5)}}
            for name, values in (rankings(scores[RANKED]) if RANKED in scores else {}).items()
        ],
    }


def _measured(name: str, card: Card, scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """A reading over the tags that it has a word for."""
    columns = columns_of(card.tags)
    truth = labels[:, [list(TAGS).index(word) for word in columns]]
    values = scores[:, list(columns.values())]
    return {
        "name": name,
        "n_tags": len(columns),
        "roc_auc": {"macro": roc_auc_score(truth, values)},
        "average_precision": {"macro": average_precision_score(truth, values)},
        "per_tag": {
            word: roc_auc_score(truth[:, place], values[:, place])
            for place, word in enumerate(columns)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--shared", type=Path, default=SHARED, help="the folder with q4/ and published/"
    )
    parser.add_argument("--wheel", type=Path, help=f"{MUSICNN}; else where the other weights lie")
    parser.add_argument(
        "--only", nargs="+", choices=READINGS, default=list(READINGS), metavar="NAME",
        help=f"some of: {'; '.join(READINGS)}",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    result = measure(options.shared, options.wheel, options.workers, options.only)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['data']}; commit {result['commit']}\n")
    beside = "CNN's" if BESIDE in options.only else ""
    print(f"{'macro over the tags':28}{'tags':>5}{'ROC-AUC':>8}{'AP':>8}{beside:>8}  model file")
    for reading in result["readings"]:
        other = f"{reading['beside']:8.3f}" if beside else f"{'':8}"
        print(
            f"{reading['name']:28}{reading['n_tags']:5}{reading['roc_auc']['macro']:8.3f}"
            f"{reading['average_precision']['macro']:8.3f}{other}  {reading['model_sha256'][:12]}"
        )
    if not result["rankings"]:
        return
    print(f"\n{result['ranked']}, precision at{'1':>12}{'3':>8}{'5':>8}")
    for row in result["rankings"]:
        print(f"{row['name']:35}" + "".join(f"{value:8.3f}" for value in row["precision"].values()))


if __name__ == "__main__":
    main()
