"""The shipped model: five folds that say how good it is, and one model of all the music.

    python -m studies.shipped_model -o FOLDER [--folds 0 1 2 3 4] [--epochs N] [--prompts FOLDER]

Every fold is tested by a model that never saw its artists; the final one learns from all clips in
the same way, and its calibration and reliability are those of the folds' logits. Killed and started
again, it goes on: what is finished lies in FOLDER. The music and the teachers' weights lie in
../shared beside the checkout; the musicnn wheel in FOLDER. FOLDER/earmark.onnx is the result,
FOLDER/results.json what was measured.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.files import atomic_path, write_json
from earmark.provenance import commit
from earmark.published.weights import PUBLISHED
from earmark.training.mobile import MobileGru
from studies import shipped_sounds
from studies.q4 import N_FOLDS, SHARED
from studies.shipped_file import write_file
from studies.shipped_labels import Labels, read_labels
from studies.shipped_learning import HEAD, Halves, Learning, hear, images_of, learn, moments_of
from studies.shipped_measures import fitted
from studies.shipped_music import Clip, catalog_of, folds_of, read_clips
from studies.shipped_report import measure, show
from studies.shipped_targets import Said, heard_by_teachers, make_targets
from studies.shipped_teachers import FEATURES, MN04, TEACHERS, ask
from studies.shipped_truth import judged
from studies.shipped_words import SOUNDS

Array = npt.NDArray[np.float32]
KEPT = "learned"
COMMAND = "python -m studies.shipped_model -o FOLDER"  # as the card tells it
ABSENT = 0.3  # weight of "no" for every word of what is not music
# What a voice that speaks may well be said to be
UNASKED_OF_SPEECH = ("female vocalists", "male vocalists", "female vocalist", "rap")


@dataclass(frozen=True, eq=False)
class Lesson:
    """All that is learned from: the music first, then the sounds.

    images : what mn04's first blocks leave of both, to learn from; heard : the same of the features
        that ship; folds : of both; trunks : what published trunks make of both, if that is taught
    """

    clips: list[Clip]
    labels: Labels
    sounds: list[shipped_sounds.Sound]
    said: Said
    images: tuple[Halves, Halves]
    heard: tuple[Halves, Halves]
    folds: npt.NDArray[np.int64]
    trunks: tuple[Halves, ...] = ()

    @property
    def heads(self) -> tuple[str, ...]:
        return self.labels.heads + SOUNDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--epochs", type=int, default=Learning.epochs)
    parser.add_argument("--prompts", type=Path, default=shipped_sounds.PROMPTS)
    options = parser.parse_args()
    output: Path = options.output
    settings = Learning(epochs=options.epochs)

    lesson = prepare(output, options.prompts)
    heard = {fold: held_out(lesson, output, fold, settings) for fold in options.folds}
    if len(heard) < N_FOLDS:
        return
    logits, embeddings = together(lesson, heard)
    results = measure(lesson.clips, lesson.labels, lesson.sounds, lesson.said, logits, embeddings)
    record = {
        "framework": {"name": "torch"},
        "data": {"n_train": len(lesson.clips), "n_sounds": len(lesson.sounds)},
        "epoch": settings.epochs,
        "commit": commit(), "command": COMMAND, "learning": asdict(settings), "head": asdict(HEAD),
        "teachers": {name: PUBLISHED[name].sha256 for name in TEACHERS},
    }  # fmt: skip
    write_json(output / "results.json", {**record, "results": results})
    show(results)
    model = learned(lesson, output, None, settings)
    path = output / "earmark.onnx"
    cells = judged(lesson.clips, lesson.labels)
    of_music = logits[: len(lesson.clips)]
    card = write_file(
        path,
        model,
        lesson.heads,
        calibration=fitted(of_music[:, : len(lesson.labels.heads)], lesson.labels, cells),
        logits=of_music,
        results=results,
        record=record,
    )
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(card.tags)} tags")


def prepare(output: Path, prompts: Path) -> Lesson:
    """Everything that all folds share, made where it is missing."""
    clips = read_clips()
    catalog = catalog_of(clips)
    said = {name: ask(name, catalog, output) for name in TEACHERS}
    behind = [SHARED / clip.source / clip.said["path"] for clip in clips if clip.source == "q4"]
    made = output / "sounds"
    sounds = shipped_sounds.make_sounds(made, behind, prompts=prompts)
    of_sounds = shipped_sounds.catalog_of(sounds)
    images, heard = (
        (
            images_of(catalog, output, features, audio=SHARED, name="music"),
            images_of(of_sounds, output, features, audio=made, name="sounds"),
        )
        for features in (MN04, FEATURES)
    )
    folds = np.concatenate([folds_of(clips), [sound.fold for sound in sounds]])
    return Lesson(clips, read_labels(clips), sounds, said, images, heard, folds)


def learned(
    lesson: Lesson, output: Path, without: int | None, settings: Learning, *, kept: str = KEPT
) -> MobileGru:
    """The model that learned from all folds but one, or from all.

    kept : the folder in `output` for what is learned
    """
    places = np.arange(len(lesson.folds))[lesson.folds != (-1 if without is None else without)]
    name = "final" if without is None else f"without-{without}"
    folder = output / kept
    taught = targets(lesson, output, without, settings)
    path = folder / f"{name}.npz"
    model = learn(lesson.images, *taught, places, path, settings=settings, trunks=lesson.trunks)
    moments = [moments_of(model, images) for images in lesson.heard]
    taught = targets(lesson, output, without, HEAD)
    path = folder / f"{name}-head.npz"
    return learn(moments, *taught, places, path, settings=HEAD, head_of=model)


def held_out(
    lesson: Lesson, output: Path, fold: int, settings: Learning, *, kept: str = KEPT
) -> tuple[Array, Array]:
    """Logits and embeddings of a fold by the model that left it out; kept beside its weights."""
    path = output / kept / f"without-{fold}-heard.npz"
    if not path.exists():
        model = learned(lesson, output, fold, settings, kept=kept)
        here, n_music = np.flatnonzero(lesson.folds == fold), len(lesson.clips)
        music, sounds = here[here < n_music], here[here >= n_music] - n_music
        parts = [hear(model, lesson.heard[0][music]), hear(model, lesson.heard[1][sounds])]
        logits, embedding = (np.concatenate(pair) for pair in zip(*parts, strict=True))
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, logits=logits, embedding=embedding)
    with np.load(path) as file:
        return file["logits"], file["embedding"]


def targets(
    lesson: Lesson, output: Path, without: int | None, settings: Learning
) -> tuple[Array, Array]:
    """Values and weights of music and sounds, float32 (n, n_heads)."""
    path = output / "teachers" / f"heard-without-{without}.npy"
    n_music, n_words = len(lesson.clips), len(lesson.labels.heads)
    if not path.exists():
        heard = heard_by_teachers(
            lesson.labels, lesson.said, lesson.folds[:n_music], without=without
        )
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, heard)
    values = np.zeros((len(lesson.folds), len(lesson.heads)), dtype=np.float32)
    weights = np.full(values.shape, ABSENT, dtype=np.float32)
    values[:n_music, :n_words], weights[:n_music, :n_words] = make_targets(
        lesson.labels, np.load(path), lesson.clips, without=without, shares=settings.labels
    )
    weights[:, n_words:] = 1
    values[:n_music, n_words + SOUNDS.index("music")] = 1
    for place, sound in enumerate(lesson.sounds, start=n_music):
        values[place, n_words + SOUNDS.index(sound.kind)] = 1
        if sound.kind == "speech":
            weights[place, [lesson.labels.column(tag) for tag in UNASKED_OF_SPEECH]] = 0
        if sound.voice.startswith("babble"):  # many who speak are noise, and speech too
            weights[place, n_words + SOUNDS.index("speech")] = 0
    return values, weights


def together(lesson: Lesson, heard: dict[int, tuple[Array, Array]]) -> tuple[Array, Array]:
    """Logits and embeddings of everything, each by the model that never heard its fold."""
    of_fold = [np.flatnonzero(lesson.folds == fold) for fold in heard]
    order = np.argsort(np.concatenate(of_fold))
    logits, embeddings = (
        np.concatenate(parts)[order] for parts in zip(*heard.values(), strict=True)
    )
    return logits, embeddings


if __name__ == "__main__":
    main()
