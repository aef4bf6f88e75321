"""Weights that others published, as model files of ours; without Keras, TensorFlow or torch.

choi2016      .h5 of Keras 1, CRNN or CNN, saved on Theano or TensorFlow: the file says which
cs2470        .h5 of Keras 2
won2020       .pth of PyTorch, CRNN, FCN or musicnn: the file says which
musicnn       checkpoints of TensorFlow 1: the wheel of the musicnn package, or a folder out of it
efficientat   .pt of PyTorch

Names, licences and citations stand in `earmark.published.weights`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.errors import BadModel, BadValue, ModelNotFound
from earmark.features import PRESETS
from earmark.files import sha256
from earmark.model_file import Card, write_model
from earmark.published.vocabularies import JAMENDO_50, MTT_50, audioset_527
from earmark.published.weights import PUBLISHED
from earmark.tags import MSD_50, msd_50_priors

if TYPE_CHECKING:
    from earmark.graph import Network
    from earmark.published import won2020

# The readers and the graphs are imported where weights are converted: every command asks this
# package which models there are.
KINDS = ("choi2016", "cs2470", "won2020", "musicnn", "efficientat")

# The FCNs that learned from the Million Song Dataset and from MTG-Jamendo have the same arrays.
_WON_2020: dict[won2020.NetworkKind, tuple[str, ...]] = {
    "CRNN": ("won2020-crnn",),
    "FCN": ("won2020-fcn", "won2020-jamendo-fcn"),
    "musicnn": ("won2020-jamendo-musicnn",),
}


@dataclasses.dataclass(frozen=True, eq=False)
class _Found:
    """What a weights file turned out to be.

    kind : of KINDS
    names : of PUBLISHED; several where arrays alone do not tell which tags the columns are
    network : makes the network once its kind is known to be the one asked for
    """

    kind: str
    names: tuple[str, ...]
    network: Callable[[], Network]


def convert(
    kind: str,
    weights: str | Path,
    output: str | Path,
    *,
    name: str | None = None,
    as_published: bool = False,
) -> Card:
    """Make a model file from published weights; returns its card.

    kind : one of KINDS; a file of another kind is refused
    name : which network of PUBLISHED it is; needed where neither the file nor its sha256 tell
    as_published : choi2016 only: read the weights as their scripts do, not as they were trained

    Raises ModelNotFound for a file that cannot be opened, and BadModel, which says what was found,
    for one that is not of this kind, is damaged, or holds other arrays than were published.
    """
    from earmark.graph import build

    if kind not in KINDS:
        raise BadValue(f"no published weights {kind!r}; choose one of {', '.join(KINDS)}")
    if as_published and kind != "choi2016":
        raise BadValue(f"{kind} has one reading only; only choi2016 can be read as published")
    path = Path(weights)
    found = _look_into(path, name=name, as_published=as_published)
    if found.kind != kind:
        raise BadModel(
            f"{path} holds weights of {found.kind}, not of {kind}. Use: "
            f"earmark models import {found.kind} {path} -o {output}"
        )
    name = _name(found, path, name)
    try:
        network = found.network()
        graph = build(network)
    except BadValue as error:
        raise BadModel(f"{path}: {error}. Fetch it again from where it was published.") from error
    card = _card(kind, name, path, as_published=as_published)
    if network.pieces is not None:
        card = dataclasses.replace(card, pooling=network.pieces.pool)
    write_model(output, graph, card)
    return card


def _name(found: _Found, path: Path, name: str | None) -> str:
    """What was asked for, or what the file's sha256 says, or the first that it may be."""
    if name is None:
        digest = sha256(path) if len(found.names) > 1 else None
        return next((of for of in found.names if PUBLISHED[of].sha256 == digest), found.names[0])
    if name not in found.names:
        raise BadModel(
            f"{path} holds {' or '.join(found.names)}, not {name}. Give the right name or file"
        )
    return name


def _card(kind: str, name: str, path: Path, *, as_published: bool) -> Card:
    from earmark.published import musicnn

    origin = PUBLISHED[name]
    tags, description = _tags(name), origin.description
    reading = "restored" if kind == "choi2016" else "as published"
    if as_published:
        name, reading = f"{name}-as-published", "as published"
        description = "the same weights the way the published scripts read them; for comparison"
    return Card(
        name=name,
        tags=tags,
        features=PRESETS[kind],
        priors=tuple(map(float, msd_50_priors())) if tags is MSD_50 else None,
        source=origin.citation,
        licence=origin.licence,
        description=description,
        training={
            "reading": reading,
            "weights_sha256": sha256(musicnn.numbers(path) if kind == "musicnn" else path),
        },
    )


def _tags(name: str) -> tuple[str, ...]:
    """What the columns of a network of PUBLISHED mean."""
    if name.startswith("efficientat"):
        return audioset_527()
    if "jamendo" in name:
        return JAMENDO_50
    return MTT_50 if name.endswith("-mtt") else MSD_50


def _look_into(path: Path, *, name: str | None, as_published: bool) -> _Found:
    """Which of the published networks a file holds. Raises ModelNotFound and BadModel."""
    from earmark.published import choi2016, cs2470, efficientat, musicnn, won2020
    from earmark.published.keras_file import SIGNATURE, read_keras
    from earmark.published.torch_file import LEGACY_SIGNATURE, ZIP_SIGNATURE, read_tensors

    if path.is_dir() or musicnn.in_archive(path):
        name, arrays = musicnn.read(path, name=name)
        return _Found("musicnn", (name,), lambda: musicnn.network(arrays))
    try:
        with path.open("rb") as file:
            start = file.read(len(LEGACY_SIGNATURE))
    except OSError as error:
        raise ModelNotFound(
            f"cannot read the weights {path} ({error.strerror}). Check the name"
        ) from error
    if start.startswith(SIGNATURE):
        keras = read_keras(path)
        if choi2016.fits(keras):
            only = "choi2016" if choi2016.is_crnn(keras) else "choi2016-cnn"
            return _Found(
                "choi2016", (only,), lambda: choi2016.network(keras, as_published=as_published)
            )
        if cs2470.fits(keras):
            return _Found("cs2470", ("cs2470",), lambda: cs2470.network(keras))
        raise _unknown(path, "a Keras file", list(keras.arrays))
    if start.startswith((ZIP_SIGNATURE, LEGACY_SIGNATURE)):
        tensors = read_tensors(path)
        if won2020.fits(tensors):
            names = _WON_2020[won2020.kind(tensors)]
            return _Found("won2020", names, lambda: won2020.network(tensors))
        if efficientat.fits(tensors):
            return _Found(
                "efficientat", ("efficientat-mn04",), lambda: efficientat.network(tensors)
            )
        raise _unknown(path, "a PyTorch file", list(tensors))
    raise BadModel(
        f"{path} is neither a Keras file (HDF5) nor a PyTorch file, nor an archive or folder of "
        f"TensorFlow's checkpoints: it starts with {start[:8]!r}. "
        f"Give published weights of {', '.join(KINDS)}."
    )


def _unknown(path: Path, what: str, names: list[str]) -> BadModel:
    first = ", ".join(names[:3]) or "nothing"
    return BadModel(
        f"{path} is {what} of another network (it holds {first}{', ...' if names[3:] else ''}). "
        f"Give published weights of {', '.join(KINDS)}."
    )
