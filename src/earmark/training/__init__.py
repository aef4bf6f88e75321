"""Training a tagger on a store, and exporting it as a model file. Only this package imports torch.

    >>> from earmark.training import export_run, read_recipe, train
    >>> train(read_recipe("choi2016"), "store", "run")
    >>> export_run("run", "mine.onnx")

The names below are the public ones; torch is loaded with the first of them that needs it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from earmark.errors import MissingExtra
from earmark.lazy_names import lazy_names

for _library in ("torch", "pydantic"):
    if find_spec(_library) is None:
        raise MissingExtra(_library, "train")

if TYPE_CHECKING:
    from earmark.training.export.exporter import Terms, export_run
    from earmark.training.export.from_graph import from_model_file
    from earmark.training.loop import Result, train
    from earmark.training.model import CRNN, CrnnSettings
    from earmark.training.probe import linear_probe
    from earmark.training.recipe import Recipe, read_recipe
    from earmark.training.songs import n_songs
    from earmark.training.start import published_network
    from earmark.training.sweeps import Setting, SweptRun, read_setting, sweep

_HOME = {
    "CRNN": "model",
    "CrnnSettings": "model",
    "Recipe": "recipe",
    "Result": "loop",
    "Setting": "sweeps",
    "SweptRun": "sweeps",
    "Terms": "export.exporter",
    "export_run": "export.exporter",
    "from_model_file": "export.from_graph",
    "linear_probe": "probe",
    "n_songs": "songs",
    "published_network": "start",
    "read_recipe": "recipe",
    "read_setting": "sweeps",
    "sweep": "sweeps",
    "train": "loop",
}

__all__ = [
    "CRNN",
    "CrnnSettings",
    "Recipe",
    "Result",
    "Setting",
    "SweptRun",
    "Terms",
    "export_run",
    "from_model_file",
    "linear_probe",
    "n_songs",
    "published_network",
    "read_recipe",
    "read_setting",
    "sweep",
    "train",
]

if not TYPE_CHECKING:  # so that mypy refuses names that are not there
    __getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
