"""What the shipped model is taught of each clip: labels where there are any, teachers elsewhere.

A word with labels enough is taught by them and by a regression on all that the teachers say, which
learned from the labels of other artists. So a label that nobody can hear weighs less, and clips
without labels are taught the word too. The other words are taught by the networks that know them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from earmark.model_file import sigmoid
from earmark.published.vocabularies import audioset_527
from earmark.tags import MSD_50
from earmark.training.probe import fit
from studies.shipped_labels import Labels
from studies.shipped_music import Clip, folds_of
from studies.shipped_teachers import TEACHERS

Array = npt.NDArray[np.float32]
Said = Mapping[str, tuple[Array, Array]]  # of each teacher: logits and embedding

STRENGTH = 0.003  # C of the regressions; .002 and .006 are within .003 of it on the folds
UNLABELLED = 0.5  # weight of what only teachers say
ENOUGH = 14, 60  # clips that have and that lack a word, for a regression
SURE = 0.4  # least weight of a label that counts towards it

# Words that AudioSet's classes teach, and the share of music that has them: their scores there are
# low, since few of its labels are complete. Of several classes the one that stands out counts.
BY_SOUND: dict[str, tuple[tuple[str, ...], float]] = {
    "ska": (("Ska",), 0.01), "gospel": (("Gospel music", "Christian music"), 0.02),
    "dubstep": (("Dubstep",), 0.015), "techno": (("Techno",), 0.03),
    "rock and roll": (("Rock and roll",), 0.04), "grunge": (("Grunge",), 0.02),
    "psychedelic rock": (("Psychedelic rock",), 0.025), "swing": (("Swing music",), 0.03),
    "opera": (("Opera",), 0.01), "bluegrass": (("Bluegrass",), 0.01),
    "world": (
        ("Middle Eastern music", "Music of Africa", "Traditional music", "Music of Asia"), 0.06
    ),
    "flamenco": (("Flamenco",), 0.008), "salsa": (("Salsa music", "Music of Latin America"), 0.02),
    "piano": (("Piano",), 0.25), "acoustic guitar": (("Acoustic guitar",), 0.2),
    "electric guitar": (("Electric guitar",), 0.3), "bass": (("Bass guitar",), 0.45),
    "drums": (("Drum kit", "Drum"), 0.5), "drum machine": (("Drum machine",), 0.25),
    "strings": (("String section", "Orchestra", "Bowed string instrument"), 0.2),
    "violin": (("Violin, fiddle",), 0.07), "brass": (("Brass instrument",), 0.13),
    "trumpet": (("Trumpet",), 0.06), "saxophone": (("Saxophone",), 0.07),
    "flute": (("Flute",), 0.05), "synthesizer": (("Synthesizer",), 0.35),
    "organ": (("Organ", "Hammond organ"), 0.06), "accordion": (("Accordion",), 0.03),
    "harmonica": (("Harmonica",), 0.015), "choir": (("Choir",), 0.05),
}  # fmt: skip
# Of songs, people name the instruments that stand out; a missing one is no "no".
POSITIVES_ONLY = {
    "piano", "acoustic guitar", "electric guitar", "bass", "drums", "drum machine", "strings",
    "violin", "techno", "synthesizer", "world",
}  # fmt: skip
SHARPER = 1.2  # times AudioSet's logits, which noisy labels flatten


def mean_of_msd(said: Said) -> Array:
    """float32 (n, 50): what the networks that know MSD-50 say together, as logits."""
    total = sum(
        teacher.weight * said[name][0] for name, teacher in TEACHERS.items() if teacher.weight
    )
    return np.asarray(total / sum(teacher.weight for teacher in TEACHERS.values()))


def inputs_of(said: Said) -> Array:
    """float32 (n, n_inputs): all that the regressions hear of the teachers."""
    mn04 = "efficientat-mn04"  # of whom the embedding says more than 527 classes
    return np.concatenate([said[mn04][1], *(said[name][0] for name in said if name != mn04)], 1)


def by_regression(labels: Labels) -> npt.NDArray[np.bool_]:
    """bool (n_heads,): the words that have labels enough."""
    sure = labels.weights >= SURE
    n_yes = ((labels.values > 0.5) & sure).sum(0)
    n_no = ((labels.values < 0.5) & (labels.weights > 0)).sum(0)
    enough = (n_yes >= ENOUGH[0]) & (n_no >= ENOUGH[1])
    return enough & np.array([head not in POSITIVES_ONLY for head in labels.heads])


def heard_by_teachers(
    labels: Labels, said: Said, folds: npt.NDArray[np.int64], *, without: int | None
) -> Array:
    """float32 (n, n_heads) in (0, 1): each clip by regressions that did not learn from its fold,
    and by none that learned from the fold `without`."""
    others = [fold for fold in sorted(set(folds.tolist())) if fold != without]
    columns = np.flatnonzero(by_regression(labels))
    x = inputs_of(said)
    learned = np.isin(folds, others)
    x = (x - x[learned].mean(0)) / (x[learned].std(0) + 1e-3)
    logits = np.zeros((len(x), len(columns)), dtype=np.float32)
    for fold in others:
        places = learned & (folds != fold)
        heard = regress(x, labels, places, columns)
        logits[folds == fold] = heard[folds == fold]
        logits[~learned] += heard[~learned] / len(others)
    result = np.full(labels.values.shape, np.nan, dtype=np.float32)
    result[:, columns] = sigmoid(logits)
    msd, audioset = mean_of_msd(said), said["efficientat-mn04"][0]
    for column, head in enumerate(labels.heads):
        if column in columns:
            continue
        if head in BY_SOUND:
            result[:, column] = sigmoid(_from_audioset(audioset, *BY_SOUND[head]))
        else:
            result[:, column] = sigmoid(msd[:, MSD_50.index(head)])
    return result


def make_targets(
    labels: Labels,
    heard: Array,
    clips: Sequence[Clip],
    *,
    without: int | None,
    shares: Mapping[str, float],
) -> tuple[Array, Array]:
    """Values and weights, float32 (n, n_heads); the labels of the fold `without` are not used.

    shares : of the label in what is taught, by the source of the clip
    """
    folds = folds_of(clips)
    most = np.array([[shares[clip.source]] for clip in clips], dtype=np.float32)
    given = (labels.weights > 0) & (folds != without)[:, None]
    share = np.where(given, most * np.minimum(1, labels.weights / 0.5), 0)
    values = share * np.nan_to_num(labels.values) + (1 - share) * heard
    weights = np.where(given, np.maximum(UNLABELLED, labels.weights), UNLABELLED)
    return values.astype(np.float32), weights.astype(np.float32)


def regress(
    x: Array, labels: Labels, places: npt.NDArray[np.bool_], columns: npt.NDArray[np.intp]
) -> Array:
    weight, bias = fit(
        torch.from_numpy(x[places]),
        torch.from_numpy(np.nan_to_num(labels.values[places][:, columns])),
        strength=STRENGTH,
        weights=torch.from_numpy(labels.weights[places][:, columns]),
    )
    return np.asarray(x @ weight.numpy().T + bias.numpy(), dtype=np.float32)


def _from_audioset(logits: Array, classes: Sequence[str], share: float) -> Array:
    """The logits of these classes, moved until that share of all clips has them."""
    names = list(audioset_527())
    z = logits[:, [names.index(name) for name in classes]]
    z = SHARPER * (z[:, 0] if len(classes) == 1 else (z - z.mean(0)).max(1))
    low, high = -15.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if sigmoid(z + middle).mean() > share else (middle, high)
    return np.asarray(z + low, dtype=np.float32)
