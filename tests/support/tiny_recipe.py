"""A recipe that fits the clips of tiny_store, and learns from them in a second."""

from __future__ import annotations

from typing import Any

from earmark.training.recipe import Recipe, make_recipe

MODEL = {
    "pad": 0,
    "widths": [8, 8],
    "pools": [[4, 2], [4, 2]],
    "units": 8,
    "layers": 2,
}
MODEL_TOML = "[model]\n" + "".join(f"{key} = {value}\n" for key, value in MODEL.items())


def tiny_recipe(**parts: Any) -> Recipe:
    """The recipe with these keys changed: a part by a dict, or a top-level key by a value."""
    values: dict[str, Any] = {
        "name": "tiny",
        "model": MODEL,
        "loop": {"epochs": 3, "batch": 8, "precision": "f32", "checkpoint_minutes": 0},
        "optimiser": {"rate": 0.01},
    }
    for key, value in parts.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return make_recipe(values, source="test")
