"""Which trunk is under the shipped model's GRU: python -m studies.trunks FOLDER [--folds 0 1 2 3 4]

FOLDER is that of `studies.shipped_model`, where targets, images and the shipped folds lie; what is
missing there is made. Each trunk is tested on artists that it never heard, with the same targets
and the same two stages of learning:

- frozen, as published, under a GRU and an output that learn: mn04; the CNN and the CRNN of Choi et
  al., restored; mn04 and Choi's CNN side by side, the bound of what one could learn of both;
- mn04, whose last blocks learn on: the shipped model; these blocks, learned, beside Choi's CNN;
- the same, its last blocks learning to say what both trunks say, too: both distilled into one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from earmark.files import atomic_path, write_json
from earmark.graph import ConvBlock
from studies import shipped_sounds
from studies.q4 import N_FOLDS, SHARED
from studies.shipped_labels import Labels
from studies.shipped_learning import HEAD, Halves, Learning, learn, moments_of, new_model
from studies.shipped_measures import (
    answer,
    calibrated_by_others,
    first_genres,
    judged,
    questions,
    shared_genres,
)
from studies.shipped_model import Lesson, held_out, learned, prepare, targets
from studies.shipped_music import catalog_of
from studies.shipped_report import SHRINKAGE
from studies.trunk_moments import CHOIS, of_choi, of_mn04, side_by_side, standardised

Array = npt.NDArray[np.float32]
Heard = tuple[Array, Array]  # logits and embeddings
BOTH = "shipped and choi2016-cnn"
WEIGHTS = (2.0, 10.0)  # of saying what both trunks say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--weights", nargs="*", type=float, default=WEIGHTS)
    parser.add_argument("--prompts", type=Path, default=shipped_sounds.PROMPTS)
    options = parser.parse_args()
    output: Path = options.folder
    lesson = prepare(output, options.prompts)
    frozen = moments_of_all(lesson, output)
    # as they hear what the blocks learn from
    taught = zip(of_mn04(lesson.images, output, "loud"), frozen[CHOIS[0]], strict=True)
    trunks = tuple(standardised([side_by_side(pair) for pair in taught]))
    rows = {
        name: [of_frozen(lesson, output, fold, name, partial(list, of)) for fold in options.folds]
        for name, of in frozen.items()
    }
    rows["shipped"] = [held_out(lesson, output, fold, Learning()) for fold in options.folds]
    rows[BOTH] = [
        of_frozen(
            lesson,
            output,
            fold,
            BOTH,
            partial(with_shipped, lesson, output, fold, frozen[CHOIS[0]]),
        )
        for fold in options.folds
    ]
    for weight in options.weights:
        settings, kept = Learning(trunks=weight), f"trunks/distilled-{weight:g}"
        rows[f"distilled, {weight:g}"] = [
            held_out(replace(lesson, trunks=trunks), output, fold, settings, kept=kept)
            for fold in options.folds
        ]
    results = {}
    for name, heard in rows.items():
        results[name] = figures(lesson, options.folds, heard)
        print(f"{name}: {results[name]}", flush=True)
    write_json(output / "trunks" / "results.json", results)


def moments_of_all(lesson: Lesson, output: Path) -> dict[str, list[Halves]]:
    """Of each frozen trunk, the moments of music and of sounds."""
    sources = (
        (catalog_of(lesson.clips), SHARED, "music"),
        (shipped_sounds.catalog_of(lesson.sounds), output / "sounds", "sounds"),
    )
    found = {"mn04": of_mn04(lesson.heard, output, "level")}
    for teacher in CHOIS:
        found[teacher] = [
            of_choi(teacher, catalog, output, audio=audio, name=name)
            for catalog, audio, name in sources
        ]
    beside = zip(found["mn04"], found[CHOIS[0]], strict=True)
    return {**found, "mn04 and choi2016-cnn": [side_by_side(pair) for pair in beside]}


def with_shipped(
    lesson: Lesson, output: Path, fold: int, of_choi: Sequence[Halves]
) -> list[Halves]:
    """Choi's moments beside those of the shipped blocks that left the fold out."""
    model = learned(lesson, output, fold, Learning())
    pairs = zip((moments_of(model, images) for images in lesson.heard), of_choi, strict=True)
    return [side_by_side(pair) for pair in pairs]


def of_frozen(
    lesson: Lesson, output: Path, fold: int, name: str, made: Callable[[], Sequence[Halves]]
) -> Heard:
    """Logits and embeddings of a fold by a GRU on moments that left it out; kept.

    made : returns the moments of music and of sounds
    """
    folder = output / "trunks" / name.replace(" ", "-")
    path = folder / f"without-{fold}-heard.npz"
    if not path.exists():
        moments = made()
        n_features = moments[0].shape[1]
        places = np.flatnonzero(lesson.folds != fold)
        # a convolution that changes nothing stands for the blocks, of which the moments are
        one = np.eye(n_features, dtype=np.float32)[:, :, None, None]
        carried = ConvBlock(one, np.zeros(n_features, dtype=np.float32), (1, 1), "relu")
        values, weights = targets(lesson, output, fold, Learning())
        model = new_model([carried], values[places], weights[places], seed=Learning.seed)
        for stage, settings in {"first": Learning(), "head": HEAD}.items():
            taught = targets(lesson, output, fold, settings)
            part = folder / f"without-{fold}-{stage}.npz"
            learn(moments, *taught, places, part, settings=settings, head_of=model)
        here = lesson.folds == fold
        with torch.inference_mode():
            x = np.concatenate(moments)[here].astype(np.float32)
            embedding = model.embed_moments(torch.from_numpy(x))
            logits = model.output(embedding)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, logits=logits.numpy(), embedding=embedding.numpy())
    with np.load(path) as file:
        return file["logits"], file["embedding"]


def figures(lesson: Lesson, folds: list[int], heard: list[Heard]) -> Mapping[str, object]:
    """The measures of the shipped model, over the music of these folds."""
    of_music = lesson.folds[: len(lesson.clips)]
    at = np.isin(of_music, folds)
    n_heads, n_dimensions = (part.shape[1] for part in heard[0])
    logits, embeddings = np.zeros((len(at), n_heads)), np.zeros((len(at), n_dimensions))
    for fold, (of_fold, embedding) in zip(folds, heard, strict=True):
        here = of_music == fold
        logits[here], embeddings[here] = of_fold[: here.sum()], embedding[: here.sum()]
    clips = [clip for clip, asked in zip(lesson.clips, at, strict=True) if asked]
    logits, embeddings, of_music = logits[at], embeddings[at], of_music[at]
    labels = lesson.labels
    logits = logits[:, : len(labels.heads)]
    result: dict[str, object] = {}
    for question in questions(lesson.clips):
        asked = replace(question, at=question.at[at], truth=question.truth[at])
        found = answer(asked, labels.heads, logits, of_music)
        result[question.name] = [found["roc_auc"][0], found["average_precision"][0]]
    labels = Labels(labels.heads, labels.values[at], labels.weights[at])
    by_others, _ = calibrated_by_others(logits, labels, judged(clips, labels), of_music)
    right = first_genres(clips, labels.heads, by_others)[f"{SHRINKAGE}"]
    result["first genre right"] = {name: share for name, (share, *_) in right.items()}
    result["five nearest share of genres"] = shared_genres(clips, embeddings)
    return result


if __name__ == "__main__":
    main()
