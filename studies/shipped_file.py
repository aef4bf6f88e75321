"""The learned model as the one-file model, with what the folds say of it in its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from earmark import __version__
from earmark.errors import BadModel
from earmark.graph import SilentMels, build
from earmark.model_file import INPUT, LOGITS, Calibration, Card, sigmoid, write_model
from earmark.privacy import keep_private
from earmark.training.mobile import Blocks, MobileGru, to_network
from studies.shipped_learning import blocks, with_all_mels
from studies.shipped_teachers import FEATURES, MN04
from studies.shipped_words import SOUNDS, TAGS

Array = npt.NDArray[np.float32]

LICENCE = "MIT"
DESCRIPTION = (
    "Genres, moods, decades, instruments, voices, and what is not music: MSD-50 and 80 more words. "
    "Started from EfficientAT's mn04 (Schmid, Koutini, Widmer, MIT) and taught by it, by the CNN "
    "and CRNN of Choi et al. (MIT), the FCN and CRNN of Won et al. (MIT) and musicnn (Pons, Serra, "
    "ISC) on 900 clips of the 4Q collection and 1,481 songs, whose labels it learned, 324 excerpts "
    "of dance music, and speech and noise made for it."
)
LARGEST_DIFFERENCE = 1e-3  # of logits, between torch and what is written


def write_file(
    path: Path,
    model: MobileGru,
    heads: tuple[str, ...],
    *,
    calibration: tuple[Calibration, npt.NDArray[np.bool_]],
    logits: Array,
    results: Mapping[str, Any],
    record: Mapping[str, Any],
) -> Card:
    """Write the model; returns its card.

    heads : what the model's outputs are; those in TAGS are written, in that order
    calibration : of the heads that are words, by the folds' logits, and which of them have one
    logits : float32 (n, n_heads), of music alone, each by the model that never heard it
    """
    columns = [heads.index(tag) for tag in TAGS]
    fit, enough = calibration
    n_words = len(heads) - len(SOUNDS)
    slope = np.concatenate([fit.scale, np.ones(len(SOUNDS))])
    offset = np.concatenate([fit.offset, np.zeros(len(SOUNDS))])
    priors = sigmoid(logits * slope + offset).mean(0).clip(1e-4, 1 - 1e-4)
    front = [SilentMels(MN04.n_mels - FEATURES.n_mels, FEATURES.silence)]
    networks = {
        n_frames: to_network(
            model,
            blocks()[0],
            n_mels=FEATURES.n_mels,
            n_frames=n_frames,
            columns=columns,
            front=front,
        )
        for n_frames in (FEATURES.n_frames, FEATURES.n_frames // 2)
    }
    graph = build(networks[FEATURES.n_frames])
    difference = max(
        _difference(model, build(network).SerializeToString(), columns, n_frames, batch)
        for n_frames, network in networks.items()
        for batch in (1, 3)
    )
    if difference > LARGEST_DIFFERENCE:
        raise BadModel(f"torch and the file differ by {difference:.2g} in their logits")
    measured = results["per tag"]
    card = Card(
        name="earmark",
        tags=TAGS,
        features=FEATURES,
        priors=tuple(priors[columns].tolist()),
        source=f"trained by earmark {__version__}",
        licence=LICENCE,
        description=DESCRIPTION,
        calibration=Calibration(tuple(slope[columns].tolist()), tuple(offset[columns].tolist())),
        reliability=tuple(measured[tag]["roc_auc"] if tag in measured else None for tag in TAGS),
        training={
            **record,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "frozen_parameters": sum(weight.numel() for weight in Blocks(blocks()[0]).parameters()),
            "largest_difference_to_torch": difference,
            "calibrated": [heads[c] for c in columns if c < n_words and enough[c]],
            "measured": {tag: measured[tag] for tag in TAGS if tag in measured},
            "held_out_folds": {
                name: values["earmark"]
                for name, values in results.items()
                if isinstance(values, dict) and "earmark" in values
            },
        },
    )
    write_model(path, graph, card)
    return card


def _difference(
    model: MobileGru, graph: bytes, columns: list[int], n_frames: int, batch: int
) -> float:
    """Between the logits of torch and of the graph, on noise as loud as music."""
    random = np.random.default_rng(n_frames + batch)
    x = random.normal(0.2, 0.5, (batch, FEATURES.n_mels, n_frames)).astype(np.float32)
    keep_private()
    import onnxruntime

    session = onnxruntime.InferenceSession(graph)
    (written,) = session.run([LOGITS], {INPUT: x})
    with torch.inference_mode():
        whole = with_all_mels(x, silence=FEATURES.silence)
        images = Blocks(blocks()[0]).eval()(torch.from_numpy(whole).unsqueeze(1))
        said = model(images).numpy()[:, columns]
    return float(np.abs(said - written).max())
