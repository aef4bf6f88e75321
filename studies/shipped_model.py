"""The shipped model: five folds that say how good it is, and one model of all the music.

    python -m studies.shipped_model -o FOLDER [--folds 0 1 2 3 4] [--set KEY=VALUE ...]

Every fold is tested by a model that never saw its artists; the final one learns from all clips
with the same recipe, and its calibration and reliability are those of the folds' logits. Killed
and started again, it goes on: what is finished lies in FOLDER. The music and the teachers' weights
lie in ../shared beside the checkout. FOLDER/earmark.onnx is the result, FOLDER/results.json what
was measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from earmark.data.store.format import StoreFormat
from earmark.data.store.reader import Store, open_store
from earmark.data.store.writer import write_shards
from earmark.features import PRESETS
from earmark.files import sha256, write_json
from earmark.model_file import Calibration, Card, read_card, write_model
from earmark.provenance import commit
from earmark.tags import msd_50_priors
from earmark.training import Terms, export_run, read_recipe, train
from earmark.training.export.calibration import calibrate
from earmark.training.songs import priors as shares
from earmark.training.targets import write_targets
from studies.q4 import N_FOLDS, SHARED
from studies.q4_folds import CNN, score
from studies.shipped_measures import labels_of, measure, show
from studies.shipped_music import NEAR, WIDER, Music, read_music
from studies.shipped_targets import TEACHERS, ask, make_targets, mean_of

LOOSE = {*NEAR.values(), *WIDER.values()}  # tags that 4Q has only a near word for
LICENCE = "MIT"
DESCRIPTION = (
    "Genres, moods, eras, instruments and voices: MSD-50 and 40 words of AllMusic. Started from "
    "the CNN of Choi et al. (MIT) and taught by it, their CRNN, and the FCN and CRNN of Won et al. "
    "(MIT) on 900 clips of the 4Q collection, whose labels it learned, and 324 excerpts of dance "
    "music."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--set", dest="changes", action="append", default=[])
    options = parser.parse_args()
    output: Path = options.output

    music = read_music()
    stores = {name: make_store(music, output, name) for name in ("choi2016", "won2020")}
    store = stores["choi2016"]
    logits = {
        name: ask(name, stores["won2020" if name.startswith("Won") else "choi2016"], output)
        for name in TEACHERS
    }
    heard = np.full((len(store), len(music.tags)), np.nan, dtype=np.float32)
    for fold in options.folds:
        model = learn(music, logits, store, output, without=fold, changes=options.changes)
        places = np.flatnonzero(music.folds == fold)
        heard[places] = score(model, store, places)
    tested = np.isin(music.folds, options.folds)
    best = logits["Choi CNN, restored"]
    results = measure(music, heard, teachers=mean_of(logits), best=best, tested=tested)
    show(results)
    record = {"commit": commit(), "command": sys.argv, "store": sha256(store.folder / "store.json")}
    write_json(output / "results.json", {**record, "results": results})
    if len(options.folds) < N_FOLDS:
        return
    model = learn(music, logits, store, output, without=None, changes=options.changes)
    finish(model, output / "earmark.onnx", music, heard, results)
    print(f"{output / 'earmark.onnx'}: {(output / 'earmark.onnx').stat().st_size / 1e6:.2f} MB")


def make_store(music: Music, output: Path, features: str) -> Store:
    folder = output / f"store-{features}"
    write_shards(music.catalog, folder, store_format=StoreFormat(PRESETS[features]), audio=SHARED)
    return open_store(folder)


def learn(
    music: Music,
    logits: dict[str, Any],
    store: Store,
    output: Path,
    *,
    without: int | None,
    changes: list[str],
) -> Path:
    """The model file of a network that learned from all folds but one, or from all."""
    name = "final" if without is None else f"without-{without}"
    model, targets = output / f"{name}.onnx", output / f"targets-{name}.npz"
    write_targets(targets, make_targets(music, logits, without=without))
    split = "data.train=all" if without is None else f"data.test_fold={without}"
    recipe = read_recipe(
        "shipped",
        changes=[f"init={CNN}", f"data.targets={targets}", split, "name=earmark", *changes],
    )

    def tell(words: str) -> None:
        print(f"{name}: {words}", file=sys.stderr, flush=True)

    result = train(recipe, store.folder, output / name, resume=True, tell=tell)
    if result.stopped_by is not None:
        sys.exit(f"stopped by {result.stopped_by}; start again to go on")
    # again each time, as it takes a second: a run that goes on has checked recipe and targets
    export_run(output / name, model, terms=Terms("earmark", LICENCE, DESCRIPTION))
    return model


def finish(
    model: Path, target: Path, music: Music, heard: np.ndarray, results: dict[str, Any]
) -> Card:
    """The final model with what the folds say of it: calibration, reliability, priors, results.

    What 4Q has a word of the same meaning for is calibrated on its labels; the other tags keep the
    scores that were taught, and the Million Song priors.
    """
    import onnx

    card = read_card(model)
    labels = {tag: of for tag, of in labels_of(music).items() if tag not in LOOSE}
    known = music.labelled
    slope, offset = np.ones(len(card.tags)), np.zeros(len(card.tags))
    priors = np.concatenate([msd_50_priors(), np.zeros(len(music.own))]).astype(float)
    columns = [card.tags.index(tag) for tag in labels]
    truth = np.stack(list(labels.values()), axis=1)[known]
    fitted = calibrate(heard[known][:, columns], truth)
    slope[columns], offset[columns] = fitted.scale, fitted.offset
    priors[columns] = shares(truth)
    reliability = [
        results["per_tag"][tag]["roc_auc"] if tag in labels else None for tag in card.tags
    ]
    card = dataclasses.replace(
        card,
        priors=tuple(priors.tolist()),
        calibration=Calibration(tuple(slope.tolist()), tuple(offset.tolist())),
        reliability=tuple(reliability),
        training={**card.training, "held_out_folds": results["summary"]},
    )
    write_model(target, onnx.load(model), card)
    return card


if __name__ == "__main__":
    main()
