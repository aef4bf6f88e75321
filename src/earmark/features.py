"""The front end: audio samples to a log-scaled mel spectrogram; the only one in earmark.

Shards, training and tagging all call `log_mel`. Its settings are stored in shards and model files;
spectrograms with other settings are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from earmark import loudness
from earmark.arrays import Float32Array
from earmark.errors import BadValue, FeatureMismatch


@dataclass(frozen=True)
class LogMel:
    """Settings of the log-scaled mel spectrogram.

    decibels : dB per factor of ten in mel power; 10 is the textbook's, 20 squares the power first
    amin : least mel power, before the logarithm
    top_db : dB below the maximum of the clip at which it is cut off; None does not cut
    window_samples : samples of one clip as the networks hear it
    short : what fills a clip that is shorter: silence after it, or the clip again and again
    level : dB that the sounding parts are set to first (earmark.loudness); None leaves them
    """

    name: str
    rate: int = 12_000  # Hz
    n_fft: int = 512  # samples
    hop: int = 256  # samples
    n_mels: int = 96
    f_min: float = 0.0  # Hz
    f_max: float = 6_000.0  # Hz
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    padding: Literal["constant", "reflect"] = "constant"
    decibels: float = 10.0
    amin: float = 1e-10
    top_db: float | None = 80.0
    window_samples: int = 349_440
    short: Literal["silence", "repeat"] = "silence"
    level: float | None = None  # dB

    def __post_init__(self) -> None:
        """Refuse settings that no spectrogram can be made with."""
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise BadValue(
                    f"{field} is {getattr(self, field)!r}; choose one of {', '.join(choices)}"
                )
        for field in ("rate", "n_fft", "hop", "n_mels", "amin", "decibels", "window_samples"):
            if not getattr(self, field) > 0:
                raise BadValue(f"{field} is {getattr(self, field)!r}; it must be above zero")
        if not 0 <= self.f_min < self.f_max <= self.rate / 2:
            raise BadValue(
                f"f_min {self.f_min} and f_max {self.f_max} must rise from 0 to {self.rate / 2} Hz"
            )
        if self.level is not None and not loudness.SILENCE < self.level <= 0:
            raise BadValue(f"level is {self.level}; it must be from {loudness.SILENCE} to 0 dB")

    @property
    def n_frames(self) -> int:
        """Frames of one clip of `window_samples`."""
        return 1 + self.window_samples // self.hop

    @property
    def seconds(self) -> float:
        """Length of one clip."""
        return self.window_samples / self.rate

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        values = dataclasses.asdict(self)
        return {k: v for k, v in values.items() if k not in _LATER or v != _LATER[k]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogMel:
        """Settings from JSON; an unknown or missing key raises FeatureMismatch."""
        names = {field.name for field in dataclasses.fields(cls)}
        unknown, missing = values.keys() - names, names - values.keys() - _LATER.keys()
        if unknown or missing:
            raise FeatureMismatch(
                "these feature settings are not of this version of earmark: "
                f"unknown {sorted(unknown)}, missing {sorted(missing)}"
            )
        return cls(**values)

    def require(self, other: LogMel, *, what: str) -> None:
        """Raise FeatureMismatch, naming `what` and each difference, unless `other` equals this.

        The name of a preset is a label: equal numbers under another name are the same features.
        """
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        differences = [
            f"{key} {theirs[key]} instead of {mine[key]}"
            for key in mine
            if key != "name" and mine[key] != theirs[key]
        ]
        if differences:
            raise FeatureMismatch(
                f"{what} has other features ({other.name}) than are needed ({self.name}): "
                f"{'; '.join(differences)}. Make it again with the features {self.name}."
            )


_BLOCK = 128  # frames whose spectra fit the processor's cache: twice as fast as all at once

# Settings that came later, and what they are in the files that lack them. So they are not written:
# older versions read what they can make.
_LATER: dict[str, Any] = {"level": None}

_CHOICES = {
    "mel_scale": ("slaney", "htk"),
    "mel_norm": ("slaney", "none"),
    "padding": ("constant", "reflect"),
    "short": ("silence", "repeat"),
}

PRESETS: dict[str, LogMel] = {
    # Choi et al. 2016, as their published script computes it (librosa of the time): the mel POWER
    # is squared before the logarithm, so 80 dB of floor are 40 dB of range.
    "choi2016": LogMel("choi2016", decibels=20.0, amin=1e-5),
    # The CS2470 report squares once more: amplitude_to_db of the squared power.
    "cs2470": LogMel("cs2470", decibels=40.0, amin=10**-2.5),
    # Won et al. 2020 (torchaudio's MelSpectrogram and AmplitudeToDB with their defaults).
    "won2020": LogMel(
        "won2020",
        rate=16_000,
        f_max=8_000.0,
        mel_scale="htk",
        mel_norm="none",
        padding="reflect",
        top_db=None,
        window_samples=464_000,
    ),
}


def preset(name: str) -> LogMel:
    """The settings of that name; raises BadValue with the names there are."""
    if name not in PRESETS:
        raise BadValue(f"no features {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def log_mel(samples: Float32Array, *, settings: LogMel) -> npt.NDArray[np.float32]:
    """Log-scaled mel spectrogram of all samples, with frames centred on multiples of the hop.

    samples : float32 (n_samples,), mono at settings.rate, in [-1, 1]; at least one
    returns : float32 (n_mels, 1 + n_samples // hop), dB

    Silence gives the floor everywhere; with a level in the settings, no gain changes the result.
    Raises BadValue for no samples, another shape, and samples that are not finite. Equal to librosa
    0.11 within 1e-3 dB above the floor.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise BadValue(f"log_mel needs a mono signal of one sample or more, not {samples.shape}")
    if not np.isfinite(samples.sum(dtype=np.float64)):
        raise BadValue("the samples hold values that are not finite (NaN or infinity)")
    if settings.level is not None:
        samples = loudness.at_level(samples, rate=settings.rate, level=settings.level)

    padded = np.pad(samples, settings.n_fft // 2, mode=settings.padding)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)[:: settings.hop]
    window, filters = _hann(settings.n_fft), mel_filters(settings)
    mel = np.empty((settings.n_mels, len(frames)), dtype=np.float32)
    for first in range(0, len(frames), _BLOCK):
        block = frames[first : first + _BLOCK]
        spectrum = np.fft.rfft(block * window, axis=1)  # complex64 (n_block, n_bins)
        power = spectrum.real**2 + spectrum.imag**2
        np.matmul(filters, power.T, out=mel[:, first : first + _BLOCK])

    decibels = np.log(np.maximum(mel, np.float32(settings.amin), out=mel), out=mel)
    decibels *= np.float32(settings.decibels / np.log(10))
    if settings.top_db is not None:
        np.maximum(decibels, decibels.max() - np.float32(settings.top_db), out=decibels)
    return decibels


@lru_cache(maxsize=8)
def mel_filters(settings: LogMel) -> npt.NDArray[np.float32]:
    """The triangular filter bank of these settings.

    returns : float32 (n_mels, 1 + n_fft // 2), read-only

    Slaney's scale (Auditory Toolbox, 1998) is linear to 1 kHz and logarithmic above; HTK's is
    2595 log10(1 + f / 700). The slaney norm gives every triangle the same area.
    """
    to_mel, to_hz = (
        (_hz_to_slaney, _slaney_to_hz)
        if settings.mel_scale == "slaney"
        else (_hz_to_htk, _htk_to_hz)
    )
    ends = to_mel(np.array([settings.f_min, settings.f_max]))
    corners = to_hz(np.linspace(ends[0], ends[1], settings.n_mels + 2))  # Hz
    bins = np.fft.rfftfreq(settings.n_fft, 1 / settings.rate)  # Hz
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    if settings.mel_norm == "slaney":
        filters *= (2 / (corners[2:] - corners[:-2]))[:, None]
    result = filters.astype(np.float32)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=8)
def _hann(n: int) -> npt.NDArray[np.float32]:
    """The periodic Hann window, as every STFT here uses it."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)


_Array = npt.NDArray[np.float64]
_SLANEY_STEP = 200 / 3  # Hz a mel below 1 kHz
_SLANEY_LOG_STEP = np.log(6.4) / 27  # above 1 kHz: 27 mels to a factor of 6.4


def _hz_to_slaney(hz: _Array) -> _Array:
    return np.where(
        hz < 1000,
        hz / _SLANEY_STEP,
        1000 / _SLANEY_STEP + np.log(np.maximum(hz, 1000) / 1000) / _SLANEY_LOG_STEP,
    )


def _slaney_to_hz(mel: _Array) -> _Array:
    above = mel - 1000 / _SLANEY_STEP
    return np.where(above < 0, mel * _SLANEY_STEP, 1000 * np.exp(_SLANEY_LOG_STEP * above))


def _hz_to_htk(hz: _Array) -> _Array:
    return 2595 * np.log10(1 + hz / 700)


def _htk_to_hz(mel: _Array) -> _Array:
    return 700 * (10 ** (mel / 2595) - 1)
