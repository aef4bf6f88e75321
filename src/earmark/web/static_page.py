"""The page without a server: a folder for any static host, whose songs are heard in the browser.

It is the served page with another api.js (static/browser/hear.js) and the model beside it: a graph
that takes samples, run by ONNX Runtime's WebAssembly in a worker.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import chapters, files, ranking, signal_check, zoo
from earmark.download import OnBytes
from earmark.errors import BadValue
from earmark.features import LogMel, hann, mel_filters
from earmark.files import Json
from earmark.graph.waveform import waveform_model
from earmark.model_file import Card, card_in, read_bytes
from earmark.onnx_file import load_onnx
from earmark.results import SURE
from earmark.taggrams import MOMENTS_PER_WINDOW
from earmark.web import cards, drawing
from earmark.web.browser_runtime import VERSION, runtime_files
from earmark.web.pages import STATIC, plotly_js, whole_html
from earmark.words import SOUNDS

# As of the served page (web/middleware.py), with what WebAssembly and the worker need. A <meta>
# cannot keep others from framing the page.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self'; img-src 'self' data: blob:; media-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
_SERVED_ONLY = (
    "api.js", "docs.js", "library.css", "library.js", "library_api.js", "opened.js", "deck.js",
)  # fmt: skip
_NOTICE = """This page is made of
earmark, MIT licence;
the model {name}: {licence} ({source});
ONNX Runtime {version} for browsers (static/onnxruntime), Copyright (c) Microsoft Corporation, MIT
licence: https://github.com/microsoft/onnxruntime/blob/main/LICENSE;
plotly.js (static/plotly.js), Copyright (c) Plotly, Inc., MIT licence:
https://github.com/plotly/plotly.js/blob/master/LICENSE.
"""


@dataclass(frozen=True)
class WrittenPage:
    """A page that was written.

    n_bytes : of all its files together
    """

    folder: Path
    model: str
    n_files: int
    n_bytes: int


def write_page(
    folder: str | Path,
    *,
    model: str | Path | None = None,
    progress: OnBytes | None = None,
) -> WrittenPage:
    """Write the page of a model; what is in the folder under other names stays.

    model : a name or a model file; the default without one
    progress : as of browser_runtime.runtime_files

    Raises BadValue for a folder that is a file, ModelNotFound, BadModel, DownloadFailed, and
    MissingExtra without onnx.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadValue(f"{folder} is a file. Choose a folder, which may be new")
    onnx = load_onnx()
    path = zoo.resolve(model)
    data = read_bytes(path)
    card = card_in(path, data)
    graph = waveform_model(onnx.load_model_from_string(data), card)
    content = {
        f"static/onnxruntime/{name}": body
        for name, body in runtime_files(progress=progress).items()
    }
    content |= {
        f"static/{one.relative_to(STATIC).as_posix()}": one.read_bytes()
        for one in sorted(STATIC.rglob("*"))
        if one.is_file()
        and one.suffix != ".html"
        and one.name not in (*_SERVED_ONLY, "hear.js", "sw.js")
    }
    content["static/api.js"] = (STATIC / "browser" / "hear.js").read_bytes()
    content["static/plotly.js"] = plotly_js().read_bytes()
    content["static/model.onnx"] = graph.SerializeToString(deterministic=True)
    model_json = hearing(card, sha256=hashlib.sha256(data).hexdigest())
    content["static/model.json"] = files.json_line(model_json).encode()
    content["index.html"] = index_html(whole_html("index.html")).encode()
    notice = _NOTICE.format(
        name=card.name, licence=card.licence, source=card.source, version=VERSION
    )
    content["NOTICE.txt"] = notice.encode()
    worker = _service_worker(content)
    for name, body in content.items():
        files.write_bytes(folder / name, body)
    # last: browsers that know the page ask for this file, and fetch the others when it has changed
    files.write_bytes(folder / "sw.js", worker)
    sizes = [*map(len, content.values()), len(worker)]
    return WrittenPage(folder, card.name, len(sizes), sum(sizes))


def index_html(served: str) -> str:
    """The HTML of the page, from that of the served one."""
    html = re.sub(r"<!-- server -->.*?<!-- /server -->", "", served, flags=re.DOTALL)
    html = re.sub(r"<!-- page (.*?) /page -->", r"\1", html, flags=re.DOTALL)
    charset = '<meta charset="utf-8">\n'
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    referrer = '<meta name="referrer" content="no-referrer">\n'
    assert html.count(charset) == 1
    return html.replace(charset, charset + policy + referrer)


def hearing(card: Card, *, sha256: str) -> Json:
    """What the browser's worker knows of a model: its card, and the rules that Python goes by."""
    return {
        "model": cards.as_json(card, sha256=sha256, runtime=f"onnxruntime-web {VERSION}"),
        "rules": {
            "moments": MOMENTS_PER_WINDOW,
            "pooling": card.pooling,
            "calibration": card.calibration and dataclasses.asdict(card.calibration),
            "priors": card.priors,
            "compared": card.reliability is not None or card.calibration is not None,
            "shrinkage": ranking.SHRINKAGE,
            "sure": SURE,
            "genres": {
                "general": ranking.GENERAL,
                "vague": ranking.VAGUE,
                "near": ranking.NEAR,
            },
            "sounds": [word.tag for word in SOUNDS],
            "margin": signal_check.MARGIN,
            "level": {
                "silent": signal_check.SILENT,
                "nothing": signal_check.NOTHING,
                "steady": signal_check.STEADY,
                "least_seconds": signal_check.LEAST_SECONDS,
                "too_large": signal_check.TOO_LARGE,
            },
            "doubts": {name: one.as_json() for name, one in signal_check.DOUBTS.items()},
            "shown": signal_check.SHOWN,
            "price": chapters.PRICE,
        },
        "mel": _mel(card.features),
    }


def _mel(settings: LogMel) -> Json:
    """The front end of the picture; the network's own is in its graph."""
    filters = []
    for row in mel_filters(settings):
        used = np.flatnonzero(row)
        first, end = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        filters.append([first, _numbers(row[first:end])])
    return {
        "n_fft": settings.n_fft,
        "hop": settings.hop,
        "pre_emphasis": settings.pre_emphasis,
        "padding": settings.padding,
        "window": _numbers(hann(settings)),
        "filters": filters,
        "hz": [round(hz) for hz in drawing.centres(settings)],
        "floor": settings.floor,
        "amin": settings.amin,
        "decibels": settings.decibels,
        "offset": settings.offset,
        "top_db": settings.top_db,
    }


def _numbers(values: np.ndarray) -> list[float]:
    return [float(f"{value:.9g}") for value in values]


def _service_worker(content: dict[str, bytes]) -> bytes:
    """The service worker, which has the version of all these files, and their names, before it."""
    version = hashlib.sha256()
    code = (STATIC / "browser" / "sw.js").read_bytes()
    for name, body in {**content, "sw.js": code}.items():
        version.update(f"{name} {hashlib.sha256(body).hexdigest()}\n".encode())
    names = json.dumps(["./", *content])
    head = f'const VERSION = "{version.hexdigest()[:16]}";\nconst FILES = {names};\n\n'
    return head.encode() + code
