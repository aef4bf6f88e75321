"""What test_keras asks of Keras on another backend, which needs a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from network_kinds import clips, trained
from tiny_recipe import tiny_recipe
from tiny_store import write_tiny_store

from earmark.training import batches
from earmark.training.keras import keras, predict, twin
from earmark.training.loop import train


class Interrupted(Exception):
    """What stands for a kill here."""


def largest_difference() -> float:
    """Between the logits of torch and Keras, of a network with the GRU that only Keras 2 had."""
    model = trained(recurrent="classic-gru", input_norm="frame")
    with torch.no_grad():
        expected = model(clips(3)).numpy()
    return float(np.abs(predict(twin(model), clips(3).numpy()) - expected).max())


def losses(run: Path) -> list[float]:
    lines = (run / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def recipe():
    # no GRU: JAX takes half a minute to compile the gradient of one
    return tiny_recipe(
        model={"block_dropout": 0.0, "dropout": 0.0, "recurrent": "none", "summary": "mean"},
        loop={"epochs": 2, "average": 0.9, "checkpoint_steps": 4},
        augment={"mixup": 0.3},
        data={"valid": ""},
    )


def train_twice(run: Path, store: Path) -> None:
    """As far as within the first epoch, then to the end."""
    augment, seen = batches.augment, 0

    def give_up(*arguments, **options):
        nonlocal seen
        seen += 1
        if seen == 6:  # one of them is Keras's first look
            raise Interrupted
        return augment(*arguments, **options)

    batches.augment = give_up
    try:
        train(recipe(), store, run, framework="keras")
    except Interrupted:
        batches.augment = augment
    train(recipe(), store, run, framework="keras", resume=True)


def main(folder: Path) -> None:
    store = write_tiny_store(folder / "store", n=64)
    train(recipe(), store, folder / "torch")
    train_twice(folder / "keras", store)
    result = {
        "backend": keras.config.backend(),
        "largest_difference": largest_difference(),
        "losses": {name: losses(folder / name) for name in ("torch", "keras")},
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
