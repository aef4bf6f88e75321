"""The export of a store, in formats that other software reads: WebDataset tars and NumPy files.

Both come with an about.json: how the spectrograms were made, and what the labels mean. `importing`
reads them.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from earmark.data.store.reader import Store
from earmark.errors import BadValue, DataError
from earmark.files import atomic_path, write_json
from earmark.folder_lock import disk_errors

ABOUT = "about.json"
CLIPS_PER_FILE = 1000
_BATCH = 64  # clips in memory at a time
SPECTRUM, LABELS, SONGS = "_spectrum.npy", "_labels.npy", "_songs.csv"


def write_tars(store: Store, folder: str | Path, *, split: str | None = None) -> list[Path]:
    """WebDataset: clips-000000.tar with `<number>.npy` (float32) and `<number>.json` a clip.

    The number is the clip's place in the store: WebDataset cuts names at dots, and an id may have
    some.
    """
    folder = Path(folder)
    _check_is_new(folder)
    paths = []
    with disk_errors(folder):
        for number, places in enumerate(_files_of(store, split)):
            path = folder / f"clips-{number:06d}.tar"
            with atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
                for place in places:
                    about = {
                        "id": store.ids[place],
                        "split": store.splits[place],
                        "tags": _tags(store, place),
                    }
                    array = io.BytesIO()
                    np.save(array, store.log_mels([place])[0])
                    _add(tar, f"{place:09d}.npy", array.getvalue())
                    _add(tar, f"{place:09d}.json", json.dumps(about, ensure_ascii=False).encode())
            paths.append(path)
        _write_about(store, folder)
    return paths


def write_numpy(store: Store, folder: str | Path, *, split: str | None = None) -> list[Path]:
    """Pairs of arrays as in the CS2470 report: x0-x1_spectrum.npy and x0-x1_labels.npy.

    Clips x0 to x1 - 1 of the export: float32 (n, n_mels, n_frames) dB, and bool (n, n_tags).
    x0-x1_songs.csv has a line for each: id, split, labelled (1, or 0 where labels are not known).
    """
    folder = Path(folder)
    _check_is_new(folder)
    paths = []
    first = 0
    with disk_errors(folder):
        for places in _files_of(store, split):
            stem = f"{first}-{first + len(places)}"
            path = folder / (stem + SPECTRUM)
            with atomic_path(path) as temporary:
                array = np.lib.format.open_memmap(
                    temporary, "w+", np.float32, (len(places), *store.format.clip_shape)
                )
                for start in range(0, len(places), _BATCH):
                    array[start : start + _BATCH] = store.log_mels(places[start : start + _BATCH])
                array.flush()
                del array
            paths.append(path)
            with atomic_path(folder / (stem + LABELS)) as temporary, temporary.open("wb") as file:
                np.save(file, store.labels[places])
            with (
                atomic_path(folder / (stem + SONGS)) as temporary,
                temporary.open("w", encoding="utf-8", newline="") as text,
            ):
                rows = csv.writer(text, lineterminator="\n")
                rows.writerow(["id", "split", "labelled"])
                rows.writerows(
                    [store.ids[place], store.splits[place], int(store.labelled[place])]
                    for place in places
                )
            first += len(places)
        _write_about(store, folder)
    return paths


def _check_is_new(folder: Path) -> None:
    """Refuse a folder with an export: two in one folder would be read as one."""
    there = [*folder.glob("clips-*.tar"), *folder.glob(f"*{SPECTRUM}")]
    if there:
        raise DataError(f"{folder} already holds an export ({there[0].name}). Take a new folder")


def _files_of(store: Store, split: str | None) -> Iterator[list[int]]:
    places = range(len(store)) if split is None else store.indices(split).tolist()
    if not places:
        there = ", ".join(sorted({name or "(none)" for name in store.splits}))
        raise BadValue(
            f"{store.folder} has no clips{'' if split is None else f' of the split {split!r}'}. "
            + (f"Choose one of: {there}" if there else "Make it from songs that can be heard")
        )
    for start in range(0, len(places), CLIPS_PER_FILE):
        yield list(places[start : start + CLIPS_PER_FILE])


def _tags(store: Store, place: int) -> list[str] | None:
    if not store.labelled[place]:
        return None
    return [tag for tag, is_on in zip(store.tags, store.labels[place], strict=True) if is_on]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # without times and owners: the same clips give the same bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _write_about(store: Store, folder: Path) -> None:
    write_json(folder / ABOUT, {"features": store.settings.to_dict(), "tags": list(store.tags)})
