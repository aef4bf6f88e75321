"""The process that converts a song to Opus, for a browser that cannot play it as it is.

It reads two paths from its standard input, parted by a zero byte: the song, and the file to write.
"""

from __future__ import annotations

import os
import sys

from earmark.audio.budget import Budget
from earmark.audio.decoding import frames_of
from earmark.audio.downmix import Tally
from earmark.audio.opening import audio_stream, opened_container
from earmark.errors import UnreadableAudio

_RATE = 48_000  # Hz, the rate of Opus
_BITS = 128_000  # a second: of a stereo song few people hear a difference


def convert(source: str, target: str) -> None:
    """Write a song as Ogg Opus, in stereo. Raises UnreadableAudio."""
    import av

    with (
        opened_container(source, budget=Budget(source)) as (container, _),
        av.open(target, "w", format="ogg") as out,
    ):
        stream = out.add_stream("libopus", rate=_RATE)
        stream.layout = "stereo"
        stream.bit_rate = _BITS
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=_RATE)
        frames = frames_of(container, audio_stream(source, container), Tally())
        for frame in frames:
            frame.pts = None  # of a damaged file they may run backwards
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))


def main() -> int:
    """Convert; the exit code says whether it worked."""
    source, target = map(os.fsdecode, sys.stdin.buffer.read().split(b"\0"))
    try:
        convert(source, target)
    except UnreadableAudio as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
