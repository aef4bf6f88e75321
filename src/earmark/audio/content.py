"""What a file holds: audio alone, a film, or nothing that FFmpeg knows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from earmark.audio.budget import Budget
from earmark.audio.decoding import first_frame, frames_of
from earmark.audio.downmix import Tally
from earmark.audio.opening import audio_stream, opened_container
from earmark.errors import UnreadableAudio

Content = Literal["audio", "video", "unknown"]


def content(path: str | Path) -> Content:
    """What a file holds. A picture of the cover makes no film of a song."""
    import av

    try:
        with opened_container(path, budget=Budget(path)) as (container, _):
            cover = av.stream.Disposition.attached_pic
            if any(not stream.disposition & cover for stream in container.streams.video):
                return "video"
            tally = Tally()
            first_frame(path, frames_of(container, audio_stream(path, container), tally), tally)
            return "audio"
    except UnreadableAudio:
        return "unknown"
