"""A little network with random weights: real enough to run, small enough to make in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from earmark import graph, model_file, tags
from earmark.features import PRESETS, LogMel
from earmark.model_file import Calibration
from earmark.words import SOUNDS


def network(*, features: LogMel, n_tags: int, seed: int = 0) -> graph.Network:
    """Two conv blocks that leave ten frames or so, one GRU, dense."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.3) -> np.ndarray:
        return generator.normal(0, scale, shape).astype(np.float32)

    pools = ((8, 8), (12, 16))
    bands = features.n_mels // 8 // 12
    return graph.Network(
        n_mels=features.n_mels,
        n_frames=features.n_frames,
        front=(graph.Affine(np.array(1 / 15, np.float32), np.array(2.0, np.float32)),),
        blocks=(
            graph.ConvBlock(normal(4, 1, 3, 3), normal(4), pools[0]),
            graph.ConvBlock(normal(6, 4, 3, 3), normal(6), pools[1]),
        ),
        grus=(graph.Gru(normal(6 * bands, 15), normal(5, 15), normal(15)),),
        output=graph.Dense(normal(5, n_tags, scale=2.0), normal(n_tags)),
    )


def write(
    path: Path, *, seed: int = 0, features: LogMel = PRESETS["choi2016"], **card: Any
) -> Path:
    """A model file of that network over the MSD-50 tags; `card` overrides the card's fields."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "tags": tags.MSD_50,
        "features": features,
        "priors": tuple(map(float, tags.msd_50_priors())),
        "source": "random weights of a test",
        "licence": "MIT",
    } | card
    built = graph.build(network(features=features, n_tags=len(fields["tags"]), seed=seed))
    model_file.write_model(path, built, model_file.Card(**fields))
    return path


def write_hearing(path: Path, sound: str, *, genres: tuple[str, ...] = (), **card: Any) -> Path:
    """A model with words for what is not music, which hears `sound` in whatever is not silent.

    genres : further tags behind MSD-50
    """
    names = (*tags.MSD_50, *genres, *(word.tag for word in SOUNDS))
    n_songs_tags = len(names) - len(SOUNDS)
    fixed = tuple(9.0 if word.tag == sound else -9.0 for word in SOUNDS)
    fields: dict[str, Any] = {
        "tags": names,
        "priors": (*map(float, tags.msd_50_priors()), *(0.1,) * (len(names) - 50)),
        "calibration": Calibration(
            (1.0,) * n_songs_tags + (0.0,) * len(SOUNDS), (0.0,) * n_songs_tags + fixed
        ),
    }
    return write(path, **fields | card)
