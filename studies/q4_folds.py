"""4Q, five artist-disjoint folds: from scratch, from the restored weights, and the baselines.

    python -m studies.q4_folds -o FOLDER [--only baselines scratch finetune finetune-cnn]
                                  [--folds 0 1 2 3 4] [--set KEY=VALUE ...]

Each fold is tested by what never saw its artists. All 50 tags are those with the most clips of
genres and moods together. A network learns from the other four folds, without validation (so no
epoch is chosen by looking), and its model file is what is tested. The baselines are logistic
regressions on the logits of published networks for the same clips.

Everything that is finished lies in FOLDER: killed and started again, it goes on. The tables come
last; FOLDER/results.json holds them too. 4Q and the weights lie in ../shared beside the checkout.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earmark.data.catalog.catalog import Catalog
from earmark.data.store.format import StoreFormat
from earmark.data.store.reader import Store, open_store
from earmark.data.store.writer import write_shards
from earmark.features import PRESETS
from earmark.files import write_json
from earmark.metrics import Statistic, average_precision, bootstrap, roc_auc
from earmark.provenance import commit
from earmark.runtime import Model
from earmark.training import Terms, export_run, read_recipe, train
from studies.q4 import N_FOLDS, SHARED, read_catalog
from studies.readings import READINGS, write_reading

CRNN = SHARED / "published" / "music_tagger_crnn_weights_theano.h5"
CNN = SHARED / "published" / "music_tagger_cnn_weights_theano.h5"
STATISTICS: tuple[Statistic, ...] = ("roc_auc", "average_precision")

RESTORED = "Choi CRNN, restored"
FIVE = ("Choi CRNN, as published", RESTORED, "CS2470 CRNN", "Won 2020 CRNN", "Won 2020 FCN")
# C of scikit-learn on standardised logits; 0.03 to 1 are within .006 of it. (On scores instead of
# logits, with C = 1, the first baseline is .787, the figure it was first reported with.)
REGULARISATION = 0.1
# From nothing, on 720 clips: the paper's smallest size with one norm for all frames, on stretches
# of a third of a clip.
SCRATCH = (
    "model.widths=[30,60,60,60]", "model.units=30",
    "model.input_norm=channel", "model.recurrent=gru", "model.epsilon=1e-3",
    "augment.crop_frames=456", "optimiser.rate=4e-3", "optimiser.body_rate=1.0",
    "optimiser.probe=0", "loop.epochs=10", "loop.average=0.99",
)  # fmt: skip
# name, recipe, what is changed of it
WAYS = {
    "scratch": ("CRNN from scratch", "finetune", SCRATCH),
    "finetune": ("restored CRNN, learned on", "finetune", (f"init={CRNN}",)),
    "finetune-cnn": (
        "restored CNN and a GRU, learned on",
        "cnn-gru",
        (f"init={CNN}",),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=("baselines", *WAYS))
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--set", dest="changes", action="append", default=[])
    options = parser.parse_args()
    wanted = options.only or ["baselines", *WAYS]

    catalog = read_catalog(SHARED / "q4")
    store = make_store(catalog, options.output, "choi2016")
    scores: dict[str, dict[int, np.ndarray]] = {}
    if "baselines" in wanted:
        scores |= baselines(catalog, options.output, options.folds)
    for way in (way for way in WAYS if way in wanted):
        scores[WAYS[way][0]] = {
            fold: learned(store, options.output, way, fold, options.changes)
            for fold in options.folds
        }
    results = {name: measure(store, of_folds) for name, of_folds in scores.items()}
    show(results)
    record = {"commit": commit(), "command": sys.argv, "store": store.sha256}
    write_json(options.output / "results.json", {**record, "results": results})


def make_store(catalog: Catalog, output: Path, features: str) -> Store:
    """The store of a preset, made where it is missing."""
    folder = output / f"store-{features}"
    write_shards(catalog, folder, store_format=StoreFormat(PRESETS[features]), audio=SHARED / "q4")
    return open_store(folder)


def baselines(catalog: Catalog, output: Path, folds: list[int]) -> dict[str, dict[int, np.ndarray]]:
    """Scores of logistic regressions, by name and fold."""
    logits = {name: logits_of(catalog, output, name) for name in FIVE}
    store = make_store(catalog, output, "choi2016")
    together = np.concatenate([logits[name] for name in FIVE], axis=1)
    return {
        "logistic regression, restored logits": regress(store, logits[RESTORED], folds),
        "logistic regression, five readings": regress(store, together, folds),
    }


def logits_of(catalog: Catalog, output: Path, name: str) -> np.ndarray:
    """float32 (n_clips, 50): what a published network says of each clip."""
    path = output / f"logits-{name.replace(', ', '-').replace(' ', '-')}.npy"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.onnx"
            write_reading(name, model)
            store = make_store(catalog, output, READINGS[name].kind)
            logits = score(model, store, np.arange(len(store)))
        np.save(path, logits)
    return np.load(path)


def regress(store: Store, inputs: np.ndarray, folds: list[int]) -> dict[int, np.ndarray]:
    """Scores for each fold of one logistic regression a tag, learned on the other folds."""
    from sklearn.linear_model import LogisticRegression

    scores = {}
    for fold in folds:
        test, learn = _fold(store, fold)
        mean, deviation = inputs[learn].mean(0), inputs[learn].std(0)
        x = (inputs - mean) / deviation
        columns = []
        for tag in range(len(store.tags)):
            model = LogisticRegression(C=REGULARISATION, max_iter=2000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecations of options that are not used here
                model.fit(x[learn], store.labels[learn, tag])
            columns.append(model.decision_function(x[test]))
        scores[fold] = np.stack(columns, axis=1)
    return scores


def learned(store: Store, output: Path, way: str, fold: int, changes: Sequence[str]) -> np.ndarray:
    """Logits for one fold of a network that learned from the other four."""
    run, model = output / "runs" / f"{way}-{fold}", output / "models" / f"{way}-{fold}.onnx"
    _, name, own = WAYS[way]
    fixed = (f"data.test_fold={fold}", "name=4q")
    recipe = read_recipe(name, changes=[*own, *changes, *fixed])

    def tell(words: str) -> None:
        print(f"{way}, fold {fold}: {words}", file=sys.stderr, flush=True)

    result = train(recipe, store.folder, run, resume=True, tell=tell)
    if result.stopped_by is not None:
        sys.exit(f"stopped by {result.stopped_by}; start again to go on")
    if not model.exists():
        export_run(run, model, terms=Terms(name=f"4q-{way}-{fold}", licence="research only"))
    return score(model, store, _fold(store, fold)[0])


def score(path: Path, store: Store, indices: np.ndarray) -> np.ndarray:
    """float32 (n, n_tags): a model file's logits."""
    model = Model(path)
    parts = [
        model.run(store.log_mels(indices[first : first + 64]))[0]
        for first in range(0, len(indices), 64)
    ]
    return np.concatenate(parts)


def measure(store: Store, of_folds: dict[int, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Mean over the folds of each statistic, and its 95 % interval by bootstrap within each."""
    results: dict[str, dict[str, Any]] = {}
    for statistic in STATISTICS:
        function = {"roc_auc": roc_auc, "average_precision": average_precision}[statistic]
        values, errors = [], []
        for fold, scores in of_folds.items():
            labels = store.labels[_fold(store, fold)[0]]
            values.append(float(function(labels, scores)))
            generator = np.random.default_rng(fold)
            interval = bootstrap(labels, scores, statistic, generator=generator, n=300)
            errors.append(interval.error)
        mean, error = (
            float(np.mean(values)),
            float(np.sqrt(np.sum(np.square(errors)))) / len(values),
        )
        results[statistic] = {
            "mean": mean,
            "low": mean - 1.96 * error,
            "high": mean + 1.96 * error,
            "folds": dict(zip(map(str, of_folds), values, strict=True)),
        }
    return results


def show(results: dict[str, dict[str, dict[str, Any]]]) -> None:
    print(f"{'macro, mean of the folds [95 %]':40} {'ROC-AUC':>20} {'AP':>20}   each fold")
    for name, of_model in results.items():
        cells = [
            f"{of_model[key]['mean']:.3f} [{of_model[key]['low']:.3f}, {of_model[key]['high']:.3f}]"
            for key in STATISTICS
        ]
        folds = " ".join(f"{value:.3f}" for value in of_model["roc_auc"]["folds"].values())
        print(f"{name:40} {cells[0]:>20} {cells[1]:>20}   {folds}")


def _fold(store: Store, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips of a fold, and of all others."""
    test = np.asarray(store.splits) == str(fold)
    return np.flatnonzero(test), np.flatnonzero(~test)


if __name__ == "__main__":
    main()
