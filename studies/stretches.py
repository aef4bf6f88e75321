"""Does a quarter of a window, repeated until it fills one, sound to the network like the whole?

    python -m studies.stretches MODEL [--shared ../shared] [--clips 160]

Macro ROC-AUC over the 16 tags of ../shared/q4 that mean the same in MSD-50, for the centre crop of
each clip, for each of its quarters repeated four times, and for the mean of the four.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from earmark import metrics, windows
from earmark.audio import load_audio
from earmark.features import log_mel
from earmark.runtime import Model
from studies.q4 import COLUMNS, SHARED, read_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--clips", type=int, default=160)
    arguments = parser.parse_args()
    model = Model(arguments.model)
    settings = model.card.features
    paths, labels = read_labels(arguments.shared / "q4")
    chosen = np.random.default_rng(0).permutation(len(paths))[: arguments.clips]
    quarter = settings.window_samples // 4
    logits = []
    for i in chosen:
        samples = load_audio(paths[i], rate=settings.rate).samples
        crop = windows.centre_crop(samples, settings=settings)
        heard = [crop] + [
            windows.repeat(crop[k * quarter :][:quarter], settings=settings) for k in range(4)
        ]
        logits.append(model.run(np.stack([log_mel(x, settings=settings) for x in heard]))[0])
    scores = np.array(logits)[:, :, COLUMNS]
    table = {"centre crop": scores[:, 0], "mean of the quarters": scores[:, 1:].mean(axis=1)}
    table |= {f"quarter {k}": scores[:, k] for k in range(1, 5)}
    for name, values in table.items():
        print(f"{name:<24}{metrics.roc_auc(labels[chosen], values):.3f}")


if __name__ == "__main__":
    main()
