"""Whether what the library would write is right: python -m studies.library_settings FOLDER.

FOLDER is what `python -m studies.shipped_model -o FOLDER` made: each of 4Q's 900 clips was heard by
the model of the fold that left its artist out, and is calibrated as the shipped model is. What
`earmark library write` would then write, at several thresholds, is judged by the clips' labels: a
genre by the genres of 4Q that it belongs to, a mood by the words of 4Q that mean it, and by whether
most of the clip's words lie in the same quarter of feeling. Then: how much the songs nearest by
embedding share with a song, within a fold.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from earmark.library.embeddings import unit
from earmark.library.playlists.recordings import NEAR, NEAR_LOG_ODDS
from earmark.library.settings import GroupRule, TagRules, read_settings
from earmark.library.writing.fields import GENRE, MOOD, fields_from
from earmark.model_file import Card, read_card
from earmark.ranking import log_odds
from earmark.results import rank_tags
from studies.q4 import N_FOLDS
from studies.shipped_first import IN_4Q
from studies.shipped_labels import NEAR as NEAR_WORDS
from studies.shipped_labels import SAME, read_labels, split
from studies.shipped_measures import shared_genres
from studies.shipped_music import Clip, folds_of, read_clips
from studies.shipped_words import SOUNDS

LEAST = (0.2, 0.3, 0.4, 0.5, 0.6)
TOP = 2
QUARTERS = (
    "Joyous Cheerful Exciting Spicy Happy Sexy Sensual Sparkling Fun Fiery",
    "Angry Harsh Hostile Fierce Outrageous Reckless Anxious Tense Uncompromising Greasy",
    "Gloomy Sad Bleak Bitter Anguished Distraught Weary Somber Reserved",
    "Calm Peaceful Soothing Delicate Gentle Dreamy Quiet Light Atmospheric Spiritual Hypnotic "
    "Relaxed",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    clips, card = read_clips(), read_card(folder / "earmark.onnx")
    heads = (*read_labels(clips).heads, *SOUNDS)
    columns = [heads.index(tag) for tag in card.tags]
    folds = folds_of(clips)
    logits = np.zeros((len(clips), len(columns)), dtype=np.float32)
    vectors = None
    for fold in range(N_FOLDS):
        places = np.flatnonzero(folds == fold)
        with np.load(folder / "learned" / f"without-{fold}-heard.npz") as file:
            logits[places] = file["logits"][: len(places), columns]
            embedding = file["embedding"][: len(places)]
        if vectors is None:
            vectors = np.zeros((len(clips), embedding.shape[1]), dtype=np.float32)
        vectors[places] = embedding
    assert vectors is not None
    scores = card.scores(logits)
    print("group  from   files   a file   right   with one right   same quarter")
    for group in (GENRE, MOOD):
        for least in LEAST:
            judge(clips, scores, card, group=group, least=least)
    shared = shared_genres(clips, vectors)
    print(f"five nearest of other artists: {shared:.3f} of their genres shared (Jaccard)")
    q4 = np.array([clip.source == "q4" for clip in clips])
    pairs = sum(
        near_pairs(unit(vectors[at]), log_odds(scores[at]))
        for at in (q4 & (folds == fold) for fold in range(N_FOLDS))
    )
    print(f"pairs of different songs taken for near-duplicates: {pairs}")


def judge(
    clips: Sequence[Clip], scores: np.ndarray, card: Card, *, group: str, least: float
) -> None:
    """A line of the table."""
    usual = read_settings()
    settings: TagRules = replace(usual, groups={**usual.groups, group: GroupRule(least, TOP)})
    tag_of = {usual.name(tag): tag for tag in reversed(card.tags)}
    n_files = n_right_files = n_clips = 0
    right, quarter = [], []
    for place, clip in enumerate(clips):
        if clip.source != "q4":
            continue
        n_clips += 1
        carried_words = clip.words("genres", "moods")
        said = fields_from(rank_tags(card, scores[place]), settings=settings, model="", sha256="")[
            group
        ]
        meant = [words_of(tag_of[name]) for name in said]
        carried = [bool(words & carried_words) for words in meant]
        right += carried
        n_files += bool(said)
        n_right_files += any(carried)
        counts = [len(carried_words.intersection(words.split())) for words in QUARTERS]
        if group == MOOD and any(counts):
            most = set(QUARTERS[int(np.argmax(counts))].split())
            quarter += [bool(words & most) or carried[i] for i, words in enumerate(meant)]
    felt = f"{np.mean(quarter):.2f}" if quarter else ""
    print(
        f"{group}  {least:4}   {n_files / n_clips:.0%}   {len(right) / n_clips:6.2f}   "
        f"{np.mean(right):.2f}   {n_right_files / n_files:.0%}   {felt}"
    )


def words_of(tag: str) -> frozenset[str]:
    """The words of 4Q that a tag is right for; its own where there is none."""
    return split(IN_4Q.get(tag, "") or SAME.get(tag, "") or NEAR_WORDS.get(tag, "") or tag)


def near_pairs(vectors: np.ndarray, odds: np.ndarray) -> int:
    """How many pairs are near by embedding and log-odds; the lengths are all alike."""
    one, other = np.nonzero(np.triu(vectors @ vectors.T >= NEAR, 1))
    difference = np.sqrt(np.mean((odds[one] - odds[other]) ** 2, axis=-1))
    return int(np.count_nonzero(difference <= NEAR_LOG_ODDS))


if __name__ == "__main__":
    main()
