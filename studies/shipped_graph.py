"""The shipped model's graph, built anew from its own weights after `earmark.graph` has changed.

    python -m studies.shipped_graph -o FILE [MODEL]

The weights and the card stay as they are. What is written is compared with torch as an export is.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from earmark import zoo
from earmark.graph import build
from earmark.model_file import read_card, write_model
from earmark.training.export.exporter import compare
from earmark.training.export.from_graph import from_model_file
from earmark.training.export.to_graph import to_graph
from earmark.training.task import Task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=zoo.SHIPPED)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    path = zoo.resolve(options.model)
    card = read_card(path)
    model = from_model_file(path)
    features = card.features
    graph = build(to_graph(model, n_mels=features.n_mels, n_frames=features.n_frames))
    standardise = float(model.mean), float(model.deviation)
    assert card.priors is not None
    task = Task(card.tags, features, card.priors, standardise)
    training = {**card.training, "largest_difference_to_torch": compare(model, graph, task)}
    write_model(options.output, graph, dataclasses.replace(card, training=training))
    print(f"{options.output}: {training['largest_difference_to_torch']:.2g} from torch")


if __name__ == "__main__":
    main()
