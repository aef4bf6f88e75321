"""The public names of the package: lazy, typed, and every class that they return is among them."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
import types
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import earmark
from earmark import arrays
from earmark.audio.given import AudioSource
from earmark.errors import BadValue

ROOT = Path(__file__).parents[1]
CLIENT = """
from pathlib import Path

import earmark

tagger: earmark.Tagger = earmark.Tagger.load(Path("model.onnx"), threads=1)
heard: earmark.Tags = tagger.tag("song.mp3", options=earmark.Options(rank="lift", center=True))
best: earmark.Tag = heard.tags[0]
name: str = best.name
score: float = heard["jazz"].score
names: list[str] = [tag.name for tag in heard]
for result in tagger.tag_files([Path("a.mp3"), "b.mp3"], workers=2):
    if isinstance(result, earmark.Failure):
        kind: str = result.error.kind
audio: earmark.Audio = earmark.load_audio(Path("song.mp3"), rate=12_000)
mels = earmark.log_mel(audio.samples, settings=tagger.card.features)
gram: earmark.Taggram = earmark.taggram(tagger, audio.samples, rate=audio.rate)
path: Path = earmark.pull("choi2016")
again: earmark.Tags = earmark.tag(Path("song.mp3"), model=path)
card: earmark.Card = tagger.card
"""
MISTAKES = {
    "earmark.nothing": 'has no attribute "nothing"',
    "earmark.tag(3)": 'incompatible type "int"',
    "earmark.Tagger.load(3)": 'incompatible type "int"',
    'earmark.Options(rank="best")': "incompatible type \"Literal['best']\"",
    "heard.tags[0].nothing": 'has no attribute "nothing"',
}


def public():
    return {name: getattr(earmark, name) for name in earmark.__all__}


def hints(function):
    """The types of a function's parameters and result, the parameters' under their names."""
    aliases = vars(arrays) | {"AudioSource": AudioSource}
    return get_type_hints(function, localns=vars(earmark) | aliases | public())


def classes_in(hint):
    """The classes of earmark in a type such as `Iterator[Tags | Failure]`."""
    found = {hint} if inspect.isclass(hint) and hint.__module__.startswith("earmark") else set()
    for part in get_args(hint):
        found |= classes_in(part)
    return found


def functions_of(value):
    """A function itself; the public methods and properties of a class."""
    if inspect.isfunction(value):
        yield value
    elif inspect.isclass(value):
        for name, member in vars(value).items():
            if not name.startswith("_") or name in ("__getitem__", "__iter__"):
                member = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if inspect.isfunction(member):
                    yield member


def returned_classes():
    for value in public().values():
        for function in functions_of(value):
            yield from classes_in(hints(function)["return"])
        if inspect.isclass(value) and hasattr(value, "__dataclass_fields__"):
            for hint in get_type_hints(value, localns=public() | vars(arrays)).values():
                yield from classes_in(hint)


def taken_classes():
    for value in public().values():
        for function in functions_of(value):
            for name, hint in hints(function).items():
                if name != "return":
                    yield from classes_in(hint)


def test_what_is_exported_is_what_the_functions_return_and_take():
    exported = {value for value in public().values() if inspect.isclass(value)}
    returned = set(returned_classes())
    assert returned <= exported
    assert exported <= returned | set(taken_classes())


def test_every_public_name_has_a_docstring_of_its_own():
    for name, value in public().items():
        assert value.__doc__, name
        for function in functions_of(value):
            assert function.__doc__, f"{name}.{function.__name__}"


def test_names_are_listed_before_they_are_loaded():
    code = (
        "import sys, earmark\n"
        "assert {*earmark.__all__, '__version__'} == set(dir(earmark))\n"
        "assert not {'numpy', 'av', 'onnxruntime'} & set(sys.modules)\n"
        "from earmark import *\n"
        "assert Tags.__name__ == 'Tags' and callable(taggram) and callable(tag)\n"
        "import earmark.taggrams, earmark.tagger, earmark.tags\n"
        "assert callable(earmark.taggram) and callable(earmark.tag)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_no_module_takes_the_place_of_a_public_name():
    for name, value in public().items():
        if not isinstance(value, types.ModuleType):
            assert importlib.util.find_spec(f"earmark.{name}") is None, name


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="module 'earmark' has no attribute 'nothing'"):
        earmark.nothing  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(earmark, "nothing")


def test_tags_are_found_by_name_and_run_through_in_order():
    tags = tuple(
        earmark.Tag(name, score, 1.0, 0.0, "genre", None)
        for name, score in (("jazz", 0.9), ("Hip-Hop", 0.1))
    )
    heard = earmark.Tags(None, 1.0, "tiny", tags)
    assert heard["jazz"] is tags[0]
    assert heard["hip-hop"].name == heard["hip-hop"].tag == "Hip-Hop"
    assert list(heard) == list(tags)
    assert [tag["tag"] for tag in heard.as_json()["tags"]] == ["jazz", "Hip-Hop"]
    with pytest.raises(BadValue, match="no tag 'rock'; the tags are: jazz, Hip-Hop"):
        heard["rock"]


@pytest.mark.slow
def test_mypy_accepts_a_client_and_refuses_its_mistakes(tmp_path):
    client = tmp_path / "client.py"
    client.write_text(CLIENT + "".join(f"{line}\n" for line in MISTAKES))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", client],
        cwd=ROOT, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    first = CLIENT.count("\n") + 1
    for number, (mistake, message) in enumerate(MISTAKES.items(), first):
        of_line = [line for line in lines if f"client.py:{number}:" in line]
        assert any(message in line for line in of_line), f"{mistake}\n{done.stdout}{done.stderr}"
    assert {line.split(":")[1] for line in lines if "client.py" in line and "error" in line} == {
        str(first + n) for n in range(len(MISTAKES))
    }, done.stdout
