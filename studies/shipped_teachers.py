"""The published networks that teach: what each says of every clip, kept in files."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark import published
from earmark.data.catalog.catalog import Catalog
from earmark.data.store.format import StoreFormat
from earmark.data.store.reader import Store, open_store
from earmark.data.store.writer import write_shards
from earmark.errors import ModelNotFound
from earmark.features import PRESETS, LogMel
from earmark.files import atomic_path
from earmark.runtime import Model
from earmark.zoo import PUBLISHED
from studies.q4 import SHARED

Array = npt.NDArray[np.float32]
FEATURES = PRESETS["efficientat-level"]  # of the shipped model
# mn04 teaches from all of its mels, as loud as the shipped model; its blocks learn from them too.
MN04 = dataclasses.replace(PRESETS["efficientat"], name="efficientat-loud", level=FEATURES.level)
_PART = 32  # clips at once
_KEPT = 8  # parts between two savings


@dataclass(frozen=True)
class Teacher:
    """A published network.

    kind, file : as of earmark.published and ../shared/published
    features : what it is given
    weight : how much it counts among those that know MSD-50; 0 for those that do not
    """

    kind: str
    file: str
    features: LogMel
    weight: float = 0.0


CHOI, WON, PONS = (PRESETS[name] for name in ("choi2016", "won2020", "musicnn"))
# weights by what they are worth alone: macro ROC-AUC over 16 tags of 4Q .801 .784 .773 .753, and
# musicnn's over MSD-50 .880
TEACHERS = {
    "choi2016-cnn": Teacher("choi2016", "music_tagger_cnn_weights_theano.h5", CHOI, 1.0),
    "choi2016": Teacher("choi2016", "music_tagger_crnn_weights_theano.h5", CHOI, 1.0),
    "won2020-fcn": Teacher("won2020", "won2020_msd_fcn.pth", WON, 1.0),
    "won2020-crnn": Teacher("won2020", "won2020_msd_crnn.pth", WON, 0.5),
    "musicnn-msd": Teacher("musicnn", PUBLISHED["musicnn-msd"].file, PONS, 1.5),
    "efficientat-mn04": Teacher("efficientat", "efficientat_mn04_as.pt", MN04),
}


def make_store(
    catalog: Catalog, output: Path, features: LogMel, *, audio: Path, name: str
) -> Store:
    """The log-mels of a catalog, made where they are missing."""
    folder = output / f"{name}-{features.name}"
    write_shards(catalog, folder, store_format=StoreFormat(features), audio=audio)
    return open_store(folder)


def ask(name: str, catalog: Catalog, output: Path) -> tuple[Array, Array]:
    """Logits (n, n_tags) and embedding (n, n_dimensions) of a teacher; what is done is kept."""
    path = output / "teachers" / f"{name}.npz"
    done: list[tuple[Array, Array]] = []
    if path.exists():
        with np.load(path) as file:
            done = [(file["logits"], file["embedding"])]
    n_done = sum(len(logits) for logits, _ in done)
    if n_done < len(catalog):
        teacher = TEACHERS[name]
        store = make_store(catalog, output, teacher.features, audio=SHARED, name="music")
        session = _session(name, teacher, output)
        for number, first in enumerate(range(n_done, len(store), _PART), start=1):
            last = min(first + _PART, len(store))
            logits, embedding = session.run(store.log_mels(np.arange(first, last)))
            done.append((logits, embedding))
            if number % _KEPT == 0 or last == len(store):
                done = [_joined(done)]
                _save(path, *done[0])
                print(f"{name}: {last} of {len(store)}", file=sys.stderr, flush=True)
    return _joined(done)


def _session(name: str, teacher: Teacher, output: Path) -> Model:
    weights = SHARED / "published" / teacher.file
    if teacher.kind == "musicnn":
        weights = output / teacher.file
        if not weights.exists():
            raise ModelNotFound(
                f"{weights} is missing; fetch it: pip download --no-deps musicnn==0.1.0 -d {output}"
            )
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        published.convert(
            teacher.kind, weights, model, name=name if teacher.kind == "musicnn" else None
        )
        return Model(model)


def _joined(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    logits, embeddings = zip(*parts, strict=True)
    return np.concatenate(logits), np.concatenate(embeddings)


def _save(path: Path, logits: Array, embedding: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, logits=logits, embedding=embedding)
