"""Opens one local audio file with FFmpeg; says why a file cannot be read and what to do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from earmark.audio import asf_header
from earmark.audio.budget import Budget
from earmark.errors import UnreadableAudio
from earmark.remote import looks_remote

NO_MEMORY_LEFT = (
    "it needs more memory than one file may take, or than this machine has. It may be damaged: "
    "play it to check. If it is real, hear it with --no-limits"
)

# what MP4 calls encrypted audio: iTunes' FairPlay, Common Encryption, Audible
_PROTECTED = ("drms", "enca", "aavd")
# Formats without a header, which only the name tells apart. FFmpeg gets no other name.
_HEADERLESS = {".722", ".aptx", ".aptxhd", ".dfpwm", ".g722", ".msbc", ".sbc"}


class Opened(NamedTuple):
    """A file that FFmpeg has open: PyAV's container, its audio stream, and where its bytes are."""

    container: Any
    stream: Any
    source: SimpleNamespace


@contextmanager
def opened_file(path: str | Path) -> Iterator[FileIO]:
    """The file, open for reading.

    Raises UnreadableAudio for anything but a regular file, and if reading fails while it is open.
    """
    if "\0" in str(path):
        raise UnreadableAudio(path, "its name contains a zero byte. Check the name")
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()
            raise UnreadableAudio(path, "it is a folder. Give the files in it")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for a writer
            raise UnreadableAudio(path, "it is a pipe or device. Write it to a file first")
        if status.st_size == 0:
            raise UnreadableAudio(path, "the file is empty. Fetch it again")
        with Path(path).open("rb", buffering=0) as file:
            yield file
    except MemoryError as error:
        raise UnreadableAudio(path, NO_MEMORY_LEFT) from error
    except OSError as error:
        raise UnreadableAudio(path, reason(path, error)) from error


def reason(path: str | Path, error: OSError) -> str:
    """Why a file cannot be read, and what to do about it."""
    if error.errno == errno.ENOMEM:
        return NO_MEMORY_LEFT
    if os.path.isdir(path):  # noqa: PTH112 - is_dir() raises for what it cannot look at
        return (
            f"this folder cannot be listed ({error.strerror}). Check its permissions and the disk"
        )
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114 - as above
        return f"it is a broken link ({error.strerror}). Correct the link, or delete it"
    if isinstance(error, FileNotFoundError):
        if looks_remote(path):
            return "this is an address, and earmark hears files. Download it first"
        return "there is no such file. Check the name"
    if isinstance(error, PermissionError):
        return "you have no permission to read it. Change its permissions, or ask its owner"
    return f"reading it failed ({error.strerror or error}). Check the name and the disk"


@contextmanager
def opened(
    path: str | Path, *, budget: Budget, link: tuple[int, int] | None = None
) -> Iterator[Opened]:
    """A file, or its bytes from link[0] to link[1], as FFmpeg opens it.

    Raises UnreadableAudio, also for what goes wrong while it is open.
    """
    with opened_container(path, budget=budget, link=link) as (container, source):
        stream = audio_stream(path, container)
        if _codec_tag(stream) in _PROTECTED or (
            container.format.name == "asf" and _is_protected_asf(source)
        ):
            raise UnreadableAudio(
                path, "its audio is encrypted (DRM), and would decode to noise. Choose another file"
            )
        yield Opened(container, stream, source)


@contextmanager
def opened_container(
    path: str | Path, *, budget: Budget, link: tuple[int, int] | None = None
) -> Iterator[tuple[Any, SimpleNamespace]]:
    """PyAV's container of a file, whatever it holds, and its bytes.

    FFmpeg gets the bytes of this file and no name, so it cannot take a name for an address. Every
    other file and protocol that a playlist names is refused.

    Raises UnreadableAudio, also for what goes wrong while it is open.
    """
    import av

    def refuse(*_: Any) -> NoReturn:
        raise UnreadableAudio(path, "it is a playlist of other files. Give those files")

    with opened_file(path) as file:
        budget.open(file)
        source = _file_like(file, link, budget=budget)
        try:
            with av.open(
                source,
                "r",
                metadata_errors="replace",  # do not fail for a title in an old encoding
                container_options={
                    "protocol_whitelist": "none",
                    # DTS may hide in a CD-quality wav; four packets show it, and all take 30 ms.
                    "max_probe_packets": "4",
                },
                io_open=refuse,
            ) as container:
                yield container, source
        except MemoryError:
            raise
        except av.FFmpegError as error:
            raise UnreadableAudio(
                path,
                f"FFmpeg finds no audio in it ({error.strerror}). It may be text, a playlist, "
                "damaged or cut short: play it to check, and fetch it again",
            ) from error


def audio_stream(path: str | Path, container: Any) -> Any:
    """The audio stream of a container. Raises UnreadableAudio if there is none to decode."""
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None:
        kinds = {stream.type for stream in container.streams}
        if "audio" in kinds:
            reason = "its audio is encrypted (DRM), or in a codec that FFmpeg cannot decode"
        else:
            reason = f"it holds {' and '.join(sorted(kinds)) or 'nothing'}, but no audio"
        raise UnreadableAudio(path, f"{reason}. Convert it first, or choose another file")
    if stream.codec_context.name == "flac":
        stream.codec_context.options = {
            # else a damaged frame decodes to noise; elsewhere checksums are absent or wrong
            "err_detect": "crccheck+explode",
            # a channel after the other, as FFmpeg has them: s32p for 24 bits
            "request_sample_fmt": "s16p",
        }
    return stream


def _codec_tag(stream: Any) -> str:
    """The four letters that a container calls the codec; "" where it has a number for it."""
    try:
        return str(stream.codec_context.codec_tag)
    except UnicodeDecodeError:  # AVI, ASF and WAV number theirs: 0xff for AAC, 0xf1ac for FLAC
        return ""


def _is_protected_asf(source: SimpleNamespace) -> bool:
    place = source.tell()
    is_protected = asf_header.is_protected(source)
    source.seek(place)
    return is_protected


def _file_like(file: FileIO, link: tuple[int, int] | None, *, budget: Budget) -> SimpleNamespace:
    """What PyAV asks of a file object, for a stretch of the file."""
    begin, end = link or (0, 0)
    file.seek(begin)
    suffix = Path(budget.path).suffix.lower()
    name = f"audio{suffix}" if suffix in _HEADERLESS else ""

    def read(n: int) -> bytes:
        content = file.read(max(0, min(n, end - file.tell())) if link else n) or b""
        budget.read(len(content))
        return content

    if link is None:
        return SimpleNamespace(read=read, seek=file.seek, tell=file.tell, name=name)

    def seek(offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: begin, os.SEEK_CUR: file.tell(), os.SEEK_END: end}[whence]
        return file.seek(base + offset) - begin

    return SimpleNamespace(read=read, seek=seek, tell=lambda: file.tell() - begin, name=name)
