"""Models by name: where their files lie on this machine, and how published ones get here.

earmark.environment says what EARMARK_MODEL, EARMARK_CACHE, EARMARK_PUBLISHED, EARMARK_ZOO_URL and
EARMARK_OFFLINE do.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from earmark import environment, model_file, published
from earmark.download import OnBytes, download
from earmark.errors import BadValue, DownloadFailed, ModelError, ModelNotFound
from earmark.files import cache_folder, sha256, write_bytes
from earmark.published.weights import PUBLISHED as PUBLISHED
from earmark.published.weights import Weights as Weights

log = logging.getLogger("earmark.zoo")

SHIPPED = "earmark"  # the default model, a file of this package
_SHIPPED_FILE = Path(__file__).parent / "models" / "earmark.onnx"

DEADLINE = 300.0  # seconds for a whole download at least: 2 MB at 7 kB/s
_SLOWEST = 20_000  # bytes a second of the slowest connection that larger files are waited for on


ALIASES = {"won2020": "won2020-fcn"}  # the better of the two: .774 to .753 on labelled clips


def canonical(name: str) -> str:
    """The one name of a published model. Raises ModelNotFound for any other name."""
    name = ALIASES.get(name, name)
    if name == SHIPPED:
        raise ModelNotFound(f"{SHIPPED} comes with this package; there is nothing to fetch")
    if name not in PUBLISHED:
        raise ModelNotFound(f"unknown model {name!r}. Choose from: {', '.join(names())}")
    return name


def names() -> list[str]:
    """Every name that `--model` understands, the shipped model's first."""
    return [SHIPPED, *sorted([*PUBLISHED, *ALIASES])]


def model_path(name: str) -> Path:
    """Where the model file of that name belongs, whether or not it is there."""
    if name == SHIPPED:
        return _SHIPPED_FILE
    return cache_folder() / "models" / f"{canonical(name)}.onnx"


def resolve(model: str | Path | None = None) -> Path:
    """The model file of a name or path; by default that of EARMARK_MODEL, else the shipped model.

    Raises ModelNotFound, whose message says what to do.
    """
    name = str(model or os.environ.get("EARMARK_MODEL") or "")
    if not name:
        return _SHIPPED_FILE  # also where the current folder has a file of its name
    if Path(name).is_file():
        return Path(name)
    if name not in names():
        raise ModelNotFound(
            f"no model {name!r}: there is no such file. "
            f"Known names to choose from: {', '.join(names())}"
        )
    if not model_path(name).is_file():
        raise ModelNotFound(
            f"the model {name} is not on this machine. Run `earmark models pull {name}`"
        )
    return model_path(name)


def pull(name: str, *, force: bool = False, progress: OnBytes | None = None) -> Path:
    """The model file of that name; published weights are fetched and converted where it is missing.

    force : make the file again though it is there
    progress : as in fetch

    Raises ModelNotFound for an unknown name, and what fetch and published.convert raise.
    """
    path = model_path(name)
    if name == SHIPPED or (not force and _is_current(path)):
        return path
    name = canonical(name)
    published.convert(PUBLISHED[name].kind, fetch(name, progress=progress), path, name=name)
    return path


def fetch(name: str, *, deadline: float | None = None, progress: OnBytes | None = None) -> Path:
    """Published weights: their file on this disk, downloaded if needed, with the right sha256.

    deadline : seconds for the whole download, however the server behaves; None is DEADLINE, and
        more for what is larger than a few megabytes
    progress : called with how many more bytes have arrived, from another thread

    Raises ModelNotFound where no public address is known, DownloadFailed where the download failed.
    Under the final name there is only ever the whole file.
    """
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
    if environment.is_offline():
        raise DownloadFailed(
            f"EARMARK_OFFLINE forbids fetching {name} from {url}. {_by_hand(name)}"
        )

    log.info("fetching %s from %s", name, url)
    if deadline is None:
        deadline = max(DEADLINE, weights.size / _SLOWEST)
    try:
        body = download(url, most=weights.size, deadline=deadline, progress=progress)
    except DownloadFailed as error:
        raise DownloadFailed(f"{error}. Nothing was installed. {_by_hand(name)}") from error
    try:
        write_bytes(cached, _checked(name, url, body))
    except OSError as error:
        raise DownloadFailed(f"cannot write {name} to {folder}: {error}") from error
    return cached


def _is_current(path: Path) -> bool:
    """Whether a model file is there in a format that this earmark reads."""
    try:
        model_file.read_card(path)
    except ModelError:
        return False
    return True


def _already_given(weights: Weights) -> Path | None:
    """The file in EARMARK_PUBLISHED with the right bytes, whatever its name."""
    folder = os.environ.get("EARMARK_PUBLISHED")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise BadValue(
            f"EARMARK_PUBLISHED is {folder!r}, which is not a folder. Correct or unset it"
        )
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
    """Whether a file has the published bytes; its size is compared first, which is cheap."""
    return path.is_file() and path.stat().st_size == weights.size and sha256(path) == weights.sha256


def _checked(name: str, url: str, body: bytes) -> bytes:
    """The bytes, if they are the published ones. Raises DownloadFailed if not."""
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
    """How to get a model without the network."""
    weights = PUBLISHED[name]
    which = f" --name {name}" if weights.kind == "musicnn" else ""
    return (
        f"If you have {weights.file} (sha256 {weights.sha256}): put it in a folder, name the "
        f"folder in EARMARK_PUBLISHED and run `earmark models pull {name}`, or run "
        f"`earmark models import {weights.kind} {weights.file}{which} -o {name}.onnx`"
    )
