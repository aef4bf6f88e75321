"""Code of the user's own that a recipe names: a function by its dotted path."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from earmark.errors import BadRecipe


def find_function(path: str, *, key: str) -> Callable[..., Any]:
    """The function at "module.function"; the current folder is looked into, too.

    key : of the recipe, for messages

    Raises BadRecipe for a path that leads to no function, and for a module that cannot be imported.
    """
    module_name, dot, name = path.rpartition(".")
    if not dot:
        raise BadRecipe(
            f"{key} is {path!r}, which is no dotted path. Write module.function, as in "
            "networks.short_chunk for the function short_chunk in networks.py"
        )
    here = str(Path.cwd())
    if here not in sys.path:  # `python -m` has it there, the command `earmark` has not
        sys.path.append(here)
    try:
        function = getattr(import_module(module_name), name)
    except ImportError as error:
        raise BadRecipe(
            f"{key} is {path!r}, but {module_name} cannot be imported ({error}). Start earmark in "
            "the folder of that file, or install the package"
        ) from error
    except AttributeError as error:
        raise BadRecipe(
            f"{key} is {path!r}, but {module_name} has no {name}. Correct the name"
        ) from error
    if not callable(function):
        raise BadRecipe(f"{key} is {path!r}, which is not a function. Name one")
    return function  # type: ignore[no-any-return]
