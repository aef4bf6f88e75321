"""ONNX Runtime for browsers, from its npm package: fetched once, checked, kept in the cache."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tarfile

from earmark import environment
from earmark.download import OnBytes, download
from earmark.errors import DownloadFailed
from earmark.files import cache_folder, write_bytes

log = logging.getLogger("earmark.web")

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web-{VERSION}.tgz"
_SIZE = 33_106_585  # bytes
_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
_REGISTRY = "https://registry.npmjs.org"
_DEADLINE = 1_800.0  # seconds: 20 kB/s
# what a page needs of it, and what it is called there; .js, since few hosts know .mjs
_FILES = {
    "package/dist/ort.wasm.bundle.min.mjs": "ort.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}


def runtime_files(*, progress: OnBytes | None = None) -> dict[str, bytes]:
    """The script and the WebAssembly, by their names on the page.

    progress : called with how many more bytes have arrived, from another thread

    Raises DownloadFailed, which says how to do without the network.
    """
    with tarfile.open(fileobj=io.BytesIO(_package(progress))) as package:
        files = {}
        for member, name in _FILES.items():
            file = package.extractfile(member)
            assert file is not None  # the hash says what is in it
            files[name] = file.read()
    return files


def _package(progress: OnBytes | None) -> bytes:
    kept = cache_folder() / "web" / PACKAGE
    by_hand = f"If you have {PACKAGE} (`npm pack onnxruntime-web@{VERSION}`): put it at {kept}"
    if kept.is_file() and _is_right(body := kept.read_bytes()):
        return body
    registry = os.environ.get("EARMARK_NPM_URL") or _REGISTRY
    url = f"{registry.rstrip('/')}/onnxruntime-web/-/{PACKAGE}"
    if environment.is_offline():
        raise DownloadFailed(f"EARMARK_OFFLINE forbids fetching {url}. {by_hand}")
    log.info("fetching %s", url)
    try:
        body = download(url, most=_SIZE, deadline=_DEADLINE, progress=progress)
    except DownloadFailed as error:
        raise DownloadFailed(f"{error}. No page was written. {by_hand}") from error
    if not _is_right(body):
        raise DownloadFailed(
            f"{url} sent another file than {PACKAGE}: {len(body):,} bytes with the sha256 "
            f"{hashlib.sha256(body).hexdigest()}, not {_SIZE:,} bytes with {_SHA256}. No page was "
            f"written. The transfer was cut or changed on its way: try again. {by_hand}"
        )
    write_bytes(kept, body)
    return body


def _is_right(body: bytes) -> bool:
    return len(body) == _SIZE and hashlib.sha256(body).hexdigest() == _SHA256
