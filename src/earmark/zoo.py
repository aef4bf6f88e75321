"""Named models: the shipped one, and where published weights come from and lie.

This module brings weights to this machine and finds model files on it; `earmark models pull` puts
the conversion between the two. What the environment can change:

EARMARK_MODEL      the model to use where none is named: a name or a file
EARMARK_CACHE      the folder for models, instead of the user's cache folder
EARMARK_PUBLISHED  a folder of weights that were fetched some other way; looked into first
EARMARK_ZOO_URL    a mirror: the weights are fetched from <this address>/<file name>
EARMARK_OFFLINE    1 forbids the network
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from earmark.download import OnBytes, download
from earmark.errors import BadValue, DownloadFailed, ModelNotFound
from earmark.files import sha256

SHIPPED = "earmark"  # the model that is used where none is named; it lies inside this package
_SHIPPED_FILE = Path(__file__).parent / "models" / "earmark.onnx"

DEADLINE = 300.0  # seconds for a whole fetch at least: 2 MB over a slow telephone line
_SLOWEST = 20_000  # bytes a second of a line that larger files are waited for on


@dataclass(frozen=True)
class Weights:
    """Weights that their authors published.

    kind : which importer of `earmark.published` reads them
    file : what the file is called in a mirror and in the cache
    url : the authors' address, at a fixed commit; None where no public address is known
    sha256, size : of the file; size in bytes
    """

    kind: str
    file: str
    url: str | None
    sha256: str
    size: int
    licence: str
    citation: str
    description: str


_CHOI = "https://raw.githubusercontent.com/keunwoochoi/music-auto_tagging-keras/90b294091adaada477b9003201dd20a9fe15a3c1/data/"
_WON = "https://raw.githubusercontent.com/minzwon/sota-music-tagging-models/ffcd1f90b97a1e923a50c6e5283f147cf9dd7dfd/models/"
_WON_2020 = (
    "M. Won, A. Ferraro, D. Bogdanov, X. Serra: Evaluation of CNN-based automatic music tagging "
    "models. SMC 2020, arXiv:2006.00751"
)


def _musicnn(description: str) -> Weights:
    """One of the four networks in the wheel of the musicnn package."""
    return Weights(
        kind="musicnn",
        file="musicnn-0.1.0-py3-none-any.whl",
        url="https://files.pythonhosted.org/packages/1b/6f/"
        "38229e7d99c438e11114bbfa39c8c39185458c398011d0b6d7d7c7401617/musicnn-0.1.0-py3-none-any.whl",
        sha256="f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
        size=29_292_476,
        licence="ISC",
        citation="J. Pons, X. Serra: musicnn: pre-trained convolutional neural networks for music "
        "audio tagging. ISMIR 2019 late-breaking, arXiv:1909.06654",
        description=description,
    )


PUBLISHED: dict[str, Weights] = {
    "choi2016": Weights(
        kind="choi2016",
        file="music_tagger_crnn_weights_theano.h5",
        url=_CHOI + "music_tagger_crnn_weights_theano.h5",
        sha256="783d8198417fd5d6ceee551dea5ec3e7f0210ec743af4819172b5c943044081c",
        size=1_649_664,
        licence="MIT",
        citation="K. Choi, G. Fazekas, M. Sandler, K. Cho: Convolutional recurrent neural networks "
        "for music classification. ICASSP 2017, arXiv:1609.04243",
        description="CRNN of Choi et al., read as it was trained (the restored reading)",
    ),
    "choi2016-cnn": Weights(
        kind="choi2016",
        file="music_tagger_cnn_weights_theano.h5",
        url=_CHOI + "music_tagger_cnn_weights_theano.h5",
        sha256="36184d9fde3e95957bfbf63ee6685258f613ce8cf2f0373c641b1a448c14874b",
        size=3_523_792,
        licence="MIT",
        citation="K. Choi, G. Fazekas, M. Sandler: Automatic tagging using deep convolutional "
        "neural networks. ISMIR 2016, arXiv:1606.00298",
        description="CNN of Choi et al., read as it was trained (the restored reading)",
    ),
    "won2020-fcn": Weights(
        kind="won2020",
        file="won2020_msd_fcn.pth",
        url=_WON + "msd/fcn/best_model.pth",
        sha256="6012aa7eecf864a8081faedca56af054521e8dfb9c5c98659a3dd5d3e1e66f21",
        size=1_902_815,
        licence="MIT",
        citation=_WON_2020,
        description="FCN of Won et al., trained on the Million Song Dataset",
    ),
    "won2020-crnn": Weights(
        kind="won2020",
        file="won2020_msd_crnn.pth",
        url=_WON + "msd/crnn/best_model.pth",
        sha256="ebb99855ed0c83f38845db9cfb383dd6fc70938bc58701dcb66e18af9ee7fbea",
        size=1_687_711,
        licence="MIT",
        citation=_WON_2020,
        description="CRNN of Won et al., trained on the Million Song Dataset",
    ),
    "won2020-jamendo-musicnn": Weights(
        kind="won2020",
        file="won2020_jamendo_musicnn.pth",
        url=_WON + "jamendo/musicnn/best_model.pth",
        sha256="66280f4859376377c47f64313c7ac889a3201fdb06a01bf6e94ac6e619081bb5",
        size=3_257_168,
        licence="MIT",
        citation=_WON_2020,
        description="musicnn of Won et al., trained on MTG-Jamendo: genres of free music, "
        "instruments, five moods",
    ),
    "won2020-jamendo-fcn": Weights(
        kind="won2020",
        file="won2020_jamendo_fcn.pth",
        url=_WON + "jamendo/fcn/best_model.pth",
        sha256="7bce08a66dbc70d096b0a330f44b4cacd9aa25519b83489fbb98f2164a194e2b",
        size=1_902_815,
        licence="MIT",
        citation=_WON_2020,
        description="FCN of Won et al., trained on MTG-Jamendo",
    ),
    "musicnn-msd": _musicnn("musicnn trained on the Million Song Dataset"),
    "vgg-msd": _musicnn("VGG of musicnn's authors, trained on the Million Song Dataset"),
    "musicnn-mtt": _musicnn(
        "musicnn trained on MagnaTagATune: instruments, voices, classical music; not for genres "
        "of pop"
    ),
    "vgg-mtt": _musicnn("VGG of musicnn's authors, trained on MagnaTagATune"),
    "efficientat-mn04": Weights(
        kind="efficientat",
        file="efficientat_mn04_as.pt",
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        size=4_066_513,
        licence="MIT",
        citation="F. Schmid, K. Koutini, G. Widmer: Efficient large-scale audio tagging via "
        "Transformer-to-CNN knowledge distillation. ICASSP 2023, arXiv:2211.04772",
        description="MobileNet of EfficientAT, trained on AudioSet: 527 sounds, from speech and "
        "instruments to applause; for what is not music, too",
    ),
    "cs2470": Weights(
        kind="cs2470",
        file="cs2470_trained_model.h5",
        url=None,
        sha256="d9f0826ab36f81774438488ae6b01cec1e88bfbc6ed9952f854b6f1a5e6e13cd",
        size=1_637_984,
        licence="none stated",
        citation="Convolutional recurrent neural networks for music classification, a report of "
        "the course CS2470",
        description="CRNN of the CS2470 report; its authors state no licence",
    ),
}

ALIASES = {"won2020": "won2020-fcn"}  # the better of the two: .774 to .753 on labelled clips


def canonical(name: str) -> str:
    """The one name of a published model. Raises ModelNotFound for any other name."""
    name = ALIASES.get(name, name)
    if name == SHIPPED:
        raise ModelNotFound(f"{SHIPPED} comes with this package: there is nothing to fetch")
    if name not in PUBLISHED:
        raise ModelNotFound(f"no model is called {name!r}. There are: {', '.join(names())}")
    return name


def names() -> list[str]:
    """Every name that `--model` understands, the shipped model's first."""
    return [SHIPPED, *sorted([*PUBLISHED, *ALIASES])]


def cache_folder() -> Path:
    """Where fetched weights and converted models are kept."""
    import platformdirs

    own = os.environ.get("EARMARK_CACHE")
    return (
        Path(own).expanduser() if own else platformdirs.user_cache_path("earmark", appauthor=False)
    )


def model_path(name: str) -> Path:
    """Where the model file of that name belongs, whether or not it is there."""
    if name == SHIPPED:
        return _SHIPPED_FILE
    return cache_folder() / "models" / f"{canonical(name)}.onnx"


def resolve(model: str | Path | None = None) -> Path:
    """The model file that a name, a path or nothing at all means.

    Nothing means EARMARK_MODEL, else the shipped model.
    Raises ModelNotFound, whose one line says what to do.
    """
    name = str(model or os.environ.get("EARMARK_MODEL") or "")
    if not name:
        return _SHIPPED_FILE  # whatever lies about in this folder under its name
    if Path(name).is_file():
        return Path(name)
    if name not in names():
        raise ModelNotFound(
            f"no model {name!r}: no such file, and the names are {', '.join(names())}"
        )
    if not model_path(name).is_file():
        raise ModelNotFound(f"the model {name} is not here: run `earmark models pull {name}`")
    return model_path(name)


def fetch(name: str, *, deadline: float | None = None, progress: OnBytes | None = None) -> Path:
    """Published weights, on this disk and with the right sha256.

    deadline : seconds for the whole download, however the server behaves; None is DEADLINE, and
        more for what is larger than a few megabytes
    progress : called with how many more bytes have come, from another thread

    Raises ModelNotFound where there is no public address, DownloadFailed where the network did
    not bring the file. Nothing is ever left under the final name but the whole file.
    """
    import pooch

    name = canonical(name)
    weights = PUBLISHED[name]
    if (given := _already_given(weights)) is not None:
        return given
    folder = cache_folder() / "weights"
    cached = folder / weights.file
    if _holds(weights, cached):
        return cached
    mirror = os.environ.get("EARMARK_ZOO_URL")
    url = f"{mirror.rstrip('/')}/{weights.file}" if mirror else weights.url
    if url is None:
        raise ModelNotFound(f"no public address of {name} is known. {_by_hand(name)}")
    if os.environ.get("EARMARK_OFFLINE", "0").lower() not in ("", "0", "no", "false"):
        raise DownloadFailed(
            f"EARMARK_OFFLINE forbids to fetch {name} from {url}. {_by_hand(name)}"
        )

    seconds = max(DEADLINE, weights.size / _SLOWEST) if deadline is None else deadline

    def get(address: str, output: str, _: object) -> None:
        try:
            body = download(address, most=weights.size, deadline=seconds, progress=progress)
        except DownloadFailed as error:
            raise DownloadFailed(f"{error}. Nothing was installed. {_by_hand(name)}") from error
        Path(output).write_bytes(_checked(name, address, body))

    log = pooch.get_logger()
    level = log.level
    log.setLevel("WARNING")  # it tells of every download on stderr; a library is silent
    try:
        path = pooch.retrieve(url, f"sha256:{weights.sha256}", weights.file, folder, downloader=get)
    except OSError as error:  # of the disk: those of the network are DownloadFailed by now
        raise DownloadFailed(f"cannot keep {name} in {folder}: {error}") from error
    finally:
        log.setLevel(level)
    return Path(path)


def _already_given(weights: Weights) -> Path | None:
    """The file in EARMARK_PUBLISHED with the right bytes, whatever it is called."""
    folder = os.environ.get("EARMARK_PUBLISHED")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise BadValue(f"EARMARK_PUBLISHED is {folder!r}, which is no folder")
    for path in sorted(Path(folder).iterdir()):
        if _holds(weights, path):
            return path
    namesake = Path(folder) / weights.file
    if namesake.is_file():
        raise DownloadFailed(
            f"{namesake} has the sha256 {sha256(namesake)}, not {weights.sha256}: it is damaged or "
            "another version. Replace or remove it."
        )
    return None


def _holds(weights: Weights, path: Path) -> bool:
    """Whether these are the bytes that were published; the size is asked first, it is cheap."""
    return path.is_file() and path.stat().st_size == weights.size and sha256(path) == weights.sha256


def _checked(name: str, url: str, body: bytes) -> bytes:
    """The same bytes, if they are the ones that were published. Raises DownloadFailed if not."""
    weights = PUBLISHED[name]
    found = hashlib.sha256(body).hexdigest()
    if found != weights.sha256:
        length = f"more than {weights.size:,}" if len(body) > weights.size else f"{len(body):,}"
        raise DownloadFailed(
            f"{url} sent another file than {name}: {length} bytes with the sha256 {found}, not "
            f"{weights.size:,} bytes with {weights.sha256}. Nothing was installed. The transfer "
            f"was cut or changed on its way: try again. {_by_hand(name)}"
        )
    return body


def _by_hand(name: str) -> str:
    """How a model gets here without the network."""
    weights = PUBLISHED[name]
    which = f" --name {name}" if weights.kind == "musicnn" else ""
    return (
        f"If you have {weights.file} (sha256 {weights.sha256}): put it in a folder, name the "
        f"folder in EARMARK_PUBLISHED and run `earmark models pull {name}`, or run "
        f"`earmark models import {weights.kind} {weights.file}{which} -o {name}.onnx`"
    )
