"""From what arrived to a preview under its final name: looked at, decoded, measured, kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from earmark import files
from earmark.data.previews.containers import form_of
from earmark.data.previews.folder import AUDIO, link_or_copy
from earmark.data.previews.http import BadContent
from earmark.data.previews.options import Check
from earmark.errors import UnreadableAudio
from earmark.folder_lock import disk_errors

_LEAST = 0.9  # of the length that was expected
_DECODED = 0.95  # of the length that the container declares; encoders pad both ends


@dataclass(frozen=True)
class Preview:
    """A preview that was kept: its file name, and what is in it.

    seconds : as decoded; None after a light check
    """

    name: str
    sha256: str
    size: int
    seconds: float | None


class Suspect(BadContent):
    """Audio that may be cut, where nothing in the file can tell; or may just be so short.

    sha256 : of what arrived: if the same arrives again, it is just so short
    """

    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


def keep(
    audio: bytes | Path,
    *,
    folder: Path,
    song_id: str,
    expected_seconds: float | None = None,
    check: Check = "full",
    known: str = "",
) -> Preview:
    """Check audio and put it at `folder`/audio/<song_id>.<ext>, whole or not at all.

    audio : its bytes, or a file of this machine, which is linked where possible and else copied
    expected_seconds : what a whole one has, None where nobody knows
    known : sha256 that a Suspect had before; the same bytes are no longer suspected

    Raises BadContent, Suspect, or DataError where the disk does not take it.
    """
    data = audio if isinstance(audio, bytes) else _read(audio)
    digest = hashlib.sha256(data).hexdigest()
    form = form_of(data)
    if not form.suffix:
        if isinstance(audio, bytes):
            raise BadContent(f"this is no audio: {data[:40]!r}")
        suffix = audio.suffix.lower()  # a file of one's own may be anything that can be decoded
    else:
        suffix = form.suffix
    if form.cut:
        raise BadContent(f"the audio is cut: {form.cut}")

    def look(path: Path) -> float | None:
        seconds = None if check == "light" else measure(path)
        short = expected_seconds is not None and (seconds or 0) < _LEAST * expected_seconds
        if short and not form.complete and seconds is not None and digest != known:
            raise Suspect(f"{seconds:.1f} s where {expected_seconds:.0f} were expected", digest)
        return seconds

    name = f"{song_id}{suffix}"
    target = folder / AUDIO / name
    if isinstance(audio, Path):
        seconds = look(audio)
        with disk_errors(target.parent):
            link_or_copy(audio, target)
    else:
        with disk_errors(target.parent), files.atomic_path(target) as temporary:
            temporary.write_bytes(audio)
            seconds = look(temporary)
    return Preview(name, digest, len(data), seconds)


def measure(path: Path) -> float:
    """Decode a whole file and return its seconds.

    Raises BadContent where it holds no audio, or less than it says it does.
    """
    from earmark.audio import probe, stream_audio

    try:
        info = probe(path)
        n_samples = sum(len(block) for block in stream_audio(path, rate=info.rate))
    except UnreadableAudio as error:
        raise BadContent(f"it cannot be decoded: {error.reason}") from error
    seconds = n_samples / info.rate
    if not n_samples:
        raise BadContent("it decodes to nothing")
    if info.duration is not None and seconds < _DECODED * info.duration:
        raise BadContent(f"the audio is cut: {seconds:.1f} s of {info.duration:.1f}")
    return seconds


def inspect(path: Path, *, check: Check = "full") -> Preview:
    """What is in a preview that stands under its final name. Raises BadContent."""
    data = _read(path)
    form = form_of(data)
    if form.cut:
        raise BadContent(f"the audio is cut: {form.cut}")
    if check == "light":
        if not form.suffix:
            raise BadContent(f"this is no audio: {data[:40]!r}")
        seconds = None
    else:
        seconds = measure(path)
    return Preview(path.name, hashlib.sha256(data).hexdigest(), len(data), seconds)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadContent(f"cannot read {path}: {error.strerror or error}") from error
