"""The networks of the musicnn package: musicnn and a VGG, from the checkpoints of TensorFlow 1.

J. Pons, X. Serra: musicnn: pre-trained convolutional neural networks for music audio tagging, ISMIR
2019. The package's wheel holds four of them, each in a folder; what the tags of one are, its
arrays do not say. They hear patches of 187 frames, and the scores of the patches are averaged.

TensorFlow's images are (frames, mels), its kernels (height, width, n_in, n_out).
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from earmark.errors import BadModel, ModelNotFound
from earmark.features import PRESETS
from earmark.graph import Affine, Dense, Musicnn, Network, Norm, Pieces, PooledConv, Rectified
from earmark.published.layout import Shapes, WeightArrays, check_shapes
from earmark.published.tf_checkpoint import read_checkpoint

FEATURES = PRESETS["musicnn"]
PATCH_FRAMES = 187  # 3 s
N_TAGS = 50
# by the names of earmark.zoo
FOLDERS = {
    "musicnn-msd": "MSD_musicnn",
    "vgg-msd": "MSD_vgg",
    "musicnn-mtt": "MTT_musicnn",
    "vgg-mtt": "MTT_vgg",
}
_INDEX, _DATA = ".index", ".data-00000-of-00001"
_MOST = {_INDEX: 1 << 20, _DATA: 1 << 26}  # bytes; theirs have 5 KB and 9 MB
_EPSILON = 1e-3  # of Keras's batch norm
_NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_variance")
_TIMBRAL, _TEMPORAL = (38, 67), (128, 64, 32)  # mels high; frames long
_N_TIMBRAL, _N_TEMPORAL, _N_MIDDLE, _N_HIDDEN = 204, 51, 64, 200
_N_FRONT = len(_TIMBRAL) * _N_TIMBRAL + len(_TEMPORAL) * _N_TEMPORAL
_N_POOLED = 2 * (_N_FRONT + 3 * _N_MIDDLE)  # maxima and means over time
_VGG_WIDTH = 128
# mels and frames of a cell, and from one to the next. The first cell is one mel high, and every
# second mel is left out.
_VGG_POOLS = (((1, 4), (2, 2)), *(((2, 2), (2, 2)),) * 3, ((4, 4), (4, 4)))
_VGG_FRAMES_LEFT = 2  # of a patch, behind the pools; and one mel


def in_archive(path: Path) -> bool:
    """Whether a file is the package's wheel, or another archive with checkpoints in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(_INDEX) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def numbers(path: Path) -> Path:
    """The file that holds the numbers: the wheel, or that of a folder."""
    return path / _DATA if path.is_dir() else path


def read(path: Path, *, name: str | None) -> tuple[str, WeightArrays]:
    """The name of a network and its arrays, from the wheel or from the folder of a checkpoint.

    name : which of FOLDERS; without it the folder's own name tells

    Raises ModelNotFound for a folder without a checkpoint, and BadModel.
    """
    names = ", ".join(FOLDERS)
    if name is None:
        name = {folder: of for of, folder in FOLDERS.items()}.get(path.resolve().name)
    if name not in FOLDERS and not path.is_dir():
        raise BadModel(f"{path} holds several networks: say with --name which of {names}")
    index, data = (_read(path, name, suffix) for suffix in (_INDEX, _DATA))
    if name not in FOLDERS:
        raise BadModel(
            f"{path} does not say which tags its columns are: say with --name which of {names}"
        )
    tensors = read_checkpoint(index, data, name=str(path))
    # the optimiser's moments say nothing about the network
    kept = {key: array for key, array in tensors.items() if not _of_optimiser(key)}
    if name.startswith("vgg") != is_vgg(kept):
        raise BadModel(f"{path} holds another network than {name}. Give another --name")
    return name, kept


def _read(path: Path, name: str | None, suffix: str) -> bytes:
    """One file of a checkpoint, no larger than they are."""
    if path.is_dir():
        file = path / suffix
        if not file.is_file():
            raise ModelNotFound(
                f"cannot read the weights {path}: the folder has no file {suffix}. Check the name"
            )
        if file.stat().st_size > _MOST[suffix]:
            raise BadModel(
                f"{file} is too large for weights: {file.stat().st_size:,} bytes. Fetch it again"
            )
        return file.read_bytes()
    wanted = f"{FOLDERS[name or '']}/{suffix}"
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                entry for entry in archive.infolist() if f"/{entry.filename}".endswith(f"/{wanted}")
            ]
            if len(members) != 1:
                raise BadModel(
                    f"{path} holds {len(members)} files {wanted}, not one. Fetch it again"
                )
            if members[0].file_size > _MOST[suffix]:
                raise BadModel(
                    f"{path}: {wanted} claims {members[0].file_size:,} bytes, too much. "
                    "Fetch it again"
                )
            return archive.read(members[0])
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise BadModel(f"{path} is damaged or cut short ({error}). Fetch it again.") from error


def _of_optimiser(name: str) -> bool:
    return "/Adam" in name or name in ("beta1_power", "beta2_power")


def is_vgg(tensors: WeightArrays) -> bool:
    """Whether arrays are those of the VGG, going by its first layer; else they are musicnn's."""
    return "1CNN/kernel" in tensors


def network(tensors: WeightArrays) -> Network:
    """The network in a checkpoint. Raises BadValue for other names or shapes."""
    vgg = is_vgg(tensors)
    shapes = _vgg_shapes() if vgg else _musicnn_shapes()
    check_shapes(tensors, shapes, what="the VGG of musicnn" if vgg else "musicnn")
    return _vgg(tensors) if vgg else _musicnn(tensors)


def _vgg(tensors: WeightArrays) -> Network:
    output = tensors["dense/kernel"].reshape(_VGG_FRAMES_LEFT, 1, _VGG_WIDTH, N_TAGS)
    output = output.transpose(2, 1, 0, 3)  # from (frames, mels, channels) to ours
    return Network(
        n_mels=FEATURES.n_mels,
        n_frames=FEATURES.n_frames,
        front=[_norm(tensors, 0).affine()],
        blocks=[
            PooledConv(_rectified(tensors, f"{number}CNN", number), pool, stride)
            for number, (pool, stride) in enumerate(_VGG_POOLS, start=1)
        ],
        summary="flatten",
        output=Dense(output.reshape(-1, N_TAGS), tensors["dense/bias"]),
        pieces=Pieces(PATCH_FRAMES, pool="scores"),
    )


def _musicnn(tensors: WeightArrays) -> Network:
    layers = [
        _rectified(tensors, f"conv2d_{number}" if number else "conv2d", number + 1)
        for number in range(len(_TIMBRAL) + len(_TEMPORAL))
    ]
    # maximum and mean of one channel follow each other there; here all maxima come first
    order = np.arange(_N_POOLED).reshape(-1, 2).T.ravel()
    pooled, hidden = _norm(tensors, 9).affine(), _norm(tensors, 10).affine()
    return Network(
        n_mels=FEATURES.n_mels,
        n_frames=FEATURES.n_frames,
        front=[_norm(tensors, 0).affine()],
        blocks=[
            Musicnn(
                timbral=layers[: len(_TIMBRAL)],
                temporal=layers[len(_TIMBRAL) :],
                over_mels="max",
                middle=[_middle(tensors, number) for number in (5, 6, 7)],
            )
        ],
        summary="max-mean",
        hidden=(_behind(pooled, tensors, "dense", order), "relu"),
        embedding="hidden",
        output=_behind(hidden, tensors, "dense_1", np.arange(_N_HIDDEN)),
        pieces=Pieces(PATCH_FRAMES, pool="scores"),
    )


def _rectified(tensors: WeightArrays, name: str, norm: int) -> Rectified:
    kernel = tensors[f"{name}/kernel"].transpose(3, 2, 1, 0)  # (n_out, n_in, mels, frames)
    affine = _norm(tensors, norm).affine()
    return Rectified(
        kernel,
        tensors[f"{name}/bias"],
        Affine(affine.scale[:, None, None], affine.shift[:, None, None]),
    )


def _middle(tensors: WeightArrays, number: int) -> Rectified:
    """Of these, the channels before lie where an image has its mels."""
    layer = _rectified(tensors, f"conv2d_{number}", number + 1)
    return Rectified(layer.weight.transpose(0, 2, 1, 3), layer.bias, layer.norm)


def _behind(norm: Affine, tensors: WeightArrays, name: str, order: np.ndarray) -> Dense:
    """A dense layer and the norm before it as one, its inputs in another order."""
    kernel = tensors[f"{name}/kernel"]
    with np.errstate(all="ignore"):
        weight, bias = kernel * norm.scale[:, None], tensors[f"{name}/bias"] + norm.shift @ kernel
    return Dense(weight[order], bias)


def _norm(tensors: WeightArrays, number: int) -> Norm:
    name = f"batch_normalization_{number}" if number else "batch_normalization"
    gamma, beta, mean, variance = (tensors[f"{name}/{part}"] for part in _NORM_PARTS)
    return Norm(mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=_EPSILON)


def _vgg_shapes() -> Shapes:
    kernels: dict[str, tuple[int, ...]] = {
        f"{number}CNN": (3, 3, _VGG_WIDTH if number > 1 else 1, _VGG_WIDTH)
        for number in range(1, 1 + len(_VGG_POOLS))
    }
    kernels["dense"] = (_VGG_FRAMES_LEFT * _VGG_WIDTH, N_TAGS)
    return _shapes(kernels, norms=[1, *[_VGG_WIDTH] * len(_VGG_POOLS)])


def _musicnn_shapes() -> Shapes:
    convolutions: list[tuple[int, ...]] = [
        *((7, height, 1, _N_TIMBRAL) for height in _TIMBRAL),
        *((length, 1, 1, _N_TEMPORAL) for length in _TEMPORAL),
        *((7, n_in, 1, _N_MIDDLE) for n_in in (_N_FRONT, _N_MIDDLE, _N_MIDDLE)),
    ]
    kernels = {
        f"conv2d_{number}" if number else "conv2d": shape
        for number, shape in enumerate(convolutions)
    }
    kernels |= {"dense": (_N_POOLED, _N_HIDDEN), "dense_1": (_N_HIDDEN, N_TAGS)}
    norms = [1, *(shape[-1] for shape in convolutions), _N_POOLED, _N_HIDDEN]
    return _shapes(kernels, norms=norms)


def _shapes(kernels: dict[str, tuple[int, ...]], *, norms: list[int]) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in kernels.items():
        shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[-1:]}
    for number, size in enumerate(norms):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        shapes |= {f"{name}/{part}": (size,) for part in _NORM_PARTS}
    return shapes
