"""Coverage-guided fuzzing of what reads other people's bytes: python -m benchmarks.fuzzing.

    pip install atheris                      # libFuzzer for Python; Linux and macOS
    python -m benchmarks.fuzzing tags --seconds 600 --corpus FOLDER

Inputs that reach new lines of earmark or mutagen are kept in the corpus and changed further. A
reader gives a value or one of earmark's errors; anything else ends the run with exit code 77, with
the input in a file crash-... . In tests/*/test_fuzzed.py readers get inputs without guidance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

KINDS = {
    ".mp3": "libmp3lame", ".flac": "flac", ".m4a": "aac", ".opus": "libopus", ".wav": "pcm_s16le",
    ".aiff": "pcm_s16be", ".wma": "wmav2", ".wv": "wavpack",
}  # fmt: skip
Reader = Callable[[bytes], object]


def tags(folder: Path) -> tuple[list[bytes], Reader]:
    """Reads, writes and reads again; the first byte chooses the suffix."""
    from audio_files import tone, write_audio

    from earmark.library.writing.tag_file import read_names, write_fields

    wholes = []
    for number, (suffix, codec) in enumerate(KINDS.items()):
        rate, path = 48_000 if suffix == ".opus" else 44_100, folder / f"whole{suffix}"
        samples = tone(300, seconds=0.05, rate=rate)
        write_audio(path, samples, codec=codec, rate=rate, bit_rate=64_000)
        write_fields(path, {"genre": ("Rock", "Pop"), "artist": ("Air",), "OWN": ("0.5",)})
        wholes.append(bytes([number]) + path.read_bytes())
    paths = [folder / f"fuzzed{suffix}" for suffix in KINDS]

    def read(data: bytes) -> None:
        path = paths[data[0] % len(paths)]
        path.write_bytes(data[1:])
        read_names(path)
        write_fields(path, {"genre": ("Jazz",)})
        read_names(path)

    return wholes, read


def expressions(_: Path) -> tuple[list[bytes], Reader]:
    """The words of playlists."""
    import numpy as np

    from earmark.library.playlists.expression import parse
    from earmark.library.settings import read_settings

    names, rules = ("rock", "hip hop", "not", "80s"), read_settings()
    scores = np.random.default_rng(0).random((3, len(names)), dtype=np.float32)

    def read(data: bytes) -> None:
        parse(data.decode(errors="surrogateescape"), tags=names, settings=rules)(scores)

    return [b'rock and not ("hip hop", 80s > .5) or "not" <= 1'], read


def settings(folder: Path) -> tuple[list[bytes], Reader]:
    """The settings of a library, in TOML."""
    from earmark.library.settings import default_text, read_settings

    def read(data: bytes) -> None:
        (folder / "settings.toml").write_bytes(data)
        read_settings(folder / "settings.toml")

    return [default_text().encode()], read


def cards(_: Path) -> tuple[list[bytes], Reader]:
    """The card in a model file's metadata."""
    from earmark.model_file import Card, read_card
    from earmark.zoo import SHIPPED, model_path

    def read(data: bytes) -> None:
        Card.from_json(data.decode(errors="replace"))

    return [read_card(model_path(SHIPPED)).to_json().encode()], read


READERS = {reader.__name__: reader for reader in (tags, expressions, settings, cards)}


def main() -> None:
    """Fuzz one reader; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, help="kept between runs; by default a new folder")
    options = parser.parse_args()
    import atheris

    from earmark.errors import EarmarkError

    work = Path(tempfile.mkdtemp())
    with atheris.instrument_imports(include=["earmark", "mutagen"], enable_loader_override=False):
        wholes, read = READERS[options.reader](work)
    corpus = options.corpus or work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, whole in enumerate(wholes):
        (corpus / f"whole{number}").write_bytes(whole)

    def one(data: bytes) -> None:
        if data:
            with suppress(EarmarkError):
                read(data)

    atheris.Setup(
        [
            sys.argv[0], str(corpus), f"-max_total_time={options.seconds}", "-max_len=8000",
            "-rss_limit_mb=2000", "-timeout=20", f"-artifact_prefix={corpus.parent}/",
        ],
        one,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
