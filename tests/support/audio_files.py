"""Real audio files of every kind, made by PyAV, and ways to damage them."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import av
import numpy as np
import soundfile

if TYPE_CHECKING:
    import pytest

_VBR = {"flags": "+qscale", "global_quality": str(4 * 118)}  # 118 is FFmpeg's FF_QP2LAMBDA
# AAC's noise substitution decodes to other noise each time, which no two reads would share
_NO_PNS = {"aac_pns": "0"}
_EXAMPLE = Path(__file__).parents[2] / "examples" / "make_music.py"

# name -> how to write it: codec, and what is not the default of `write_audio`
FORMATS: dict[str, dict[str, Any]] = {
    "cbr.mp3": {"codec": "libmp3lame", "bit_rate": 128_000},
    "vbr.mp3": {"codec": "libmp3lame", "codec_options": _VBR},
    "bare.mp3": {"codec": "libmp3lame", "options": {"write_xing": "0", "id3v2_version": "0"}},
    "aac.m4a": {"codec": "aac", "codec_options": _NO_PNS},
    "faststart.m4a": {
        "codec": "aac",
        "codec_options": _NO_PNS,
        "options": {"movflags": "faststart"},
    },
    "alac.m4a": {"codec": "alac"},
    "raw.aac": {"codec": "aac", "codec_options": _NO_PNS},
    "plain.flac": {"codec": "flac"},
    "vorbis.ogg": {},
    "flac.ogg": {"codec": "flac"},
    "plain.opus": {"codec": "libopus", "encoded_rate": 48_000},
    "s16.wav": {"codec": "pcm_s16le"},
    "s24.wav": {"codec": "pcm_s24le"},
    "float.wav": {"codec": "pcm_f32le"},
    "s16.aiff": {"codec": "pcm_s16be"},
    "v2.wma": {"codec": "wmav2", "bit_rate": 128_000},
    "aac.mka": {"codec": "aac"},
    "s16.wv": {"codec": "wavpack", "sample_format": "s16p"},
}
LOSSLESS = frozenset(
    {
        "alac.m4a", "plain.flac", "flac.ogg", "s16.wav", "s24.wav", "float.wav", "s16.aiff",
        "s16.wv",
    }
)  # fmt: skip
MILLISECOND_CLOCKS = frozenset({"v2.wma", "aac.mka"})


def tone(
    hz: float, *, seconds: float = 1.0, rate: int = 44_100, channels: int = 1, level: float = 0.5
) -> np.ndarray:
    """A sine in every channel, float32 (channels, n)."""
    t = np.arange(round(seconds * rate)) / rate
    return np.tile(level * np.sin(2 * np.pi * hz * t), (channels, 1)).astype(np.float32)


def music(seconds: float, *, seed: int = 0) -> np.ndarray:
    """The song of examples/make_music.py, float32 (2, n) at 44,100 Hz: no two places are alike."""
    return example().make_song(seconds, seed=seed)


def example() -> Any:
    """The module examples/make_music.py."""
    spec = importlib.util.spec_from_file_location("make_music", _EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_format(folder: Path, name: str, samples: np.ndarray, *, rate: int = 44_100) -> Path:
    """A file of one of FORMATS."""
    path = folder / name
    if name == "vorbis.ogg":  # the wheels of PyAV hold no good Vorbis encoder, libsndfile does
        soundfile.write(path, samples.T, rate, format="OGG", subtype="VORBIS")
    else:
        write_audio(path, samples, rate=rate, **FORMATS[name])
    return path


def write_audio(
    path: Path,
    samples: np.ndarray,
    *,
    codec: str,
    rate: int = 44_100,
    encoded_rate: int | None = None,
    layout: str | None = None,
    bit_rate: int | None = None,
    container: str | None = None,
    sample_format: str | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Encode float32 (channels, n).

    encoded_rate : Hz in the file where the codec does not take `rate`
    """
    layout = layout or {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(samples)]
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        stream = output.add_stream(
            codec, rate=encoded_rate or rate, layout=layout, options=codec_options or {}
        )
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        if sample_format is not None:
            stream.format = sample_format
        for start in range(0, samples.shape[1], 4096):
            block = np.ascontiguousarray(samples[:, start : start + 4096], dtype=np.float32)
            # packed, for PyAV cannot fill planes beyond the eighth
            frame = av.AudioFrame.from_ndarray(block.T.reshape(1, -1), "flt", layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_silent_film(path: Path) -> Path:
    """A video without sound."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            picture = np.zeros((64, 64, 3), dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def write_hours_of_silence(path: Path, hours: float) -> Path:
    """FLAC at 8 kHz in its largest blocks, 14 kB an hour."""
    rate, n = 8000, 1 << 20
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            "flac", rate=rate, layout="mono", options={"frame_size": "65535"}
        )
        for start in range(0, round(hours * 3600 * rate), n):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, n), np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_png(path: Path) -> Path:
    """A picture."""
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as output:
        stream = output.add_stream("png", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        picture = np.zeros((16, 16, 3), dtype=np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def add_asf_object(path: Path, kind: UUID, body: bytes) -> Path:
    """Put an object at the end of the header of a WMA file."""
    content = path.read_bytes()
    n_bytes, n_objects = struct.unpack_from("<QI", content, 16)
    added = kind.bytes_le + struct.pack("<Q", 24 + len(body)) + body
    header = bytearray(content[:n_bytes] + added)
    struct.pack_into("<QI", header, 16, n_bytes + len(added), n_objects + 1)
    path.write_bytes(header + content[n_bytes:])
    return path


def seconds_decoded(monkeypatch: pytest.MonkeyPatch, *modules: Any) -> list[float]:
    """The lengths of all frames that these modules decode from now on, as they come."""
    decoded: list[float] = []
    frames_of = modules[0].frames_of

    def counted(*arguments: Any) -> Iterator[Any]:
        for frame in frames_of(*arguments):
            decoded.append(frame.samples / frame.sample_rate)
            yield frame

    for module in modules:
        monkeypatch.setattr(module, "frames_of", counted)
    return decoded


def overwrite(path: Path, *, at: float, n: int, seed: int = 0) -> Path:
    """Put n random bytes over the middle of a file, `at` of the way through."""
    content = bytearray(path.read_bytes())
    start = int(at * len(content))
    content[start : start + n] = np.random.default_rng(seed).bytes(n)
    path.write_bytes(content)
    return path


def flip_bits(path: Path, *, n: int, seed: int, keep: int = 4096) -> Path:
    """Flip n bits, but none in the first or last `keep` bytes."""
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    for place in rng.integers(keep, len(content) - keep, n):
        content[place] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    return path
