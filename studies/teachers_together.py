"""What the teachers of the shipped model know together: the bound of what it can learn from them.

    python -m studies.teachers_together FOLDER [--shares 1 .5 .25]

Regressions on all that the teachers say of a clip, learned from the labels of four folds and tested
on the fifth, on the questions that the shipped model is judged by. FOLDER is that of
`studies.shipped_model`, where what the teachers say lies. `all six` with smaller shares of artists
to learn from tells what more labels would bring.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studies.shipped_labels import Labels, read_labels
from studies.shipped_measures import Question, answer, questions
from studies.shipped_music import Clip, catalog_of, folds_of, read_clips
from studies.shipped_targets import by_regression, inputs_of, regress
from studies.shipped_teachers import TEACHERS, ask

Array = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shares", nargs="+", type=float, default=[1.0])
    options = parser.parse_args()
    folder: Path = options.folder
    clips = read_clips()
    catalog, labels, folds = catalog_of(clips), read_labels(clips), folds_of(clips)
    said = {name: ask(name, catalog, folder) for name in TEACHERS}
    mn04 = "efficientat-mn04"
    heard = {
        "mn04 alone": said[mn04][1],
        "the five that know MSD-50": np.concatenate(
            [said[name][0] for name in said if name != mn04], axis=1
        ),
        "all six": inputs_of(said),
        "all six, and mn04's 527 classes": np.concatenate([inputs_of(said), said[mn04][0]], axis=1),
    }
    asked = [(name, x, 1.0) for name, x in heard.items() if 1.0 in options.shares]
    asked += [("all six", heard["all six"], share) for share in options.shares if share < 1]
    for name, x, share in asked:
        print(f"{name} ({x.shape[1]} numbers), {share:.0%} of the artists")
        learned = np.array([_place(clip) < share for clip in clips])
        tags, logits = answered(x, labels, folds, learned)
        for question in questions(clips):
            print(f"  {question.name:24} {_line(question, tags, logits, folds)}", flush=True)


def answered(
    x: Array, labels: Labels, folds: npt.NDArray[np.int64], learned: npt.NDArray[np.bool_]
) -> tuple[tuple[str, ...], Array]:
    """The words with labels enough, and their logits by regressions on the other folds.

    x : float32 (n, n_inputs), what the regressions hear of each clip
    learned : bool (n,), the clips that may be learned from
    """
    columns = np.flatnonzero(by_regression(labels))
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    logits = np.zeros((len(x), len(columns)), dtype=np.float32)
    for fold in np.unique(folds):
        here = folds == fold
        logits[here] = regress(x, labels, learned & ~here, columns)[here]
    return tuple(labels.heads[column] for column in columns), logits


def _place(clip: Clip) -> float:
    """In [0, 1), drawn by the artist."""
    artist = clip.said.get("artist") or clip.id
    return zlib.crc32(artist.encode()) / 2**32


def _line(
    question: Question, tags: tuple[str, ...], logits: Array, folds: npt.NDArray[np.int64]
) -> str:
    found = answer(question, tags, logits, folds)
    parts = (
        f"{found[name][0]:.3f} ({found[name][1]:.3f} to {found[name][2]:.3f})"
        for name in ("roc_auc", "average_precision")
    )
    return "  ".join(parts)


if __name__ == "__main__":
    main()
