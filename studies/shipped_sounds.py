"""What is not music, made here: speech in many voices, noise, hum, tones, applause, silence.

Speech is spoken by espeak-ng and flite, and by people where Debian's `asterisk-core-sounds-*`
and `asterisk-prompt-*` are unpacked. A third of it is clean; the rest has noise, a room, the band
of a telephone, or soft music behind it. A sound's fold is drawn by its voice, so that no voice is
on both sides.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import wave
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from earmark.audio import load_audio
from earmark.data.catalog.catalog import Catalog, Song
from earmark.errors import EarmarkError
from earmark.files import atomic_path
from studies.q4 import N_FOLDS

Samples = npt.NDArray[np.float64]
RATE = 32_000  # Hz
SECONDS = 29
PROMPTS = Path("/usr/share/asterisk/sounds")
N_ESPEAK, N_FLITE, N_PROMPTS = 230, 40, 30  # pieces; of prompts, for each voice
N_NOISE, N_BABBLE, N_HUM, N_TONE, N_APPLAUSE, N_SILENCE = 60, 12, 30, 45, 45, 8
LANGUAGES = (
    "en-us", "en-gb", "de", "fr-fr", "es", "it", "pt", "ru", "pl", "tr", "cmn", "hi", "ar", "nl",
    "sv", "fi", "hu", "ko", "vi", "el",
)  # fmt: skip
VARIANTS = (
    "", "+m1", "+m2", "+m3", "+m4", "+m5", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+croak",
    "+whisper",
)  # fmt: skip
FLITE = ("kal16", "awb", "rms", "slt")
PAGES = ("CHANGELOG.md", "README.md", "docs/reference/models.md")  # what is read aloud
_N = RATE * SECONDS


@dataclass(frozen=True)
class Sound:
    """kind : a word of SOUNDS; voice : who or what makes it, which draws the fold."""

    name: str
    kind: str
    voice: str

    @property
    def fold(self) -> int:
        return zlib.crc32(self.voice.encode()) % N_FOLDS


def make_sounds(folder: Path, music: Sequence[Path], *, prompts: Path = PROMPTS) -> list[Sound]:
    """Write all sounds as 16-bit files into a folder, where they are not yet; music is put behind
    some of the speech."""
    done = folder / "sounds.csv"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(7)
        lines = []
        for number, (kind, voice, samples) in enumerate(_all(random, music, prompts)):
            name = f"{kind}-{number:03}"
            _write(folder / f"{name}.wav", samples)
            lines.append(f"{name},{kind},{voice}\n")
        with atomic_path(done) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    rows = (line.split(",") for line in done.read_text(encoding="utf-8").splitlines())
    return [Sound(*row) for row in rows]


def catalog_of(sounds: Sequence[Sound]) -> Catalog:
    songs = (Song(s.name, split=str(s.fold), path=f"{s.name}.wav", tags=None) for s in sounds)
    return Catalog.from_songs(songs, tags=("music",), source="csv")


def _all(
    random: np.random.Generator, music: Sequence[Path], prompts: Path
) -> Iterator[tuple[str, str, Samples]]:
    speech = []
    for voice, samples in _speech(random, prompts):
        samples = _spoil(random, samples, music)
        speech.append(samples)
        yield "speech", voice, samples
    for number in range(N_NOISE):
        yield "noise", f"noise {number}", _noise(random, number)
    for number in range(N_BABBLE):
        yield "noise", f"babble {number}", _room(random, _babble(random, speech))
    for number in range(N_HUM):
        yield "hum", f"hum {number}", _hum(random)
    for number in range(N_TONE):
        yield "tone", f"tone {number}", _tone(random, number)
    for number in range(N_APPLAUSE):
        yield "applause", f"applause {number}", _applause(random)
    for number in range(N_SILENCE):
        yield "silence", f"silence {number}", np.zeros(_N)


def _speech(random: np.random.Generator, prompts: Path) -> Iterator[tuple[str, Samples]]:
    for program in ("espeak-ng", "flite"):
        if shutil.which(program) is None:
            raise EarmarkError(f"{program} is not installed; on Debian: apt install {program}")
    root = Path(__file__).parents[1]
    text = " ".join((root / page).read_text(encoding="utf-8") for page in PAGES)
    words = [word for word in text.split() if word.isalpha() and len(word) < 14]

    def some() -> str:
        first = random.integers(0, len(words) - 110)
        return " ".join(words[first : first + random.integers(40, 110)])

    for number in range(N_ESPEAK):
        language = LANGUAGES[number % len(LANGUAGES)]
        voice = language + VARIANTS[random.integers(0, len(VARIANTS))]
        speed, pitch = str(random.integers(110, 230)), str(random.integers(20, 80))
        samples = _spoken(["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, some(), "-w"])
        yield f"espeak {language}", samples[: int(RATE * random.uniform(6, SECONDS))]
    for number in range(N_FLITE):
        voice = FLITE[number % len(FLITE)]
        samples = _spoken(["flite", "-voice", voice, "-t", some(), "-o"])
        yield f"flite {voice}", samples[: int(RATE * random.uniform(8, SECONDS))]
    yield from _prompts(random, prompts)


def _spoken(command: list[str]) -> Samples:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run([*command, file.name], check=True, capture_output=True)
        return load_audio(file.name, rate=RATE).samples.astype(np.float64)


def _prompts(random: np.random.Generator, folder: Path) -> Iterator[tuple[str, Samples]]:
    """Real people, whose short prompts are joined to pieces of 10 to 29 s."""
    if not folder.is_dir():
        print(f"{folder} is missing: no real speech among the sounds", file=sys.stderr)
        return
    for voice in sorted(path for path in folder.iterdir() if not path.is_symlink()):
        files = sorted(
            path
            for path in voice.rglob("*")
            if path.suffix in (".wav", ".gsm")
            and path.stat().st_size > 6_000
            and not any(word in path.name for word in ("beep", "silence", "tone"))
        )
        waiting = [files[place] for place in random.permutation(len(files))]
        for _ in range(N_PROMPTS if len(files) >= 50 else 0):
            parts: list[Samples] = []
            wanted = RATE * random.uniform(10, SECONDS)
            while waiting and sum(map(len, parts)) < wanted:
                parts.append(load_audio(waiting.pop(), rate=RATE).samples.astype(np.float64))
                parts.append(np.zeros(int(RATE * random.uniform(0.1, 0.5))))
            if sum(map(len, parts)) > 5 * RATE:
                yield f"real {voice.name}", np.concatenate(parts)


def _spoil(random: np.random.Generator, x: Samples, music: Sequence[Path]) -> Samples:
    way = random.integers(0, 6)
    if way == 1:
        exponent = random.choice([0.0, -0.5, -1.0])
        return _behind(x, _coloured(random, len(x), exponent), random.uniform(5, 25))
    if way == 2:
        return _room(random, x)
    if way == 3:
        return np.asarray(sosfilt(_band(300, 3400, order=4), x))
    if way == 4:
        noise = _coloured(random, len(x), -0.5)
        return _behind(_room(random, x), noise, random.uniform(12, 25))
    if way == 5 and music:
        path = music[int(random.integers(0, len(music)))]
        song = np.resize(load_audio(path, rate=RATE).samples.astype(np.float64), len(x))
        return _behind(x, song, random.uniform(15, 28))
    return x


def _behind(x: Samples, other: Samples, decibels: float) -> Samples:
    """With something else behind it, that much softer."""
    share = np.sqrt(np.mean(x**2) / np.mean(other**2)) * 10 ** (-decibels / 20)
    return np.asarray(x + share * other)


def _room(random: np.random.Generator, x: Samples) -> Samples:
    n = int(RATE * random.uniform(0.2, 0.9))
    answer = random.normal(size=n) * np.exp(-6.9 * np.arange(n) / n)
    answer[0] = random.uniform(3, 10)
    heard = fftconvolve(x, answer)[: len(x)]
    return np.asarray(heard / np.abs(heard).max() / 2)


def _band(low: float, high: float, *, order: int) -> npt.NDArray[np.float64]:
    return np.asarray(butter(order, [low, high], "band", fs=RATE, output="sos"))


def _coloured(random: np.random.Generator, n: int, exponent: float) -> Samples:
    """Noise whose amplitude goes with frequency ** exponent: 0 white, -0.5 pink, -1 brown."""
    frequencies = np.fft.rfftfreq(n, 1 / RATE)
    frequencies[0] = frequencies[1]
    noise = np.fft.irfft(np.fft.rfft(random.normal(size=n)) * frequencies**exponent, n)
    return np.asarray(noise / noise.std() / 10)


def _noise(random: np.random.Generator, number: int) -> Samples:
    """White, pink, brown, blue; from the sixteenth on also banded, in waves, dull, crackling or
    like rain."""
    x = _coloured(random, _N, (0.0, -0.5, -1.0, 0.5)[number % 4])
    way = random.integers(0, 5) if number >= 16 else None
    if way == 0:
        low = random.uniform(50, 4_000)
        x = sosfilt(_band(low, min(low * random.uniform(1.5, 6), 14_000), order=2), x)
    elif way == 1:
        x = x * np.interp(np.arange(_N), np.linspace(0, _N, 40), random.uniform(0.05, 1, 40))
    elif way == 2:
        x = sosfilt(butter(1, random.uniform(200, 4_000), fs=RATE, output="sos"), x)
    elif way == 3:
        clicks = random.uniform(size=_N) < random.uniform(5, 200) / RATE
        x = lfilter([1], [1, -0.6], x / 20 + clicks * random.normal(size=_N) * 3)
    elif way == 4:
        drops = np.zeros(_N)
        places = random.integers(0, _N, random.integers(2_000, 20_000))
        drops[places] = random.normal(size=len(places))
        drop = np.exp(-np.arange(600) / 60) * np.sin(0.6 * np.arange(600))
        x = fftconvolve(drops, drop)[:_N] + x / 10
    return np.asarray(x)


def _babble(random: np.random.Generator, speech: Sequence[Samples]) -> Samples:
    n = random.integers(8, 20)
    voices = (np.resize(speech[int(random.integers(0, len(speech)))], _N) for _ in range(n))
    return np.asarray(sum(voice / voice.std() for voice in voices))


def _hum(random: np.random.Generator) -> Samples:
    lowest = random.choice([50.0, 60.0, 100.0, 120.0, random.uniform(40, 200)])
    times = np.arange(_N) / RATE
    x = np.zeros(_N)
    for harmonic in range(1, random.integers(3, 30)):
        strength = random.uniform() / harmonic ** random.uniform(0.5, 1.5)
        x += strength * np.sin(2 * np.pi * lowest * harmonic * times + random.uniform(0, 6))
    return _behind(x, _coloured(random, _N, -0.5), random.uniform(5, 50))


def _tone(random: np.random.Generator, number: int) -> Samples:
    """A sine, a square wave, a sweep, beeps, or the two tones of a telephone's key."""
    times, frequency = np.arange(_N) / RATE, 10 ** random.uniform(2, 3.9)
    phase, way = 2 * np.pi * frequency * times, number % 5
    if way == 2:
        course = (times / random.uniform(2, SECONDS)) % 1
        swept = frequency * np.exp(np.log(random.uniform(0.3, 3)) * course)
        phase = 2 * np.pi * np.cumsum(swept) / RATE
    x = np.sin(phase)
    if way == 1:
        x = np.sign(x)
    elif way == 3:
        period = random.uniform(0.3, 2)
        x = x * (times % period < period * random.uniform(0.2, 0.7))
    elif way == 4:
        pair = random.choice([697, 770, 852, 941]), random.choice([1209, 1336, 1477])
        x = sum(np.sin(2 * np.pi * key * times) for key in pair)
    return np.asarray(x + 10 ** (-random.uniform(30, 80) / 20) * random.normal(size=_N))


def _applause(random: np.random.Generator) -> Samples:
    """Three to two hundred people clap, each at a pace."""
    claps = [_clap(random) for _ in range(12)]
    x = np.zeros(_N + RATE)
    for _ in range(int(10 ** random.uniform(0.5, 2.3))):
        clap = claps[random.integers(0, len(claps))] * random.uniform(0.2, 1)
        period, time = random.uniform(0.2, 0.36), random.uniform()
        while time < SECONDS:
            place = max(0, int((time + 0.01 * random.normal()) * RATE))
            x[place : place + len(clap)] += clap
            time += period * random.uniform(0.9, 1.1)
    x = x[:_N] * np.interp(np.arange(_N), np.linspace(0, _N, 8), random.uniform(0.3, 1, 8))
    if random.uniform() < 0.6:
        x = _room(random, x)
    if random.uniform() < 0.4:
        x = _behind(x, _coloured(random, _N, -0.5), random.uniform(10, 30))
    return x


def _clap(random: np.random.Generator) -> Samples:
    n, middle = int(0.03 * RATE), random.uniform(600, 2_500)
    burst = random.normal(size=n) * np.exp(-np.arange(n) / (RATE * random.uniform(0.003, 0.008)))
    burst = sosfilt(_band(0.6 * middle, min(2.5 * middle, 12_000), order=1), burst)
    return np.asarray(burst / np.abs(burst).max())


def _write(path: Path, samples: Samples) -> None:
    peak = max(1e-9, float(np.abs(samples).max()))
    values = np.round(samples / peak * 0.9 * 32767).astype("<i2")
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(values.tobytes())
