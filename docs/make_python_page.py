"""Writes docs/reference/python.md: the public names of the package, from their docstrings.

python docs/make_python_page.py [FILE]
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import earmark
from earmark import errors

PAGE = Path(__file__).parent / "reference" / "python.md"
WIDTH = 88  # of a signature, in characters
# (heading, names); a test holds that every public name stands here
SECTIONS = (
    ("Tags of music", ("tag", "Tagger", "Options", "Tags", "Tag", "Doubt", "Embedding", "Failure")),
    ("Behind the tags", ("Listening", "Taggram", "taggram")),
    ("Models", ("pull", "Card", "Calibration")),
    ("Audio and features", ("load_audio", "Audio", "CutShort", "Address", "log_mel", "LogMel")),
    ("Errors", ("EarmarkError", "errors")),
)
HEAD = """# The Python API

```python
import earmark

tagger = earmark.Tagger.load()
heard = tagger.tag("song.mp3")
print(heard.tags[0].name, heard["jazz"].score)
```

This page is made from the docstrings (`make docs`). Importing `earmark` loads no heavy library;
each name loads what it needs when it is first used. A longer example is
[examples/tag_from_python.py](https://github.com/earmark-music/earmark/blob/main/examples/tag_from_python.py).

**Many files.** `tagger.tag_files(paths)` and `tagger.embed_files(paths)` use all cores, give one
result a file in order, and a `Failure` for a file that cannot be heard. A script that calls them
needs `if __name__ == "__main__":`, as each worker imports it again.

**Your own processes.** A tagger can be handed to multiprocessing, joblib, Dask and Ray: it travels
as the path of its model file, which must be there on every machine, and each process loads it once.
Load it with `threads=1` for that.

**The log.** `logging.getLogger("earmark")` has, at DEBUG, each model that is loaded and each file
of `tag_files`; at INFO each file that fails and each download. Nothing is printed unless you set
logging up.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for heading, names in SECTIONS:
        parts.append(f"## {heading}\n")
        for name in names:
            parts += _name(name, getattr(earmark, name))
    return "\n".join(parts).rstrip() + "\n"


def _name(name: str, value: Any) -> Iterator[str]:
    if inspect.ismodule(value):
        yield f"### earmark.{name}\n"
        yield from _error_tree()
    elif inspect.isclass(value):
        yield f"### earmark.{name}\n"
        if dataclasses.is_dataclass(value):
            yield _code(_signature(name, inspect.signature(value), returns=False))
        yield _text(value)
        for member, method in vars(value).items():
            if not member.startswith("_") or member == "__getitem__":
                yield from _member(name, member, method)
    else:
        yield f"### earmark.{name}\n"
        yield _code(_signature(name, inspect.signature(value)))
        yield _text(value)


def _member(owner: str, name: str, value: Any) -> Iterator[str]:
    """A method or a property of a class; nothing for a field."""
    if isinstance(value, property):
        assert value.fget is not None
        yield f"#### {owner}.{name}\n"
        yield _code(f"{name}: {inspect.signature(value.fget).return_annotation}")
        yield _text(value.fget)
    elif isinstance(value, classmethod | staticmethod) or inspect.isfunction(value):
        function: Any = getattr(value, "__func__", value)
        signature = inspect.signature(function)
        if not isinstance(value, staticmethod):
            signature = signature.replace(parameters=list(signature.parameters.values())[1:])
        yield f"#### {owner}.{name.strip('_')}\n" if name[0] != "_" else f"#### {owner}[...]\n"
        yield _code(_signature(name, signature))
        yield _text(function)


def _signature(name: str, signature: inspect.Signature, *, returns: bool = True) -> str:
    """A call as a reader types it, on one line or with a parameter a line."""
    words, starred = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        word = parameter.name
        if parameter.annotation is not parameter.empty:
            word += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            word += f" = {_default(parameter.default)}"
        words.append(word)
    end = f" -> {signature.return_annotation}" if returns else ""
    line = f"{name}({', '.join(words)}){end}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"    {word},\n" for word in words)
    return f"{name}(\n{inner}){end}"


def _default(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return f"{type(value).__name__}()"
    if repr(value) == "<factory>":
        return "{}"
    return repr(value)


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _text(value: Any) -> str:
    """A docstring as Markdown: its "name : meaning" lines become a list."""
    lines: list[str] = []
    for line in (inspect.getdoc(value) or "").splitlines():
        entry = re.match(r"([a-z_]\w*(?:, \w+)*) : (.*)", line)
        if entry:
            if lines and lines[-1] and not lines[-1].startswith(("- ", "  ")):
                lines.append("")
            names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
            lines.append(f"- {names}: {entry[2]}")
        elif line.startswith("    ") and lines and lines[-1].startswith(("- ", "  ")):
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _error_tree() -> Iterator[str]:
    summary, _, tree = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")
    yield f"{summary}\n"
    yield f"```text\n{tree}\n```\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8", newline="\n")
