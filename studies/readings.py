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
    as_published: bool = False
    name: str | None = None  # one of published.PUBLISHED, where the file alone does not tell


MUSICNN = "musicnn-0.1.0-py3-none-any.whl"  # from the package index, not beside the checkout
READINGS = {  # by name
    "Choi CRNN, as published": Reading("choi2016", "music_tagger_crnn_weights_theano.h5", True),
    "Choi CRNN, restored": Reading("choi2016", "music_tagger_crnn_weights_theano.h5"),
    "Choi CNN, as published": Reading("choi2016", "music_tagger_cnn_weights_theano.h5", True),
    "Choi CNN, restored": Reading("choi2016", "music_tagger_cnn_weights_theano.h5"),
    "CS2470 CRNN": Reading("cs2470", "cs2470_trained_model.h5"),
    "Won 2020 CRNN": Reading("won2020", "won2020_msd_crnn.pth"),
    "Won 2020 FCN": Reading("won2020", "won2020_msd_fcn.pth"),
    "musicnn, MSD": Reading("musicnn", MUSICNN, name="musicnn-msd"),
    "VGG, MSD": Reading("musicnn", MUSICNN, name="vgg-msd"),
    "musicnn, MagnaTagATune": Reading("musicnn", MUSICNN, name="musicnn-mtt"),
    "VGG, MagnaTagATune": Reading("musicnn", MUSICNN, name="vgg-mtt"),
    "Won 2020 musicnn, Jamendo": Reading("won2020", "won2020_jamendo_musicnn.pth"),
    "Won 2020 FCN, Jamendo": Reading("won2020", "won2020_jamendo_fcn.pth"),
    "EfficientAT mn04": Reading("efficientat", "efficientat_mn04_as.pt"),
}


def write_reading(
    name: str, output: Path, *, shared: Path = SHARED, wheel: Path | None = None
) -> Card:
    """Write the model file of one of READINGS.

    wheel : of the musicnn package; None looks for it where the other weights lie
    """
    reading = READINGS[name]
    weights = shared / "published" / reading.weights
    if reading.weights == MUSICNN and wheel is not None:
        weights = wheel
    return published.convert(
        reading.kind, weights, output, name=reading.name, as_published=reading.as_published
    )
