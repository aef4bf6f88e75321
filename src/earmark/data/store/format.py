"""The files of a store of spectrograms; docs/reference/formats/shards.md specifies them.

STORE/shard-00042.npy       clips, (n_clips, n_mels, n_frames)
STORE/shard-00042.parquet   its sidecar: one row a song, also for songs that gave no clip
STORE/store.json            the index, written last
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.errors import BadStore, BadValue, FeatureMismatch, MissingExtra
from earmark.features import LogMel
from earmark.files import atomic_path, parse_json
from earmark.parquet_file import load_pyarrow, read_parquet, read_parquet_schema, write_parquet
from earmark.remote import Address, Place, what_next

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "earmark.store"
VERSION = 1
CLIPS_PER_SHARD = 1000
_METADATA_KEY = b"earmark"
REPAIR = "`earmark data shards ... --repair` makes it again"  # what to do about damage

DType = Literal["float16", "uint8"]
Codes = npt.NDArray[Any]  # float16 or uint8


@dataclass(frozen=True)
class StoreFormat:
    """What all clips of a store have in common.

    dtype : float16 holds dB as they are, within 2**-11 of the value; uint8 takes half the space and
        holds (dB - offset) / step, within half a step: 0.16 dB where a clip spans 80 dB
    """

    features: LogMel
    dtype: DType = "float16"
    clips_per_shard: int = CLIPS_PER_SHARD

    def __post_init__(self) -> None:
        """Refuse a format that nothing can be stored in."""
        if self.dtype not in ("float16", "uint8"):
            raise BadValue(f"unknown dtype {self.dtype!r} for a store; choose float16 or uint8")
        if self.clips_per_shard < 1:
            raise BadValue(f"clips_per_shard is {self.clips_per_shard}; it must be 1 or more")

    @property
    def clip_shape(self) -> tuple[int, int]:
        """(n_mels, n_frames)"""
        return self.features.n_mels, self.features.n_frames

    @property
    def clip_bytes(self) -> int:
        """Size of one clip on disk."""
        return int(np.prod(self.clip_shape)) * np.dtype(self.dtype).itemsize

    def to_dict(self) -> dict[str, Any]:
        """The format, for JSON."""
        return {
            "features": self.features.to_dict(),
            "dtype": self.dtype,
            "clips_per_shard": self.clips_per_shard,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoreFormat:
        """A format from JSON. Raises BadStore for settings that this earmark does not know."""
        try:
            features = LogMel.from_dict(values["features"])
            return cls(features, values["dtype"], values["clips_per_shard"])
        except (KeyError, TypeError, AttributeError, BadValue, FeatureMismatch) as error:
            raise BadStore(
                f"unknown settings ({error}): they are damaged, or of another version of earmark. "
                f"Update earmark. {REPAIR}"
            ) from None


@dataclass(frozen=True, eq=False)
class StoredClip:
    """One clip as it is stored. dB = offset + step * codes.

    codes : float16 or uint8 (n_mels, n_frames)
    seconds : of audio in the file
    damaged_packets : that the decoder left out, of what was decoded
    """

    codes: Codes
    offset: float
    step: float
    crc32c: int
    seconds: float | None = None
    damaged_packets: int = 0


@dataclass(frozen=True)
class ShardRow:
    """What became of one song: a clip, or the kind of an error and its message.

    tags : None where the labels are not known
    source : the audio file, relative to the audio folder if it is inside
    """

    id: str
    split: str
    tags: Sequence[str] | None
    source: str
    clip: StoredClip | None
    error: tuple[str, str] | None


def pack(log_mel: Float32Array, *, dtype: DType) -> tuple[Codes, float, float]:
    """(codes, offset, step) of one clip of float32 dB."""
    if dtype == "float16":
        return log_mel.astype(np.float16), 0.0, 1.0
    offset, top = np.float32(log_mel.min()), np.float32(log_mel.max())
    step = np.float32((top - offset) / 255)
    if step < np.finfo(np.float32).tiny:  # a clip of one value
        step = np.float32(1)
    return np.rint((log_mel - offset) / step).astype(np.uint8), float(offset), float(step)


def crc32c(data: bytes | memoryview | Codes) -> int:
    """The CRC-32C (Castagnoli) of some bytes."""
    try:
        from crc32c import crc32c as checksum
    except ImportError as error:
        raise MissingExtra("crc32c", "data") from error
    return int(checksum(data))


def shard_name(number: int) -> str:
    """The name of a shard's two files, without their suffixes."""
    return f"shard-{number:05d}"


def shard_names(folder: Place) -> list[str]:
    """The shards of which there is at least one file, in order."""
    if isinstance(folder, Address):
        files = [PurePath(name) for name in folder.names()]
    else:
        files = list(folder.glob("shard-*"))
    found = {file.stem for file in files if file.suffix in (".npy", ".parquet")}
    return sorted(name for name in found if name.startswith("shard-"))


def npy_header(n_clips: int, store_format: StoreFormat) -> bytes:
    """The first bytes of a shard's .npy; NumPy pads them to one size, whatever n_clips is."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file,
        {
            "descr": np.lib.format.dtype_to_descr(np.dtype(store_format.dtype)),
            "fortran_order": False,
            "shape": (n_clips, *store_format.clip_shape),
        },
    )
    return file.getvalue()


def write_shard(
    folder: Path, number: int, rows: Iterable[ShardRow], *, card: dict[str, Any]
) -> None:
    """Write the clips, then the sidecar; one clip at a time is in memory."""
    pa = load_pyarrow()

    store_format = StoreFormat.from_dict(card)
    columns: dict[str, list[Any]] = {name: [] for name in _schema().names}
    n_clips = 0
    path = folder / f"{shard_name(number)}.npy"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(npy_header(0, store_format))
        for row in rows:
            for name, value in _values(row, n_clips).items():
                columns[name].append(value)
            if row.clip is not None:
                file.write(row.clip.codes.data)
                n_clips += 1
        file.seek(0)
        file.write(npy_header(n_clips, store_format))
    encoded = json.dumps(card, ensure_ascii=False).encode()
    table = pa.table(columns, schema=_schema().with_metadata({_METADATA_KEY: encoded}))
    with atomic_path(folder / f"{shard_name(number)}.parquet") as temporary:
        write_parquet(table, temporary)


def shard_card(
    store_format: StoreFormat, *, tags: Sequence[str], songs_sha256: str
) -> dict[str, Any]:
    """What a sidecar says of its shard: enough for a later run to know that it means the same."""
    return {
        "format": FORMAT,
        "version": VERSION,
        **store_format.to_dict(),
        "tags": list(tags),
        "songs_sha256": songs_sha256,
    }


def read_card(path: Path) -> dict[str, Any]:
    """The card of a sidecar. Raises BadStore."""
    with _readable(path):
        schema = read_parquet_schema(path)
    return _card(path, schema)


def read_sidecar(path: Place) -> tuple[dict[str, Any], pa.Table]:
    """(card, rows) of a sidecar. Raises BadStore."""
    with _readable(path):
        table = read_parquet(io.BytesIO(path.read_bytes()))  # at an address one request
    if not table.schema.remove_metadata().equals(_schema()):
        columns = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        raise BadStore(f"{path} does not have the columns of a sidecar, but {columns}. {REPAIR}")
    return _card(path, table.schema), table


def check_version(path: Place, card: Mapping[str, Any]) -> None:
    """Raise BadStore for another format than ours, and for a version that we do not know."""
    if card.get("format") != FORMAT:
        raise BadStore(f"{path} is of format {card.get('format')!r}, not {FORMAT!r}. {REPAIR}")
    if card.get("version") != VERSION:
        raise BadStore(
            f"{path} is of a store of version {card.get('version')}; this earmark knows version "
            f"{VERSION}. Update earmark, or make the store again in another folder"
        )


def check_is_file(path: Place) -> None:
    """Raise BadStore for a pipe or a device, which would be waited on for ever."""
    if isinstance(path, Path) and path.exists() and not path.is_file():
        raise BadStore(f"{path} is not a file. {REPAIR}")


@contextmanager
def _readable(path: Place) -> Iterator[None]:
    pa = load_pyarrow()
    try:
        check_is_file(path)
        yield
    except FileNotFoundError:
        raise BadStore(f"{path} is missing. {REPAIR}") from None
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:  # Arrow's for damage have none
            raise cannot_read(path, error) from error
        raise BadStore(f"{path} is damaged: {error}. {REPAIR}") from error


def cannot_read(path: Place, error: OSError) -> BadStore:
    """The error of a file of a store that the disk, or the network, does not give."""
    return BadStore(f"cannot read {path}: {error.strerror or error}. {what_next(path)}")


def _card(path: Place, schema: pa.Schema) -> dict[str, Any]:
    try:
        card = parse_json((schema.metadata or {})[_METADATA_KEY])
        if not isinstance(card, dict) or not isinstance(card.get("tags"), list):
            raise ValueError("its metadata has no tags")
    except (KeyError, ValueError) as error:
        raise BadStore(f"{path} is not a sidecar that earmark wrote. {REPAIR}") from error
    check_version(path, card)
    return card


def _schema() -> pa.Schema:
    pa = load_pyarrow()
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("split", pa.string()),
            pa.field("tags", pa.list_(pa.string())),  # null: not known
            pa.field("source", pa.string()),
            pa.field("clip", pa.int32()),  # place in the .npy; null: an error and no clip
            pa.field("offset", pa.float32()),
            pa.field("step", pa.float32()),
            pa.field("crc32c", pa.uint32()),
            pa.field("seconds", pa.float64()),
            pa.field("damaged_packets", pa.int32()),
            pa.field("error_kind", pa.string()),
            pa.field("error", pa.string()),
        ]
    )


def _values(row: ShardRow, place: int) -> dict[str, Any]:
    clip, (kind, message) = row.clip, row.error or (None, None)
    return {
        "id": row.id,
        "split": row.split,
        "tags": row.tags,
        "source": row.source,
        "clip": None if clip is None else place,
        "offset": clip and clip.offset,
        "step": clip and clip.step,
        "crc32c": clip and clip.crc32c,
        "seconds": clip and clip.seconds,
        "damaged_packets": clip and clip.damaged_packets,
        "error_kind": kind,
        "error": message,
    }
