"""Formats of audio files, read without decoding: which one it is, and whether its end is missing.

A transfer that ends early without an error leaves a file that decodes well, but is shorter. Most
containers show it: they declare their size at the front, or their last frame is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from earmark.audio.trailers import synchsafe

# ISO/IEC 11172-3 and 13818-3, layer III: kbit/s by index, for MPEG 1 and for MPEG 2 and 2.5
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_RATES = (44100, 48000, 32000)  # of MPEG 1; half for 2, a quarter for 2.5


@dataclass(frozen=True)
class Container:
    """What the bytes of a file show.

    suffix : the right one for the file, with its dot; "" for no kind of audio that we know
    cut : how we know that the end is missing, in words; "" where nothing shows it
    complete : the container declares where it ends, and all of it is there
    """

    suffix: str
    cut: str = ""
    complete: bool = False


def read_container(data: bytes) -> Container:
    """Read the container of a whole file."""
    if data[4:8] == b"ftyp":
        return _mp4(data)
    if data[:4] == b"OggS":
        return _ogg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav(data)
    if data[:4] == b"fLaC":
        return Container(".flac")
    start = _after_id3(data)
    if start or _is_frame(data, start):
        return _frames(data, start)
    return Container("")


def _mp4(data: bytes) -> Container:
    at, found = 0, set()
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.add(data[at + 4 : at + 8])
        if size == 1 and at + 16 <= len(data):
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:  # to the end of the file, wherever that is
            return Container(".m4a")
        if size < 8:
            return Container(".m4a", cut="a box has an impossible size")
        at += size
    if at != len(data):
        return Container(
            ".m4a", cut=f"{len(data)} bytes of {at}" if at > len(data) else "half a box"
        )
    if not {b"moov", b"moof"} & found:
        return Container(".m4a", cut="the index is missing")
    return Container(".m4a", complete=True)


def _wav(data: bytes) -> Container:
    size = int.from_bytes(data[4:8], "little") + 8
    if size >= 0xFFFFFFFF:  # written by a stream that did not know its length
        return Container(".wav")
    if size > len(data) + 1:  # some writers count a padding byte that they do not write
        return Container(".wav", cut=f"{len(data)} bytes of {size}")
    return Container(".wav", complete=True)


def _ogg(data: bytes) -> Container:
    suffix = ".opus" if b"OpusHead" in data[:100] else ".ogg"
    at = data.rfind(b"OggS")
    n_segments = data[at + 26] if at + 27 <= len(data) else 0
    table = data[at + 27 : at + 27 + n_segments]
    end = at + 27 + n_segments + sum(table)
    if at + 27 > len(data) or len(table) < n_segments or end > len(data):
        return Container(suffix, cut="its last page is cut")
    return Container(suffix, complete=bool(data[at + 5] & 4))  # the flag of a stream's last page


def _frames(data: bytes, start: int) -> Container:
    """MP3, or AAC in ADTS: one frame after the other; only some MP3 files declare their length."""
    suffix = ".aac" if data[start + 1 : start + 2] and data[start + 1] & 0xF6 == 0xF0 else ".mp3"
    end = len(data) - 128 if data[-128:-125] == b"TAG" else len(data)
    at, n_frames = start, -1  # the frame that declares the number does not count itself
    while at < end:
        length = _frame_length(data, at)
        if not length:  # another kind of tag, or junk, and not a frame
            return Container(suffix)
        at += length
        n_frames += 1
    if at > end:
        return Container(suffix, cut=f"its last frame lacks {at - end} bytes")
    n_announced = _announced_frames(data, start)
    if n_announced and n_frames < n_announced:
        return Container(suffix, cut=f"{n_frames} frames of {n_announced}")
    return Container(suffix, complete=bool(n_announced))


def _announced_frames(data: bytes, start: int) -> int:
    """The number of frames that the first frame of most MP3 files declares; else 0."""
    first = data[start : start + 200]
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if at < 0 or at + 12 > len(first) or not first[at + 7] & 1:
        return 0
    return int.from_bytes(first[at + 8 : at + 12], "big")


def _is_frame(data: bytes, at: int) -> bool:
    """Whether a frame begins here, and another one after it."""
    length = _frame_length(data, at)
    return bool(length) and (at + length >= len(data) or bool(_frame_length(data, at + length)))


def _frame_length(data: bytes, at: int) -> int:
    """Bytes of the frame that begins here, 0 where none does; a cut header counts as one."""
    head = data[at : at + 7]
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 1 if head == b"\xff" else 0
    if head[1] & 0xF6 == 0xF0:  # ADTS, ISO/IEC 13818-7
        if len(head) < 7:
            return 7
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return length if length > 7 else 0
    if len(head) < 4:
        return 4
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer != 1 or bits in (0, 15) or rate == 3:
        return 0
    is_first = version == 3
    hertz = _RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    kbits = _KBITS[0 if is_first else 1][bits]
    return (144 if is_first else 72) * kbits * 1000 // hertz + (head[2] >> 1 & 1)


def _after_id3(data: bytes) -> int:
    """Where the audio begins behind an ID3v2 tag; 0 without one."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    return 10 + synchsafe(data[6:10]) + (10 if data[5] & 0x10 else 0)
