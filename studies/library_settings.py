"""Whether what the library would write is right: python -m studies.library_settings FOLDER.

FOLDER is what `python -m studies.shipped_model -o FOLDER` made: each of 4Q's 900 clips is heard by
the model of the fold that left its artist out, and calibrated as the shipped model is. What
`earmark library write` would then write, at several thresholds, is judged by the clips' labels:
a genre by the word of the same meaning, or else by the wider one that it belongs to (WIDER_OF); a
mood by its own word, and by whether most of the clip's words lie in the same quarter of feeling.
Then: how much the songs nearest by embedding share with a song, within a fold.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from earmark import zoo
from earmark.data.store.reader import open_store
from earmark.library.embeddings import unit
from earmark.library.playlists.similar import NEAR, NEAR_LOG_ODDS
from earmark.library.settings import GroupRule, TagRules, read_settings
from earmark.library.writing.fields import GENRE, MOOD, fields_from
from earmark.model_file import Card, read_card
from earmark.ranking import log_odds
from earmark.runtime import Model
from earmark.tagger import rank_tags
from studies.q4 import N_FOLDS, SHARED
from studies.shipped_music import MAPPED, Music, read_music

LEAST = (0.2, 0.3, 0.4, 0.5, 0.6)
TOP = 2
WIDER_OF = {
    **dict.fromkeys(
        ("rock", "pop", "alternative", "indie", "alternative rock", "metal", "classic rock",
         "indie rock", "punk", "hard rock", "heavy metal", "Progressive rock", "indie pop"),
        "Pop/Rock",
    ),
    **dict.fromkeys(("electronica", "dance", "electro", "House"), "Electronic"),
    **dict.fromkeys(("soul", "funk"), "R&B"),
}  # fmt: skip
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
    music, card = read_music(), read_card(zoo.resolve("earmark"))
    store = open_store(folder / "store-choi2016")
    scores = np.zeros((len(store), len(card.tags)), dtype=np.float32)
    shared, pairs = [], 0
    for fold in range(N_FOLDS):
        clips = np.flatnonzero(music.labelled & (music.folds == fold))
        model = Model(folder / f"without-{fold}.onnx")
        heard = [model.run(store.log_mels(part)) for part in np.array_split(clips, 4)]
        scores[clips] = card.scores(np.concatenate([logits for logits, _ in heard]))
        vectors = unit(np.concatenate([embeddings for _, embeddings in heard]))
        shared += neighbours(music, clips, vectors)
        pairs += near_pairs(vectors, log_odds(scores[clips]))
    clips = np.flatnonzero(music.labelled)
    print("group  from   files   a file   right   with one right   same quarter")
    for group in (GENRE, MOOD):
        for least in LEAST:
            judge(music, clips, scores, card, group=group, least=least)
    print(f"five nearest of other artists: {np.mean(shared):.3f} of their genres shared (Jaccard)")
    print(f"pairs of different songs taken for near-duplicates: {pairs}")


def judge(
    music: Music,
    clips: np.ndarray,
    scores: np.ndarray,
    card: Card,
    *,
    group: str,
    least: float,
) -> None:
    """A line of the table."""
    usual = read_settings()
    settings: TagRules = replace(usual, groups={**usual.groups, group: GroupRule(least, TOP)})
    tag_of = {usual.name(tag): tag for tag in reversed(card.tags)}
    word_of = {tag: word for word, tag in MAPPED.items()} | WIDER_OF
    n_files = n_right_files = 0
    right, quarter = [], []
    for clip in clips:
        said = fields_from(rank_tags(card, scores[clip]), settings=settings, model="", sha256="")[
            group
        ]
        words = [word_of.get(tag_of[name], tag_of[name]) for name in said]
        carried = [word in music.words[clip] for word in words]
        right += carried
        n_files += bool(said)
        n_right_files += any(carried)
        counts = [len(music.words[clip].intersection(words.split())) for words in QUARTERS]
        if group == MOOD and any(counts):
            most = QUARTERS[int(np.argmax(counts))].split()
            quarter += [word in most or carried[i] for i, word in enumerate(words)]
    felt = f"{np.mean(quarter):.2f}" if quarter else ""
    print(
        f"{group}  {least:4}   {n_files / len(clips):.0%}   {len(right) / len(clips):6.2f}   "
        f"{np.mean(right):.2f}   {n_right_files / n_files:.0%}   {felt}"
    )


def neighbours(music: Music, clips: np.ndarray, vectors: np.ndarray) -> list[float]:
    """The share of genres in common with each of the five nearest clips of other artists."""
    songs = list(music.catalog)
    with (SHARED / "q4" / "tracks.csv").open(encoding="utf-8") as file:
        genres = {row["id"]: set(row["genres"].split("|")) - {""} for row in csv.DictReader(file)}
    of = [genres[songs[clip].id] for clip in clips]
    found = []
    for i, similarity in enumerate(vectors @ vectors.T):
        others = [
            j for j in np.argsort(-similarity)
            if songs[clips[j]].artist != songs[clips[i]].artist and of[j]
        ][:5]  # fmt: skip
        found += [len(of[i] & of[j]) / len(of[i] | of[j]) for j in others if of[i]]
    return found


def near_pairs(vectors: np.ndarray, odds: np.ndarray) -> int:
    """How many pairs are near by embedding and log-odds; the lengths are all alike."""
    one, other = np.nonzero(np.triu(vectors @ vectors.T >= NEAR, 1))
    difference = np.sqrt(np.mean((odds[one] - odds[other]) ** 2, axis=-1))
    return int(np.count_nonzero(difference <= NEAR_LOG_ODDS))


if __name__ == "__main__":
    main()
