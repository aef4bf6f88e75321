"""The check of a preview: is it audio, is it whole, how long is it; then its final name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from earmark import files
from earmark.data.previews.containers import read_container
from earmark.data.previews.failures import BadContent
from earmark.data.previews.folder import AUDIO, link_or_copy
from earmark.data.previews.options import Check
from earmark.errors import UnreadableAudio
from earmark.folder_lock import disk_errors

_LEAST = 0.9  # of the length that was expected
_DECODED = 0.95  # of the length that the container declares; encoders pad both ends


@dataclass(frozen=True)
class CheckedPreview:
    """A preview that passed its check: its file name, and what is in it.

    seconds : as decoded; None after a light check
    """

    name: str
    sha256: str
    size: int
    seconds: float | None


class Suspect(BadContent):
    """Audio that is shorter than expected, and whose file does not say whether it is cut.

    sha256 : of what arrived; if the same bytes arrive again, the audio is just that short
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
    suspect: str = "",
) -> CheckedPreview:
    """Check audio and put it at `folder`/audio/<song_id>.<ext>, whole or not at all.

    audio : its bytes, or a file of this machine, which is linked where possible, else copied
    expected_seconds : length of a whole preview, None where it is not known
    suspect : sha256 of the Suspect that came before; the same bytes are now accepted

    Raises BadContent, Suspect, or DataError where it cannot be written.
    """
    data = audio if isinstance(audio, bytes) else _read(audio)
    digest = hashlib.sha256(data).hexdigest()
    container = read_container(data)
    if not container.suffix:
        if isinstance(audio, bytes):
            raise BadContent(f"the reply is not audio; it begins {data[:40]!r}")
        suffix = audio.suffix.lower()  # a file of the user may be anything that can be decoded
    else:
        suffix = container.suffix
    if container.cut:
        raise BadContent(f"the audio is cut: {container.cut}")

    def checked_seconds(path: Path) -> float | None:
        seconds = None if check == "light" else measure(path)
        short = expected_seconds is not None and (seconds or 0) < _LEAST * expected_seconds
        if short and not container.complete and seconds is not None and digest != suspect:
            raise Suspect(f"{seconds:.1f} s where {expected_seconds:.0f} s are expected", digest)
        return seconds

    name = f"{song_id}{suffix}"
    target = folder / AUDIO / name
    if isinstance(audio, Path):
        seconds = checked_seconds(audio)
        with disk_errors(target.parent):
            link_or_copy(audio, target)
    else:
        with disk_errors(target.parent), files.atomic_path(target) as temporary:
            temporary.write_bytes(audio)
            seconds = checked_seconds(temporary)
    return CheckedPreview(name, digest, len(data), seconds)


def measure(path: Path) -> float:
    """Decode a whole file and return its seconds.

    Raises BadContent where it holds no audio, or less than its container declares.
    """
    from earmark.audio import probe, stream_audio

    try:
        info = probe(path)
        n_samples = sum(len(block) for block in stream_audio(path, rate=info.rate))
    except UnreadableAudio as error:
        raise BadContent(f"the audio cannot be decoded: {error.reason}") from error
    seconds = n_samples / info.rate
    if not n_samples:
        raise BadContent("the audio decodes to nothing")
    if info.duration is not None and seconds < _DECODED * info.duration:
        raise BadContent(f"the audio is cut: {seconds:.1f} s of {info.duration:.1f} s")
    return seconds


def inspect(path: Path, *, check: Check = "full") -> CheckedPreview:
    """Check a preview that already has its final name. Raises BadContent."""
    data = _read(path)
    container = read_container(data)
    if container.cut:
        raise BadContent(f"the audio is cut: {container.cut}")
    if check == "light":
        if not container.suffix:
            raise BadContent(f"{path.name} is not audio; it begins {data[:40]!r}")
        seconds = None
    else:
        seconds = measure(path)
    return CheckedPreview(path.name, hashlib.sha256(data).hexdigest(), len(data), seconds)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadContent(f"cannot read {path}: {error.strerror or error}") from error
