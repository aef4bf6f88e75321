"""What callers give to be heard: a file, here or elsewhere, its bytes, or samples of many kinds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from earmark.arrays import AnyArray, Float32Array
from earmark.audio import check_rate
from earmark.audio.downmix import Mixer
from earmark.audio.fetched import local_file, temporary_file
from earmark.errors import BadValue, UnreadableAudio
from earmark.remote import Place, place_of

MOST_CHANNELS = 64  # of an array of samples: Opus, AAC and wav files have fewer
# What full scale is, and what silence is, in samples of each type but floats, as wav files have it.
_INTEGERS = {"uint8": (2.0**7, 2.0**7), "int16": (2.0**15, 0.0), "int32": (2.0**31, 0.0)}
_LARGEST = 2.0**40  # of a sample: beyond any integer's full scale, and its power fits into float32
_GIVE = (
    "give the path of a file, its bytes, a file opened with open(path, 'rb'), or an array of "
    "samples and its rate"
)


class HasArray(Protocol):
    """What NumPy takes for an array: its own, torch's tensors, and those of others."""

    def __array__(self) -> npt.NDArray[Any]: ...


AudioSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | HasArray


def path_of(source: AudioSource) -> Place | None:
    """The path or the address of a source that is a file; None for any other."""
    return place_of(source) if isinstance(source, str | os.PathLike) else None


@contextmanager
def file_or_samples(source: AudioSource, *, rate: int | None) -> Iterator[Path | Float32Array]:
    """A source as a local file, or as mono samples at `rate` Hz, float32 (n,).

    An open file is read from its position to its end. Its bytes, and what lies at an address, are
    in a temporary file meanwhile, as formats are read in more than one pass.

    Raises BadValue for what cannot be heard, and says what to give; UnreadableAudio, which then
    names the kind of the source, where its bytes hold no audio.
    """
    if (path := path_of(source)) is not None:
        _refuse_rate(rate)
        with local_file(path) as file:
            yield file
    elif isinstance(source, bytes | bytearray | memoryview):
        with _in_a_file(BytesIO(source), rate=rate, name="the given bytes") as path:
            yield path
    elif hasattr(source, "read"):
        name = getattr(source, "name", None)
        words = f"the open file {name}" if isinstance(name, str) else "the open file"
        with _in_a_file(source, rate=rate, name=words) as path:
            yield path
    else:
        yield mono(source, rate=rate)


def mono(source: object, *, rate: int | None) -> Float32Array:
    """Samples of any of these kinds as mono float32 (n,), full scale at 1.

    source : floats, int16, int32 or uint8 (n,), (n, channels) or (channels, n): an array, a torch
        tensor on any device, or a list; the shorter side counts as the channels
    rate : Hz, of the source

    Channels are mixed as those of a file. Raises BadValue for anything else.
    """
    samples = _array(source)
    if rate is None:
        raise BadValue("samples were given without their rate: add rate=..., in Hz")
    check_rate(rate)
    if samples.size == 0:
        raise BadValue("there are no samples to listen to: give an array of one or more")
    scaled = _scaled(samples)
    if (peak := max(scaled.max(), -scaled.min())) > _LARGEST:
        raise BadValue(
            f"the samples reach {peak:.3g}, and full scale is 1: divide them by theirs, such as "
            "32768 for 16 bits"
        )
    if scaled.ndim == 1:
        return scaled
    n_channels = min(samples.shape)
    if samples.ndim != 2 or n_channels > MOST_CHANNELS or n_channels == max(samples.shape) > 1:
        raise BadValue(
            f"samples of shape {samples.shape} are not clear: give (n,), (n, channels) or "
            f"(channels, n), one track, with at most {MOST_CHANNELS} channels"
        )
    channels = scaled if samples.shape[0] == n_channels else scaled.T
    if n_channels == 1:
        return np.ascontiguousarray(channels[0])
    both = (channels[first::2].sum(axis=0) / np.float32(n_channels) for first in (0, 1))
    return Mixer(rate=rate, first=0).mix(*both, last=True)


def _array(source: object) -> AnyArray:
    if hasattr(source, "detach"):  # a torch tensor: it may need a gradient, or lie on a GPU
        source = source.detach().cpu()
    try:
        array = np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadValue(f"{_kind(source)} is no array of samples ({error}): {_GIVE}") from error
    if array.dtype.kind in "OUSV" or array.ndim == 0:
        many = ". For a list of files call tag_files" if isinstance(source, list | tuple) else ""
        raise BadValue(f"{_kind(source)} cannot be heard: {_GIVE}{many}")
    return array


def _scaled(samples: AnyArray) -> Float32Array:
    """The samples as float32, full scale at 1."""
    if np.issubdtype(samples.dtype, np.floating):
        return samples.astype(np.float32, copy=False)
    if samples.dtype.name not in _INTEGERS:
        raise BadValue(
            f"the full scale of {samples.dtype} samples is not known: give floats in [-1, 1], "
            f"{', '.join(_INTEGERS)}"
        )
    full_scale, silence = _INTEGERS[samples.dtype.name]
    scaled: Float32Array = samples.astype(np.float32) - np.float32(silence)
    return scaled / np.float32(full_scale)


@contextmanager
def _in_a_file(file: Any, *, rate: int | None, name: str) -> Iterator[Path]:
    """A temporary file with all that is left to read; errors about it name the source instead."""
    _refuse_rate(rate)
    with temporary_file(name) as path:
        with path.open("wb") as copy:
            try:
                shutil.copyfileobj(file, copy)
            except (TypeError, UnicodeDecodeError) as error:
                raise BadValue(f"{name} gives text: open it with open(path, 'rb')") from error
            except (OSError, ValueError) as error:  # closed, or open for writing alone
                raise BadValue(f"{name} cannot be read ({error}): {_GIVE}") from error
        if path.stat().st_size == 0:
            why = "it has no bytes from its position on. Call seek(0) first, or give another"
            raise UnreadableAudio(name, why)
        yield path


def _refuse_rate(rate: int | None) -> None:
    if rate is not None:
        raise BadValue("a file states its own rate: give rate=... only with samples")


def _kind(source: object) -> str:
    return f"a {type(source).__name__}"
