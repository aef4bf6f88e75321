"""The readings of published weights that studies compare: what is built from which file, and how.

The weights are not in this repository: they lie in ../shared/published beside a checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from earmark import published
from earmark.model_file import Card
from studies.q4 import SHARED


class Reading(NamedTuple):
    kind: str  # one of published.KINDS
    weights: str  # a file's name
    as_published: bool


READINGS = {  # by name
    "Choi CRNN, as published": Reading("choi2016", "music_tagger_crnn_weights_theano.h5", True),
    "Choi CRNN, restored": Reading("choi2016", "music_tagger_crnn_weights_theano.h5", False),
    "Choi CNN, as published": Reading("choi2016", "music_tagger_cnn_weights_theano.h5", True),
    "Choi CNN, restored": Reading("choi2016", "music_tagger_cnn_weights_theano.h5", False),
    "CS2470 CRNN": Reading("cs2470", "cs2470_trained_model.h5", False),
    "Won 2020 CRNN": Reading("won2020", "won2020_msd_crnn.pth", False),
    "Won 2020 FCN": Reading("won2020", "won2020_msd_fcn.pth", False),
}


def write_reading(name: str, output: Path, *, shared: Path = SHARED) -> Card:
    """Write the model file of one of READINGS."""
    reading = READINGS[name]
    weights = shared / "published" / reading.weights
    return published.convert(reading.kind, weights, output, as_published=reading.as_published)
