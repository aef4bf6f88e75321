"""Learning with PyTorch: one step, and all that a step changes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from earmark.arrays import AnyArray
from earmark.training.batches import Batches
from earmark.training.checkpoint import Arrays
from earmark.training.objective import make_loss
from earmark.training.processes import Processes, join_processes
from earmark.training.recipe import Optimiser, Recipe
from earmark.training.task import Task

_NAMES = {torch.bfloat16: "bf16", torch.float16: "f16"}
_START, _END = 1 / 25, 1e-5  # of the highest rate, where one cycle begins and ends


class Learner:
    """A network, its optimiser, the moving average of its weights, and how many steps it took.

    The Backend of PyTorch (training/backend.py).

    task : what the network predicts
    n_steps : of the whole run, for the schedule
    new : names of the parameters that learn at the full rate; None for all
    """

    framework: ClassVar[Mapping[str, str]] = {"name": "torch"}

    @staticmethod
    def join(recipe: Recipe) -> AbstractContextManager[Processes]:
        """Join the processes that torchrun has started, or be the only one."""
        return join_processes(batch=recipe.loop.batch)

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        task: Task,
        processes: Processes,
        n_steps: int,
        new: frozenset[str] | None = None,
    ) -> None:
        self.model: nn.Module = model.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.model).eval() if recipe.loop.average else None
        self.steps_done = 0
        self._recipe, self._n_steps, self._device = recipe, n_steps, processes.device
        self._dtype = precision(recipe.loop.precision, processes.device)
        self._optimiser = _optimiser(self.model, recipe.optimiser, new)
        self._loss = make_loss(
            recipe.loss, tags=task.tags, priors=task.priors, device=processes.device
        )
        # gradients of float16 vanish below 6e-8, so the loss is made larger first
        self._scaler = torch.amp.GradScaler(
            processes.device.type, enabled=self._dtype is torch.float16
        )
        network: nn.Module = self.model
        if recipe.loop.compile:
            network = torch.compile(network)  # type: ignore[assignment]
        if processes.count > 1:
            network = nn.parallel.DistributedDataParallel(network)
        self._network = network

    @property
    def device_name(self) -> str:
        """Where the steps are computed, as in "on the GPU"."""
        return f"on the {'processor' if self._device.type == 'cpu' else 'GPU'}"

    @property
    def precision(self) -> str:
        """What the convolutions multiply in: "bf16", "f16" or "f32"."""
        return "f32" if self._dtype is None else _NAMES[self._dtype]

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_at(self.steps_done, self._n_steps, self._recipe.optimiser)

    def learn(self, batches: Batches, *, after_step: Callable[[Tensor], bool]) -> bool:
        """Learn from the batches; returns whether from all of them.

        after_step : called with the loss of each step; its True ends the learning
        """
        with closing(batches.read()) as reading:
            return not any(after_step(self.step(clips, labels)) for clips, labels in reading)

    def step(self, clips: Tensor, labels: Tensor) -> Tensor:
        """Learn from one batch; returns its loss, before the step, still on the device.

        clips : float32 (batch, n_mels, n_frames), dB; labels : float32 (batch, n_tags), 0 to 1
        """
        for group in self._optimiser.param_groups:
            group["lr"] = self.rate * group["share"]
        self._network.train()
        parts = self._recipe.loop.accumulate
        both = zip(clips.chunk(parts), labels.chunk(parts), strict=True)
        total = torch.zeros((), device=self._device)
        for number, (some, of_some) in enumerate(both, 1):
            with self._sharing(number == parts):
                loss = self._loss_of(some, of_some) * (len(some) / len(clips))
                self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        if self._recipe.optimiser.clip:
            self._scaler.unscale_(self._optimiser)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.optimiser.clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad(set_to_none=True)
        self.steps_done += 1
        if self.averaged is not None:
            self._average(self.averaged)
        return total

    def _loss_of(self, clips: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
            logits = self._network(clips)
        return self._loss(logits.float(), labels)

    def _sharing(self, share: bool) -> AbstractContextManager[None]:
        """Whether the processes add up their gradients: once a step, after the last part."""
        if share or not isinstance(self._network, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self._network.no_sync()

    def predict(self, clips: Tensor) -> Tensor:
        """Logits (batch, n_tags) of clips, by the weights to keep, in float32 arithmetic."""
        with torch.inference_mode():
            return self._kept.eval()(clips)  # type: ignore[no-any-return]

    def weights(self) -> Arrays:
        """The weights to keep, by name: the average where there is one."""
        return {f"model.{name}": _numpy(value) for name, value in _state(self._kept)}

    def arrays(self) -> Arrays:
        """All that a step changes, by name."""
        arrays = {f"model.{name}": _numpy(value) for name, value in _state(self.model)}
        if self.averaged is not None:
            arrays |= {f"average.{name}": _numpy(value) for name, value in _state(self.averaged)}
        for name, parameter in self.model.named_parameters():
            for key, value in self._optimiser.state[parameter].items():
                arrays[f"optimiser.{key}.{name}"] = _numpy(value)
        for key, number in self._scaler.state_dict().items():
            arrays[f"scaler.{key}"] = np.array(number, dtype=np.float64)
        return arrays

    def load(self, arrays: Arrays, *, steps_done: int) -> None:
        """Go back to what `arrays` gave after so many steps."""
        _restore(self.model, arrays, "model.")
        if self.averaged is not None:
            _restore(self.averaged, arrays, "average.")
        for name, parameter in self.model.named_parameters():
            state = self._optimiser.state[parameter]
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = torch.from_numpy(arrays[f"optimiser.{key}.{name}"].copy())
                # as the optimiser keeps them: moments laid out in memory like their parameter
                state[key] = torch.empty_like(parameter).copy_(value) if value.ndim else value
                state[key] = state[key].to(parameter.device)
        if self._scaler.is_enabled():
            scaler = self._scaler.state_dict()
            kept = {key: type(now)(arrays[f"scaler.{key}"]) for key, now in scaler.items()}
            self._scaler.load_state_dict(kept)
        self.steps_done = steps_done

    def write_network(self, folder: Path, *, best: bool) -> None:
        """Write nothing: PyTorch's own files are pickles, and the checkpoint holds all."""

    @property
    def _kept(self) -> nn.Module:
        return self.averaged if self.averaged is not None else self.model

    def _average(self, averaged: nn.Module) -> None:
        keep = kept_share(self._recipe.loop.average, self.steps_done)
        with torch.no_grad():
            for (_, mean), (_, value) in zip(_state(averaged), _state(self.model), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - keep)
                else:
                    mean.copy_(value)


def rate_at(step: int, n_steps: int, settings: Optimiser) -> float:
    """The learning rate of a step, from 0 to n_steps - 1."""
    if settings.schedule == "constant":
        return settings.rate
    rising = settings.warmup * n_steps
    if step < rising:
        first, last, part = settings.rate * _START, settings.rate, step / rising
    else:
        first, last = settings.rate, settings.rate * _END
        part = (step - rising) / max(1.0, n_steps - 1 - rising)
    return last + (first - last) * (1 + math.cos(math.pi * min(part, 1.0))) / 2


def kept_share(average: float, steps_done: int) -> float:
    """What the moving average keeps of itself at a step.

    An average of few steps forgets faster, or it would hold on to the first weights.
    """
    return min(average, (1 + steps_done) / (10 + steps_done))


def precision(setting: str, device: torch.device) -> torch.dtype | None:
    """float16 for "f16", bfloat16 for "bf16", and for "auto" on hardware that multiplies it fast.

    None is float32.
    """
    if setting == "f16":
        return torch.float16
    fast = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if device.type == "cuda"
        else any(present for name, present in _capabilities().items() if "bf16" in name)
    )
    return torch.bfloat16 if setting == "bf16" or (setting == "auto" and fast) else None


def load_weights(model: nn.Module, arrays: Arrays) -> None:
    """Give a network the weights of a checkpoint, as `Learner.weights` names them."""
    _restore(model, arrays, "model.")


def _capabilities() -> dict[str, bool]:
    capabilities = getattr(torch.cpu, "get_capabilities", dict)  # torch 2.9 and later
    return dict(capabilities())


def _optimiser(
    model: nn.Module, settings: Optimiser, new: frozenset[str] | None
) -> torch.optim.Optimizer:
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (parameter.ndim > 1, new is None or name in new)
        groups.setdefault(key, []).append(parameter)
    options = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "share": 1.0 if full else settings.body_rate,
        }
        for (decays, full), parameters in groups.items()
    ]
    if settings.name == "adam":
        return torch.optim.Adam(
            [option | {"weight_decay": 0.0} for option in options], settings.rate, fused=True
        )
    return torch.optim.AdamW(options, settings.rate, fused=True)


def _state(module: nn.Module) -> list[tuple[str, Tensor]]:
    return list(module.state_dict().items())


def _numpy(value: Tensor) -> AnyArray:
    return value.detach().cpu().contiguous().numpy()


def _restore(module: nn.Module, arrays: Arrays, prefix: str) -> None:
    module.load_state_dict(
        {
            name.removeprefix(prefix): torch.from_numpy(array)
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
    )
