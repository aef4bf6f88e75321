"""Distortions of music as they happen between studio and listener: level, noise, codecs, pitch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from earmark.arrays import Float32Array
from earmark.audio import load_audio, resample
from earmark.errors import BadValue

RATE = 44_100  # Hz, of the samples that every distortion takes and returns

Distortion = Callable[[Float32Array, np.random.Generator], Float32Array]

_N_FFT, _HOP = 2048, 512  # samples, of the phase vocoder: each sample is in four frames


def gain(samples: Float32Array, _: np.random.Generator, *, decibels: float) -> Float32Array:
    """Louder or softer, never clipped."""
    return samples * np.float32(10 ** (decibels / 20))


def noise(
    samples: Float32Array, generator: np.random.Generator, *, decibels: float
) -> Float32Array:
    """With white noise, so many dB below the music's mean power."""
    power = np.mean(np.square(samples, dtype=np.float64)) * 10 ** (-decibels / 10)
    return samples + np.float32(np.sqrt(power)) * generator.standard_normal(
        samples.size, dtype=np.float32
    )


def low_pass(samples: Float32Array, _: np.random.Generator, *, hertz: int) -> Float32Array:
    """Without frequencies above a limit: resampled to twice that rate and back."""
    narrow = resample(samples, rate=RATE, target_rate=2 * hertz)
    return resample(narrow, rate=2 * hertz, target_rate=RATE)


def mp3(samples: Float32Array, _: np.random.Generator, *, kilobits: int) -> Float32Array:
    """Through an mp3 file of that many kbit/s."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coded.mp3"
        with av.open(path, "w") as container:
            stream = container.add_stream("mp3", rate=RATE, layout="mono", format="fltp")
            stream.bit_rate = 1000 * kilobits
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = RATE
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        return load_audio(path, rate=RATE).samples


def speed(samples: Float32Array, _: np.random.Generator, *, factor: float) -> Float32Array:
    """Faster and higher, as a record that turns faster."""
    return resample(samples, rate=RATE, target_rate=round(RATE / factor))


def pitch(
    samples: Float32Array, generator: np.random.Generator, *, semitones: float
) -> Float32Array:
    """Higher or lower at the same speed: stretched, then played faster by as much."""
    factor = 2 ** (semitones / 12)
    return speed(stretch(samples, factor=factor), generator, factor=factor)


def stretch(samples: Float32Array, *, factor: float) -> Float32Array:
    """Longer by a factor at the same pitch, by a phase vocoder (Flanagan and Golden 1966).

    samples : float32 (n_samples,); returns : float32 (about n_samples * factor,)
    """
    if samples.size < _N_FFT:
        raise BadValue(f"{samples.size} samples are too few to stretch; give {_N_FFT} or more")
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    padded = np.pad(samples, (_N_FFT // 2, _N_FFT // 2 + _HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
    spectra = np.fft.rfft(frames * window, axis=1)  # (n_frames, n_bins)
    loud, angle = np.abs(spectra), np.angle(spectra)

    places = np.arange(0, len(spectra) - 1, 1 / factor)  # in the original, of each new frame
    left = places.astype(int)
    share = (places - left).astype(np.float32)[:, None]
    loudness = (1 - share) * loud[left] + share * loud[left + 1]
    expected = 2 * np.pi * _HOP / _N_FFT * np.arange(loud.shape[1])
    drift = angle[left + 1] - angle[left] - expected
    advance = expected + drift - 2 * np.pi * np.rint(drift / (2 * np.pi))
    phase = angle[0] + np.cumsum(advance, axis=0) - advance  # of the advances before each frame
    new = np.fft.irfft(loudness * np.exp(1j * phase), axis=1) * window

    total = np.zeros((len(new) + _N_FFT // _HOP, _HOP))
    weight = np.zeros_like(total)
    for part in range(_N_FFT // _HOP):
        columns = slice(part * _HOP, (part + 1) * _HOP)
        total[part : part + len(new)] += new[:, columns]
        weight[part : part + len(new)] += np.square(window[columns])
    whole = (total / np.maximum(weight, 1e-3)).ravel()[_N_FFT // 2 :]
    return whole[: round(samples.size * factor)].astype(np.float32)


# By the names that reports show. The first is the unchanged music, which the others are compared
# with.
DISTORTIONS: dict[str, Distortion] = {
    "as it is": lambda samples, _: samples,
    "gain -12 dB": partial(gain, decibels=-12),
    "gain +6 dB": partial(gain, decibels=6),
    "noise 30 dB below": partial(noise, decibels=30),
    "noise 20 dB below": partial(noise, decibels=20),
    "noise 10 dB below": partial(noise, decibels=10),
    "low-pass 8 kHz": partial(low_pass, hertz=8_000),
    "low-pass 4 kHz": partial(low_pass, hertz=4_000),
    "mp3 128 kbit/s": partial(mp3, kilobits=128),
    "mp3 32 kbit/s": partial(mp3, kilobits=32),
    "speed -5 %": partial(speed, factor=0.95),
    "speed +5 %": partial(speed, factor=1.05),
    "pitch -1 semitone": partial(pitch, semitones=-1),
    "pitch +1 semitone": partial(pitch, semitones=1),
}
