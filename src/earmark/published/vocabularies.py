"""What the columns of published networks mean, in their authors' order and spelling."""

from __future__ import annotations

from importlib.resources import files

# MagnaTagATune's 50 most frequent tags, as musicnn orders them.
MTT_50: tuple[str, ...] = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman",
    "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice",
    "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip

# MTG-Jamendo's 50 most frequent tags, sorted, as in autotagging_top50tags.tsv.
_JAMENDO = {
    "genre": (
        "alternative", "ambient", "atmospheric", "chillout", "classical", "dance", "downtempo",
        "easylistening", "electronic", "experimental", "folk", "funk", "hiphop", "house",
        "indie", "instrumentalpop", "jazz", "lounge", "metal", "newage", "orchestral", "pop",
        "popfolk", "poprock", "reggae", "rock", "soundtrack", "techno", "trance", "triphop",
        "world",
    ),
    "instrument": (
        "acousticguitar", "bass", "computer", "drummachine", "drums", "electricguitar",
        "electricpiano", "guitar", "keyboard", "piano", "strings", "synthesizer", "violin",
        "voice",
    ),
    "mood/theme": ("emotional", "energetic", "film", "happy", "relaxing"),
}  # fmt: skip
JAMENDO_50: tuple[str, ...] = tuple(
    f"{category}---{word}" for category, words in _JAMENDO.items() for word in words
)


def audioset_527() -> tuple[str, ...]:
    """AudioSet's sounds in the order of its class_labels_indices.csv (CC BY 4.0)."""
    text = files(__package__).joinpath("audioset.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
