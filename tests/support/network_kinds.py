"""Networks of every kind, small, with norms and biases that are not those of a new one."""

from __future__ import annotations

import dataclasses

import torch
from tiny_recipe import tiny_recipe
from tiny_store import TAGS, TINY

from earmark.training.model import CRNN, CrnnSettings
from earmark.training.task import Task

TASK = Task(TAGS, TINY, (0.1, 0.2, 0.3, 0.4), (-30.0, 12.0))
KINDS = [
    {"recurrent": "gru"},
    {"recurrent": "classic-gru", "input_norm": "frame"},
    {"recurrent": "none", "summary": "flatten", "input_norm": "none"},
    {"recurrent": "none", "summary": "mean"},
    {"recurrent": "none", "summary": "max"},
    {"recurrent": "gru", "layers": 1, "kernel": 5, "pad": 0},
    {"recurrent": "gru", "beside": "max"},
    {"recurrent": "classic-gru", "beside": "mean"},
]


def name_of(kind) -> str:
    return "-".join(map(str, kind.values()))


def trained(**changes) -> CRNN:
    settings = CrnnSettings(widths=(6, 5), pools=((4, 2), (4, 2)), pad=3, units=4)
    recipe = tiny_recipe(model=dataclasses.asdict(dataclasses.replace(settings, **changes)))
    model = TASK.network(recipe)
    random = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=random), alpha=0.1)
            assert value.isfinite().all(), name
    return model.eval()


def clips(n: int, *, n_frames: int = 32, seed: int = 1) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return -30 + 12 * torch.randn(n, TINY.n_mels, n_frames, generator=random)
