"""A hash of a file's encoded audio, which stays the same when its tags or its path change."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from earmark.audio.budget import Budget
from earmark.audio.opening import opened, opened_file
from earmark.audio.trailers import audio_end

# Formats without a table of their packets: what follows the audio is read as if it were audio.
_UNBOUNDED = ("aac", "ac3", "ape", "flac", "mp3", "tta", "wv")
_PADDING = bytes(64)  # so many zeros end no packet of these

# Frame headers of MPEG audio, ISO/IEC 11172-3, section 2.4.2.3, and 13818-3: kbit/s by version 1 or
# 2, layer and number; kHz by number
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = (44_100, 48_000, 32_000)
_VERSION_1, _VERSION_2, _VERSION_2_5 = 3, 2, 0  # as the header numbers them


def audio_hash(path: str | Path, *, limits: bool = True) -> bytes:
    """SHA-256 of the encoded audio packets of a file, in order; 32 bytes.

    Another tagger's edit of the metadata leaves it as it is, so does a move; another encoding of
    the same song is other audio. Tags, text and zeros behind the audio do not count. Nothing is
    decoded: a song of four minutes takes some 20 ms.

    limits : False reads a file whatever it costs (audio.budget)

    Raises UnreadableAudio for a file that holds no audio.
    """
    import av

    budget = Budget(path, limits=limits)
    digest = hashlib.sha256()
    with opened_file(path) as file:
        end = audio_end(file)
    with opened(path, budget=budget, link=(0, end)) as (container, *_):
        streams = [stream for stream in container.streams if stream.type == "audio"]
        name = container.format.name
        try:
            for packet in container.demux(streams):
                if packet.size:
                    budget.packet()
                    digest.update(_audio_of(packet, name))
        except av.FFmpegError as error:
            # what comes before the damage tells files apart; decoding judges the damage. WavPack
            # ends so where something else follows its last block
            if name != "wv":
                digest.update(type(error).__name__.encode())
    return digest.digest()


def _audio_of(packet: Any, container: str) -> Any:
    """The part of a packet that is audio."""
    if container == "mp3":
        content = bytes(packet)
        return content[: _frame_bytes(content[:4])]
    if container in _UNBOUNDED and (content := bytes(packet)).endswith(_PADDING):
        return content.rstrip(b"\0")
    return packet


@lru_cache(maxsize=1 << 10)  # a file has a few different ones
def _frame_bytes(header: bytes) -> int | None:
    """The size of the MPEG audio frame with this header; 0 if it is none, None if it has none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in (_VERSION_1, _VERSION_2, _VERSION_2_5) or layer == 4:
        return 0
    if bit_rate == 15 or rate == 3:
        return 0
    if bit_rate == 0:  # free format
        return None
    bits = 1000 * _KBPS[1 if version == _VERSION_1 else 2, layer][bit_rate - 1]
    hz = _HZ[rate] >> {_VERSION_1: 0, _VERSION_2: 1, _VERSION_2_5: 2}[version]
    if layer == 1:
        return 4 * (12 * bits // hz + padding)
    samples = 576 if layer == 3 and version != _VERSION_1 else 1152
    return samples // 8 * bits // hz + padding
