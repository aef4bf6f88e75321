"""The index of a store, STORE/store.json: what a finished store holds. It is written last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earmark.data.store.format import (
    FORMAT,
    REPAIR,
    VERSION,
    StoreFormat,
    cannot_read,
    check_is_file,
    check_version,
    read_sidecar,
    shard_name,
    shard_names,
)
from earmark.errors import BadStore
from earmark.files import parse_json, sha256, write_json
from earmark.remote import Place

INDEX = "store.json"


@dataclass(frozen=True)
class Shard:
    """One shard, as the index lists it."""

    name: str
    songs: int
    clips: int
    sidecar_sha256: str


@dataclass(frozen=True)
class StoreIndex:
    """What the index holds.

    tags : the vocabulary
    largest_step : largest dB between two values that uint8 clips can hold; None for float16
    failures : how many songs gave no clip, by the kind of error
    """

    format: StoreFormat
    tags: tuple[str, ...]
    largest_step: float | None
    failures: dict[str, int]
    shards: tuple[Shard, ...]

    @property
    def n_songs(self) -> int:
        """Songs, with and without a clip."""
        return sum(shard.songs for shard in self.shards)

    @property
    def n_clips(self) -> int:
        """Songs with a clip."""
        return sum(shard.clips for shard in self.shards)

    def to_dict(self) -> dict[str, Any]:
        """The index, for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.format.to_dict(),
            "largest_step": self.largest_step,
            "tags": list(self.tags),
            "songs": self.n_songs,
            "clips": self.n_clips,
            "failures": self.failures,
            "shards": [asdict(shard) for shard in self.shards],
        }


def make_index(
    folder: Path, names: Iterable[str], *, store_format: StoreFormat, tags: tuple[str, ...]
) -> StoreIndex:
    """The index of finished shards."""
    import pyarrow.compute as pc

    shards, steps, failures = [], [0.0], Counter[str]()
    for name in names:
        sidecar = folder / f"{name}.parquet"
        _, table = read_sidecar(sidecar)
        clips = table.num_rows - table["clip"].null_count
        shards.append(Shard(name, table.num_rows, clips, sha256(sidecar)))
        steps.append(pc.max(table["step"]).as_py() or 0.0)
        failures.update(table["error_kind"].drop_null().to_pylist())
    largest = None if store_format.dtype == "float16" else max(steps)
    return StoreIndex(store_format, tags, largest, dict(sorted(failures.items())), tuple(shards))


def write_index(folder: Path, index: StoreIndex) -> None:
    """Write store.json."""
    write_json(folder / INDEX, index.to_dict())


def _check(index: StoreIndex) -> None:
    if not all(isinstance(tag, str) and tag for tag in index.tags) or (
        len(set(index.tags)) != len(index.tags)
    ):
        raise ValueError("tags that are empty, doubled or no texts")
    # the names of the files are never those that a file of others says
    if [shard.name for shard in index.shards] != [shard_name(n) for n in range(len(index.shards))]:
        raise ValueError("shards that are not called shard-00000 and so on")
    for shard in index.shards:
        numbers = (shard.songs, shard.clips)
        if not all(isinstance(n, int) for n in numbers) or not 0 <= shard.clips <= shard.songs:
            raise ValueError(f"{shard.name} with {shard.clips} clips of {shard.songs} songs")
    if not isinstance(index.largest_step, float | int | None):
        raise ValueError(f"a largest step of {index.largest_step!r}")


def read_index(folder: Place) -> StoreIndex:
    """Read store.json. Raises BadStore, with what to do."""
    path = folder / INDEX
    try:
        check_is_file(path)
        values = parse_json(path.read_bytes())
    except FileNotFoundError:
        if shard_names(folder):
            raise BadStore(
                f"{folder} is not finished: run the same `earmark data shards` again"
            ) from None
        raise BadStore(f"{folder} is not a store: it has no {INDEX}. Check the name") from None
    except OSError as error:
        raise cannot_read(path, error) from error
    except ValueError as error:
        raise BadStore(f"{path} is damaged: {error}. {REPAIR}") from error
    if not isinstance(values, dict):
        raise BadStore(f"{path} is damaged: it does not hold a JSON object. {REPAIR}")
    check_version(path, values)
    try:
        index = StoreIndex(
            StoreFormat.from_dict(values),
            tuple(values["tags"]),
            values["largest_step"],
            dict(values["failures"]),
            tuple(Shard(**shard) for shard in values["shards"]),
        )
        _check(index)
    except (KeyError, TypeError, ValueError) as error:
        raise BadStore(
            f"{path} is damaged: its keys or values are not those of a store. {REPAIR}"
        ) from error
    except BadStore as error:
        raise BadStore(f"{path}: {error}") from error
    if values != index.to_dict():
        raise BadStore(f"{path} is damaged: its counts do not agree. {REPAIR}")
    return index
