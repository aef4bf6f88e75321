"""The ways to do the same work: python -m benchmarks.suite.ways NAME [WORDS] < paths.

A way reads the paths of audio files on stdin and prints a line for each clip when it is done; the
ways that begin with spectrograms are given a store's folder instead. What is imported stands in the
function that needs it, for a way must not pay for another's libraries.

original    the loop of the paper's own scripts: librosa.load, librosa's mel, one clip at a time
researcher  what a good researcher writes: two DataLoader workers decode, batches of eight
essentia    Essentia's streaming network of algorithms, in a process for each core; before musicnn
            for tags, as its own TensorflowPredictMusiCNN has them
earmark     as a user runs it: `earmark tag`, which needs no way here; its library for the rest
ffmpeg      decodes and does nothing else, in a process for each core: the limit
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

RATE, N_FFT, HOP, N_MELS, WINDOW = 12_000, 512, 256, 96, 349_440  # of the paper
PAPER_FEATURES = "choi2016"  # of earmark, equal to these
BATCH = 8
WORKERS = 2  # of a DataLoader


def centre(samples: np.ndarray) -> np.ndarray:
    spare = len(samples) - WINDOW
    if spare > 0:
        return samples[spare // 2 :][:WINDOW]
    return np.pad(samples, (0, -spare))


def librosa_decibels(samples: np.ndarray) -> np.ndarray:
    import librosa

    mel = librosa.feature.melspectrogram(
        y=centre(samples), sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS
    )
    return librosa.power_to_db(mel**2)  # (96, 1366)


def original(paths: list[str]) -> Iterator[np.ndarray]:
    import librosa

    for path in paths:
        samples, _ = librosa.load(path, sr=RATE)
        yield librosa_decibels(samples)


def original_tags(paths: list[str]) -> Iterator[object]:
    return _one_by_one(original(paths))


def original_shard(paths: list[str], target: str) -> Iterator[object]:
    return _saved(original(paths), target)


def original_scores(store: str) -> Iterator[object]:
    return _one_by_one(iter(_spectrograms(store)))


class Clips:
    """The files as a torch dataset: what each library reads best, soxr, librosa's mel."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> np.ndarray:
        import soxr

        samples, rate = _decoded(self.paths[place])
        return librosa_decibels(soxr.resample(samples, rate, RATE, quality="HQ"))


def researcher(paths: list[str]) -> Iterator[Any]:
    """Batches, float32 tensors (BATCH, 96, 1366).

    The workers read ahead, so that the first batches tell nothing: a line says when they begin.
    """
    from torch.utils.data import DataLoader

    librosa_decibels(np.zeros(WINDOW, dtype=np.float32))  # loads what librosa loads late
    print("ready")
    yield from DataLoader(Clips(paths), batch_size=BATCH, num_workers=WORKERS)  # type: ignore[arg-type]


def researcher_tags(paths: list[str]) -> Iterator[object]:
    return _batched(researcher(paths))


def researcher_shard(paths: list[str], target: str) -> Iterator[object]:
    return _saved((clip for batch in researcher(paths) for clip in batch.numpy()), target)


def researcher_scores(store: str) -> Iterator[object]:
    from torch.utils.data import DataLoader

    return _batched(DataLoader(_spectrograms(store), batch_size=BATCH))  # type: ignore[arg-type]


def essentia_shard(paths: list[str], target: str) -> Iterator[object]:
    return _saved(_on_all_cores(_essentia_decibels, paths), target)


def essentia_tags(paths: list[str], model: str) -> Iterator[object]:
    return _on_all_cores(partial(_essentia_musicnn, model=model), paths)


def earmark_shard(
    paths: list[str], target: str, features: str = PAPER_FEATURES
) -> Iterator[object]:
    """A store with its index, as `earmark data shards` writes it."""
    from earmark.data.catalog.catalog import Catalog, Song
    from earmark.data.store.format import StoreFormat
    from earmark.data.store.writer import write_shards
    from earmark.features import PRESETS

    songs = [Song(Path(path).stem, path=path, tags=("rock",)) for path in paths]
    catalog, store_format = Catalog.from_songs(songs), StoreFormat(PRESETS[features])
    index = write_shards(catalog, target, store_format=store_format, progress=told)
    assert index.n_clips == len(songs), index.failures
    return iter(())  # each clip has had its line


def earmark_scores(store: str, model: str) -> Iterator[object]:
    from earmark import zoo
    from earmark.data.store.reader import open_store
    from earmark.evaluation.scores import score_store
    from earmark.runtime import Model

    loaded = Model(zoo.resolve(model))
    with open_store(store) as opened:
        score_store(loaded, opened, split="all", progress=told)
    return iter(())


def ffmpeg(paths: list[str]) -> Iterator[object]:
    return _on_all_cores(only_decode, paths)


def told(more: int) -> None:
    """A progress that prints a line for each clip."""
    print("clip\n" * more, end="")


def _one_by_one(spectrograms: Iterator[np.ndarray]) -> Iterator[object]:
    """The paper's network, plain, one clip at a time, on all cores."""
    import torch

    from benchmarks.suite.plain_crnn import seeded

    network = seeded().eval()
    for decibels in spectrograms:
        clip = torch.from_numpy(np.asarray(decibels, dtype=np.float32))
        with torch.no_grad():
            yield torch.sigmoid(network(clip[None]))


def _batched(batches: Iterable[Any]) -> Iterator[object]:
    import torch

    from benchmarks.suite.plain_crnn import seeded

    network = seeded().eval()
    with torch.inference_mode():
        for batch in batches:
            yield from torch.sigmoid(network(batch.float()))


def _saved(spectrograms: Iterator[np.ndarray], target: str) -> Iterator[object]:
    clips = []
    for decibels in spectrograms:
        clips.append(decibels.astype(np.float16))
        yield decibels
    np.save(f"{target}.npy", np.stack(clips))


def _spectrograms(store: str) -> np.ndarray:
    return np.load(sorted(Path(store).glob("*.npy"))[0], mmap_mode="c")


def _decoded(path: str) -> tuple[np.ndarray, int]:
    """(mono float32, Hz): libsndfile reads mp3 and flac, FFmpeg the rest."""
    if not path.endswith(".m4a"):
        import soundfile

        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return samples.mean(axis=1), rate
    import av

    with av.open(path) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]  # fltp: (2, n)
        rate = container.streams.audio[0].rate
    return np.concatenate(frames, axis=1).mean(axis=0), rate


def _essentia_decibels(path: str) -> np.ndarray:
    import essentia
    from essentia import streaming

    load = streaming.MonoLoader(filename=path, sampleRate=RATE)
    cut = streaming.FrameCutter(frameSize=N_FFT, hopSize=HOP)
    window = streaming.Windowing(type="hann", size=N_FFT, normalized=False, zeroPhase=False)
    spectrum = streaming.Spectrum(size=N_FFT)
    mel = streaming.MelBands(
        inputSize=N_FFT // 2 + 1, numberBands=N_MELS, sampleRate=RATE, highFrequencyBound=RATE / 2,
        warpingFormula="slaneyMel", weighting="linear", normalize="unit_tri", type="power",
    )  # fmt: skip
    pool = essentia.Pool()
    load.audio >> cut.signal
    cut.frame >> window.frame >> spectrum.frame
    spectrum.spectrum >> mel.spectrum
    mel.bands >> (pool, "mel")
    essentia.run(load)
    bands = pool["mel"].T  # (96, frames)
    first = max(0, bands.shape[1] - 1366) // 2
    decibels = 20 * np.log10(np.maximum(bands[:, first : first + 1366], 1e-5))
    return np.maximum(decibels, decibels.max() - 80)


def _essentia_musicnn(path: str, *, model: str) -> np.ndarray:
    """The scores of one file by a model file of musicnn, from Essentia's spectrogram."""
    import essentia
    from essentia import streaming

    features = _musicnn(model).card.features
    load = streaming.MonoLoader(filename=path, sampleRate=features.rate)
    cut = streaming.FrameCutter(frameSize=features.n_fft, hopSize=features.hop)
    front = streaming.TensorflowInputMusiCNN()
    pool = essentia.Pool()
    load.audio >> cut.signal
    cut.frame >> front.frame
    front.bands >> (pool, "bands")
    essentia.run(load)
    bands = pool["bands"].T  # (96, frames)
    first = max(0, bands.shape[1] - features.n_frames) // 2
    clip = np.resize(bands[:, first : first + features.n_frames].T, (features.n_frames, 96)).T
    logits, _ = _musicnn(model).run(clip[None])
    return _musicnn(model).card.scores(logits)


@lru_cache(maxsize=1)
def _musicnn(model: str) -> Any:
    """The model of this process, on one core."""
    from earmark.runtime import Model

    return Model(model, threads=1)


def only_decode(path: str) -> int:
    import av

    n = 0
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            n += frame.samples
    return n


def _on_all_cores(work: Callable[[str], Any], paths: list[str]) -> Iterator[Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ProcessPoolExecutor(cores) as pool:
        yield from pool.map(work, paths)


WAYS = (
    original_tags, original_shard, original_scores, researcher_tags, researcher_shard,
    researcher_scores, essentia_shard, essentia_tags, earmark_shard, earmark_scores, ffmpeg,
)  # fmt: skip


def main() -> None:
    name, *words = sys.argv[1:]
    way: Callable[..., Iterator[object]] = {way.__name__: way for way in WAYS}[name]
    given = [] if name.endswith("_scores") else [sys.stdin.read().splitlines()]
    for _ in way(*given, *words):
        print("clip")


if __name__ == "__main__":
    main()
