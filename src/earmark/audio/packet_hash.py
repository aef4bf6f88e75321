"""A hash of a file's encoded audio, which stays the same when its tags or its path change."""

from __future__ import annotations

import hashlib
from pathlib import Path

from earmark.audio.budget import Budget
from earmark.audio.opening import opened


def audio_hash(path: str | Path, *, limits: bool = True) -> bytes:
    """SHA-256 of the encoded audio packets of a file, in order; 32 bytes.

    Another tagger's edit of the metadata leaves it as it is, so does a move; another encoding of
    the same song is other audio. Nothing is decoded: a song of four minutes takes some 20 ms.

    limits : False reads a file whatever it costs (audio.budget)

    Raises UnreadableAudio for a file that holds no audio.
    """
    import av

    budget = Budget(path, limits=limits)
    digest = hashlib.sha256()
    with opened(path, budget=budget) as (container, *_):
        streams = [stream for stream in container.streams if stream.type == "audio"]
        try:
            for packet in container.demux(streams):
                if packet.size:
                    budget.packet()
                    digest.update(packet)
        except av.FFmpegError as error:
            # what comes before the damage tells files apart; decoding judges the damage
            digest.update(type(error).__name__.encode())
    return digest.digest()
