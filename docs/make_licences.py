"""Writes docs/reference/licences.md: under which licence everything is that gets installed.

python docs/make_licences.py [FILE]

The licences are read in the packages; a test compares them with the metadata of what is installed,
and fails for a package that is missing here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "reference" / "licences.md"
APACHE, BSD2, BSD3, MIT = "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"
# extra that brings it first, in this order -> {package: SPDX expression}
LICENCES = {
    "core": {
        "annotated-doc": MIT, "annotated-types": MIT, "av": "BSD-3-Clause AND GPL-3.0-or-later",
        "certifi": "MPL-2.0", "charset-normalizer": MIT, "colorama": BSD3, "flatbuffers": APACHE,
        "idna": BSD3, "markdown-it-py": MIT, "mdurl": MIT,
        "numpy": "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", "onnxruntime": MIT,
        "packaging": "Apache-2.0 OR BSD-2-Clause", "platformdirs": MIT, "protobuf": BSD3,
        "pydantic": MIT, "pydantic-core": MIT, "pygments": BSD2, "requests": APACHE, "rich": MIT,
        "shellingham": "ISC", "soxr": "LGPL-2.1-or-later", "typer": MIT,
        "typing-extensions": "PSF-2.0", "typing-inspection": MIT, "urllib3": MIT,
    },
    "library": {"mutagen": "GPL-2.0-or-later"},
    "pictures": {
        "contourpy": BSD3, "cycler": BSD3, "fonttools": MIT, "kiwisolver": BSD3,
        "matplotlib": "PSF-2.0", "pillow": "MIT-CMU", "pyparsing": MIT, "python-dateutil": BSD3,
        "six": MIT, "tzdata": APACHE,
    },
    "models": {"h5py": BSD3, "ml-dtypes": APACHE, "onnx": APACHE},
    "openvino": {"openvino": APACHE, "openvino-telemetry": APACHE},
    "gpu": {"onnxruntime-gpu": MIT},
    "web": {
        "anyio": MIT, "click": BSD3, "fastapi": MIT, "h11": MIT, "narwhals": MIT,
        "opentelemetry-api": APACHE, "plotly": MIT,
        "prometheus-client": "Apache-2.0 AND BSD-2-Clause", "python-multipart": APACHE,
        "starlette": BSD3, "threadpoolctl": BSD3, "uvicorn": BSD3,
    },
    "data": {
        "aiolimiter": MIT, "crc32c": "LGPL-2.1-or-later", "httpcore2": BSD3, "httpx2": BSD3,
        "pyarrow": APACHE, "rapidfuzz": MIT, "stamina": MIT, "tenacity": APACHE,
        "truststore": MIT,
    },
    "remote": {
        "aiohappyeyeballs": "PSF-2.0", "aiohttp": "Apache-2.0 AND MIT", "aiosignal": APACHE,
        "attrs": MIT, "frozenlist": APACHE, "fsspec": BSD3, "multidict": APACHE,
        "propcache": APACHE, "yarl": APACHE,
    },
    "ray": {
        "filelock": MIT, "jsonschema": MIT, "jsonschema-specifications": MIT,
        "msgpack": APACHE, "pyyaml": MIT, "ray": APACHE, "referencing": MIT, "rpds-py": MIT,
    },
    "train": {
        "cloudpickle": BSD3, "jinja2": BSD3, "joblib": BSD3, "markupsafe": BSD3,
        "mpmath": BSD3, "networkx": BSD3, "scikit-learn": BSD3, "scipy": BSD3, "setuptools": MIT,
        "sympy": BSD3,
        "torch": "Apache-2.0 AND Apache-2.0 WITH LLVM-exception AND BSD-2-Clause AND "
        "BSD-3-Clause AND BSL-1.0 AND MIT",
    },
    "sweep": {
        "alembic": MIT, "colorlog": MIT, "greenlet": "MIT AND PSF-2.0", "mako": MIT,
        "optuna": MIT, "sqlalchemy": MIT, "tqdm": "MPL-2.0 AND MIT",
    },
    "tensorboard": {
        "absl-py": APACHE, "grpcio": APACHE, "markdown": BSD3, "tensorboard": APACHE,
        "tensorboard-data-server": APACHE, "werkzeug": BSD3,
    },
    "keras": {"keras": APACHE, "namex": APACHE, "optree": APACHE},
}  # fmt: skip
# what wheels hold besides their own code, where it asks something of who passes it on
HOLDS = {
    "av": "FFmpeg's libraries, x264 and x265 (both GPL-2.0-or-later), LAME, GnuTLS, GMP, Nettle, "
    "ALSA's library (LGPL), and others with permissive licences. FFmpeg itself says LGPL-3.0-or-"
    "later, as it is configured without `--enable-gpl`; but it is linked to x264 and x265, so "
    "treat the whole as GPL-3.0-or-later",
    "soxr": "libsoxr, LGPL-2.1-or-later as well, linked into one file",
    "crc32c": "code of Google's crc32c, BSD-3-Clause",
    "mutagen": "nothing: it is GPL-2.0-or-later itself",
    "certifi": "Mozilla's list of authorities, MPL-2.0: changes to the file stay under it",
    "tqdm": "parts under MPL-2.0",
    "numpy": "libgfortran and libquadmath, whose exception for runtime libraries asks nothing",
    "onnxruntime-gpu": "nothing; the extra brings NVIDIA's CUDA and cuDNN, which are proprietary",
    "torch": "on Linux, the registry's default build brings NVIDIA's CUDA libraries, which are "
    "proprietary; the CPU build does not",
}
HEAD = """# Licences of what is installed
This page is made by a script (`make docs`), and a test compares it with what is installed. It is no
legal advice.

earmark is MIT. The shipped model is earmark's own, MIT as well; the texts for the weights that it
descends from and for the class names of AudioSet are in
[LICENSES](https://github.com/earmark-music/earmark/blob/main/LICENSES), and in every
wheel. `earmark models info NAME` says the licence of each model. earmark's wheel holds no library
of others: what follows is fetched by your installer.

## What follows from it
**Who only runs earmark**, alone, in a company or as a service, owes nothing: none of these licences
limits running, and none is the AGPL.

**Who passes it on with its libraries** (a container image, an installer, an appliance) passes on
GPL and LGPL code too:

- `av` is in the core. Its wheel is best treated as GPL-3.0-or-later: pass on its licence texts, and
  the source of FFmpeg, x264 and x265 or a written offer of it. MIT goes together with that, a
  proprietary program in the same work does not.
- `soxr` (core) and `crc32c` (extra `data`) are LGPL-2.1-or-later: pass on their texts and sources,
  and let users replace them. They are files of their own in site-packages, so that they can.
- `mutagen` (extra `library`) is GPL-2.0-or-later. Only `earmark.library` imports it; leave the
  extra out where that does not fit.

**Who passes on earmark alone** (a wheel, a distribution's package that names its dependencies, a
fork) has the MIT licence to keep, and nothing else.

**For us**: a library that is copyleft comes as an extra where there is another way, and the code of
the GPL is never copied here. A hard dependency has a permissive licence; `soxr` and what `av` holds
are the two exceptions, as nothing else decodes and resamples as well.

## Without the GPL in av
The wheel cannot be cut down: without x264, x265, SVT-AV1, dav1d or libvpx `import av` fails, as
FFmpeg's libraries are linked to each (tried with av 18). earmark only decodes audio, and needs none
of them: build av against an FFmpeg of your own that is configured without `--enable-libx264
--enable-libx265`,

    PKG_CONFIG_PATH=/opt/ffmpeg/lib/pkgconfig pip install --no-binary av av

or take one from a distribution that has an LGPL build. That is LGPL, as soxr is. The tests here run
with the wheel, and not with such a build.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield HEAD
    yield "## What wheels hold besides their own code\n| package | holds |\n|---|---|"
    for name, words in HOLDS.items():
        yield f"| {name} | {words} |"
    yield (
        "\n## Every package\nEach stands at the first extra that brings it; extras that bring "
        "others' packages only are left out. Some come on one system alone.\n"
    )
    yield "| extra | package | licence (SPDX) |\n|---|---|---|"
    for extra, packages in LICENCES.items():
        for name, licence in packages.items():
            yield f"| {extra} | {name} | {licence} |"
    yield (
        "\nWho works on earmark also has tools under other licences, such as hypothesis (MPL-2.0) "
        "and pyte (LGPL-3.0), and the benchmarks may install essentia (AGPL-3.0-only, "
        "`benchmarks/peers.txt`). No user gets them.\n"
    )


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
