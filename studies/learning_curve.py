"""ROC-AUC against the number of songs that were learned from: are more songs worth their download?

The CS2470 report's lesson is .84 from 20,000 songs and .855 (both by samples) from 170,000.

    python studies/learning_curve.py RECIPE --store STORE -o FOLDER --songs 100 200 400

One run a size lies in FOLDER, so that a curve that was interrupted goes on where it was. Smaller
sets of songs are parts of larger ones; the songs of the split that measures are the same for all.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from earmark.data.store.reader import open_store
from earmark.evaluation.learning_curve import learning_curve
from earmark.evaluation.scores import ScoredSongs, score_store
from earmark.runtime import Model
from earmark.training import Terms, export_run, read_recipe, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--songs", type=int, nargs="+", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    options = parser.parse_args()

    def learn(songs: int) -> Path:
        model = options.output / f"{songs}.onnx"
        if model.exists():
            return model
        changes = [*options.changes, f"data.songs={songs}"]
        run = options.output / f"run-{songs}"
        done = train(
            read_recipe(options.recipe, changes=changes),
            options.store,
            run,
            resume=run.exists(),
            tell=lambda words: print(words, file=sys.stderr),
        )
        if done.stopped_by is not None:
            sys.exit(f"stopped by {done.stopped_by}; run it again to go on")
        export_run(run, model, terms=Terms(name=f"{songs} songs", licence="not stated"))
        return model

    def score(model: Path) -> ScoredSongs:
        with open_store(options.store, resident=False) as store:
            return score_store(Model(model), store, split=options.split)

    for line in learning_curve(options.songs, train=learn, score=score):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
