"""The front end: audio samples to a log-scaled mel spectrogram; the only one in earmark.

Shards, training and tagging all call `log_mel`. Its settings are stored in shards and model files;
spectrograms with other settings are refused.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
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

    decibels : dB per factor of ten in mel power; 10 is the textbook's, 20 squares the power first,
        1 is log10 and ln(10) the natural logarithm
    amin : least mel power, before the logarithm
    top_db : dB below the maximum of the clip at which it is cut off; None does not cut
    window_samples : samples of one clip as the networks hear it
    short : what fills a clip that is shorter: silence after it, or the clip again and again
    level : dB that the sounding parts are set to first (earmark.loudness); None leaves them
    pre_emphasis : share of each sample that is taken off the one after it; the first goes. 0 is off
    hann : whether the Hann window reaches zero once (periodic) or at both ends (symmetric)
    hann_samples : length of the window, in the middle of n_fft samples; None is n_fft
    floor : whether amin is the least power or is added to all: decibels * log10(mel + amin)
    offset : added after the logarithm; with floor="add", decibels=1, amin=1/c and
        offset=log10(c) this is log10(1 + c * mel)
    like_rate : Hz; power and pre-emphasis are those of the same sound at that rate, so that a
        network which learned there hears at `rate` what it knows, for less time. None is `rate`
    """

    name: str
    rate: int = 12_000  # Hz
    n_fft: int = 512  # samples
    hop: int = 256  # samples
    n_mels: int = 96
    f_min: float = 0.0  # Hz
    f_max: float = 6_000.0  # Hz
    mel_scale: Literal["slaney", "htk", "kaldi"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    padding: Literal["constant", "reflect"] = "constant"
    decibels: float = 10.0
    amin: float = 1e-10
    top_db: float | None = 80.0
    window_samples: int = 349_440
    short: Literal["silence", "repeat"] = "silence"
    # settings of later versions: an older file means their defaults
    pre_emphasis: float = 0.0
    hann: Literal["periodic", "symmetric"] = "periodic"
    hann_samples: int | None = None
    floor: Literal["least", "add"] = "least"
    offset: float = 0.0
    level: float | None = None  # dB
    like_rate: int | None = None  # Hz

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
            if field in _MOST and not isinstance(getattr(self, field), int):
                raise BadValue(f"{field} is {getattr(self, field)!r}; it must be a whole number")
            if getattr(self, field) > _MOST.get(field, math.inf):
                raise BadValue(f"{field} is {getattr(self, field)}; the most is {_MOST[field]}")
        if self.n_mels * self.n_frames > _MOST["window_samples"]:
            raise BadValue(f"a clip of {self.n_mels} x {self.n_frames} values is too large")
        for field in ("f_max", "decibels", "amin", "offset", "top_db"):
            if getattr(self, field) is not None and not math.isfinite(getattr(self, field)):
                raise BadValue(f"{field} is {getattr(self, field)}; it must be a number")
        if not 0 <= self.f_min < self.f_max <= self.rate / 2:
            raise BadValue(
                f"f_min {self.f_min} and f_max {self.f_max} must rise from 0 to {self.rate / 2} Hz"
            )
        if self.level is not None and not loudness.SILENCE < self.level <= 0:
            raise BadValue(f"level is {self.level}; it must be from {loudness.SILENCE} to 0 dB")
        if not 0 <= self.pre_emphasis < 1:
            raise BadValue(f"pre_emphasis is {self.pre_emphasis}; it must be 0 or more, below 1")
        if self.hann_samples is not None and not 2 <= self.hann_samples <= self.n_fft:
            raise BadValue(f"hann_samples is {self.hann_samples}; choose 2 to {self.n_fft}")
        if self.like_rate is not None and not self.like_rate >= self.rate:
            raise BadValue(f"like_rate is {self.like_rate}; choose {self.rate} or more")

    @property
    def n_frames(self) -> int:
        """Frames of one clip of `window_samples`."""
        return self.frames_of(self.window_samples)

    def frames_of(self, n_samples: int) -> int:
        """Frames of that many samples; of these, pre-emphasis takes one."""
        n_samples -= self.pre_emphasis > 0 and n_samples > 1
        return 1 + n_samples // self.hop

    @property
    def silence(self) -> float:
        """What silence becomes."""
        return self.decibels * math.log10(self.amin) + self.offset

    @property
    def seconds(self) -> float:
        """Length of one clip."""
        return self.window_samples / self.rate

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them; later ones only where they are not as ever."""
        values = dataclasses.asdict(self)
        return {name: values[name] for name in values if values[name] != _LATER.get(name, _NEVER)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogMel:
        """Settings from JSON; an unknown or missing key raises FeatureMismatch."""
        if not isinstance(values, Mapping):
            raise BadValue(f"feature settings are {values!r:.80}, not a table of names")
        names = {field.name for field in dataclasses.fields(cls)}
        unknown, missing = values.keys() - names, names - values.keys() - _LATER.keys()
        if unknown or missing:
            raise FeatureMismatch(
                "these feature settings are not of this version of earmark: "
                f"unknown {sorted(unknown)}, missing {sorted(missing)}. Update earmark"
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


_BLOCK = 256  # frames whose spectra fit the processor's cache: twice as fast as all at once
_BAND = 16  # mels multiplied at once: neighbours share bins, and most bins are none of theirs

# far above what networks hear, and far below what fills the memory of a machine
_MOST = {
    "rate": 768_000,
    "n_fft": 1 << 16,
    "hop": 1 << 20,
    "n_mels": 1024,
    "window_samples": 1 << 26,
}

_CHOICES = {
    "mel_scale": ("slaney", "htk", "kaldi"),
    "mel_norm": ("slaney", "none"),
    "padding": ("constant", "reflect"),
    "short": ("silence", "repeat"),
    "hann": ("periodic", "symmetric"),
    "floor": ("least", "add"),
}
# Settings that came later, and what they are in the files that lack them. So they are not written:
# older versions read what they can make.
_LATER = {
    field.name: field.default
    for field in dataclasses.fields(LogMel)
    if field.name
    in ("pre_emphasis", "hann", "hann_samples", "floor", "offset", "level", "like_rate")
}
_NEVER = object()  # equal to no setting

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
    # Pons and Serra 2019 (musicnn): librosa's default mels, log10(1 + 10000 mel). They hear patches
    # of 3 s of one long spectrogram; the model files cut them out of 29 s.
    "musicnn": LogMel(
        "musicnn",
        rate=16_000,
        f_max=8_000.0,
        decibels=1.0,
        amin=1e-4,
        top_db=None,
        window_samples=464_000,
        short="repeat",
        floor="add",
        offset=4.0,
    ),
    # Schmid, Koutini and Widmer 2023 (EfficientAT): Kaldi's mels, (ln(mel + 1e-5) + 4.5) / 5. They
    # hear 10 s; the model file cuts three such pieces out of 29 s.
    "efficientat": LogMel(
        "efficientat",
        rate=32_000,
        n_fft=1024,
        hop=320,
        n_mels=128,
        f_max=15_000.0,
        mel_scale="kaldi",
        mel_norm="none",
        padding="reflect",
        decibels=math.log(10) / 5,
        amin=1e-5,
        top_db=None,
        window_samples=928_000,
        short="repeat",
        pre_emphasis=0.97,
        hann="symmetric",
        hann_samples=800,
        floor="add",
        offset=0.9,
    ),
}
# The shipped model's: the lower 112 of its mels, up to 9,984 Hz, at one level and half the usual
# rate, to which 44.1 kHz is resampled in the least time. -14 dB is the median loudness of 4Q's 900
# clips.
PRESETS["efficientat-level"] = dataclasses.replace(
    PRESETS["efficientat"],
    name="efficientat-level",
    rate=22_050,
    n_fft=640,
    hop=220,
    n_mels=112,
    f_max=700 * ((1 + 15_000 / 700) ** (113 / 129) - 1),  # on the same scale
    window_samples=638_000,
    hann_samples=551,
    level=-14.0,
    like_rate=32_000,
)


def preset(name: str) -> LogMel:
    """The settings of that name; raises BadValue with the names there are."""
    if name not in PRESETS:
        raise BadValue(f"no features {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def log_mel(
    samples: Float32Array, *, settings: LogMel, out: Float32Array | None = None
) -> npt.NDArray[np.float32]:
    """Log-scaled mel spectrogram of all samples, with frames centred on multiples of the hop.

    samples : float32 (n_samples,), mono at settings.rate, in [-1, 1]; at least one
    out : where to write it; a new array by default
    returns : float32 (n_mels, settings.frames_of(n_samples)), dB

    Silence gives the floor everywhere; with a level in the settings, no gain changes the result.
    Raises BadValue for no samples, another shape, and samples that are not finite. Equal to librosa
    0.11 within 1e-3 dB above the floor.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise BadValue(f"`log_mel` needs a mono signal of one sample or more, not {samples.shape}")
    if not np.isfinite(samples).all():
        raise BadValue("the samples hold values that are not finite (NaN or infinity)")
    mel = _mel_power(samples, settings, out)

    floored = np.add if settings.floor == "add" else np.maximum
    decibels = np.log(floored(mel, np.float32(settings.amin), out=mel), out=mel)
    decibels *= np.float32(settings.decibels / np.log(10))
    decibels += np.float32(settings.offset)
    if settings.top_db is not None:
        np.maximum(decibels, decibels.max() - np.float32(settings.top_db), out=decibels)
    return decibels


def _mel_power(samples: Float32Array, settings: LogMel, out: Float32Array | None) -> Float32Array:
    """Mel power before the logarithm, float32 (n_mels, n_frames).

    All blocks of frames use the same memory: fresh pages cost as much as the arithmetic.
    """
    mean, gain = np.float32(0), np.float32(1)
    if settings.level is not None:
        mean, gain = loudness.mean_and_gain(samples, rate=settings.rate, level=settings.level)
    # "forward" divides by n_fft, which the window makes up for: NumPy transforms float32 as
    # float32 only where it has to scale, and else goes through float64, at twice the time.
    window = (gain * settings.n_fft * hann(settings)).astype(np.float32)
    sounding = np.flatnonzero(window)
    heard = slice(sounding[0], sounding[-1] + 1)  # of a frame; around it the window is zero
    n_bins = 1 + settings.n_fft // 2
    shape = settings.n_mels, settings.frames_of(samples.size)
    mel = np.empty(shape, dtype=np.float32) if out is None else out
    if mel.shape != shape:
        raise BadValue(f"out has the shape {mel.shape}, but the spectrogram has {shape}")
    n_block = min(_BLOCK, mel.shape[1])
    windowed = np.zeros((n_block, settings.n_fft), dtype=np.float32)
    spectrum = np.empty((n_block, n_bins), dtype=np.complex64)
    power = np.empty(spectrum.shape, dtype=np.float32)
    first = 0
    for frames in _frames(samples, settings, mean=mean):
        n = len(frames)
        np.multiply(frames[:, heard], window[heard], out=windowed[:n, heard])
        # NumPy's stubs know complex128 alone
        np.fft.rfft(windowed[:n], axis=1, norm="forward", out=spectrum[:n])  # type: ignore[arg-type]
        np.abs(spectrum[:n], out=power[:n])
        power[:n] *= power[:n]
        for rows, bins, filters in _bands(settings):
            np.matmul(filters, power[:n, bins].T, out=mel[rows, first : first + n])
        first += n
    return mel


def _frames(samples: Float32Array, settings: LogMel, *, mean: np.float32) -> Iterator[Float32Array]:
    """Frames (n, n_fft) in blocks of _BLOCK, of samples without their mean, emphasised and padded.

    Each block prepares the samples that it needs, so that no copy of all is made.
    """
    n_frames = settings.frames_of(samples.size)
    lost = int(settings.pre_emphasis > 0)  # samples
    if lost == samples.size:
        samples = np.append(samples, np.float32(0))
    n_samples, half = samples.size - lost, settings.n_fft // 2
    for first in range(0, n_frames, _BLOCK):
        n = min(_BLOCK, n_frames - first)
        start = first * settings.hop - half
        stop = start + (n - 1) * settings.hop + settings.n_fft
        # at either end at least the half frame and one sample that the padding may reflect
        low, high = max(0, min(start, n_samples - half - 1)), min(n_samples, max(stop, half + 1))
        part = samples[low : high + lost]
        if mean:
            part = part - mean
        if settings.pre_emphasis:
            part = part[1:] - np.float32(settings.pre_emphasis) * part[:-1]
        if start < low or high < stop:
            part = np.pad(part, (max(0, low - start), max(0, stop - high)), mode=settings.padding)
        windows = np.lib.stride_tricks.sliding_window_view(part, settings.n_fft)
        yield windows[max(0, start - low) :: settings.hop][:n]


@lru_cache(maxsize=8)
def _bands(settings: LogMel) -> list[tuple[slice, slice, Float32Array]]:
    """Rows of the filter bank, a few at a time; the bins outside which these are zero; their part
    of the bank.
    """
    filters, bands = mel_filters(settings), []
    for first in range(0, settings.n_mels, _BAND):
        rows = slice(first, first + _BAND)
        used = np.flatnonzero(filters[rows].any(axis=0))
        bins = slice(used[0], used[-1] + 1) if used.size else slice(0)
        bands.append((rows, bins, np.ascontiguousarray(filters[rows, bins])))
    return bands


@lru_cache(maxsize=8)
def mel_filters(settings: LogMel) -> npt.NDArray[np.float32]:
    """The triangular filter bank of these settings.

    returns : float32 (n_mels, 1 + n_fft // 2), read-only

    Slaney's scale (Auditory Toolbox, 1998) is linear to 1 kHz and logarithmic above; HTK's is
    2595 log10(1 + f / 700). Kaldi's is HTK's, with triangles whose sides are straight over mels,
    not over Hz. The slaney norm gives every triangle the same area. With `like_rate` each bin
    counts as much as there.
    """
    to_mel, to_hz = (
        (_hz_to_slaney, _slaney_to_hz)
        if settings.mel_scale == "slaney"
        else (_hz_to_htk, _htk_to_hz)
    )
    ends = to_mel(np.array([settings.f_min, settings.f_max]))
    mels = np.linspace(ends[0], ends[1], settings.n_mels + 2)
    corners = to_hz(mels)  # Hz
    bins = np.fft.rfftfreq(settings.n_fft, 1 / settings.rate)  # Hz
    feet, places = (
        (mels, to_mel(bins.astype(np.float64)))
        if settings.mel_scale == "kaldi"
        else (corners, bins)
    )
    rising = (places - feet[:-2, None]) / np.diff(feet)[:-1, None]
    falling = (feet[2:, None] - places) / np.diff(feet)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    if settings.mel_norm == "slaney":
        filters *= (2 / (corners[2:] - corners[:-2]))[:, None]
    if settings.like_rate is not None:
        filters *= _emphasis(settings, settings.like_rate) / _emphasis(settings, settings.rate)
        filters *= (settings.like_rate / settings.rate) ** 2  # as many more samples are summed
    result = filters.astype(np.float32)
    result.setflags(write=False)
    return result


def _emphasis(settings: LogMel, rate: int) -> npt.NDArray[np.float64]:
    """What pre-emphasis at `rate` does to the power of each bin."""
    hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.rate)
    return np.asarray(np.abs(1 - settings.pre_emphasis * np.exp(-2j * np.pi * hz / rate)) ** 2)


@lru_cache(maxsize=8)
def hann(settings: LogMel) -> npt.NDArray[np.float64]:
    """The Hann window of these settings, float64 (n_fft,), zeros around it where it is shorter."""
    n = settings.hann_samples or settings.n_fft
    period = n if settings.hann == "periodic" else n - 1
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / period)
    before = (settings.n_fft - n) // 2
    result = np.pad(window, (before, settings.n_fft - n - before))
    result.setflags(write=False)
    return result


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
