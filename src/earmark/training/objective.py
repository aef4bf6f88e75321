"""The loss of a step, as the recipe names it: which error, and how much each tag counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from earmark.errors import BadRecipe
from earmark.training.own_code import find_function
from earmark.training.recipe import Loss

LossOf = Callable[[Tensor, Tensor], Tensor]  # logits and labels (batch, n_tags) to a scalar

_LARGEST_WEIGHT = 100.0  # of a positive: a tag of two songs must not outweigh all others


def make_loss(
    settings: Loss, *, tags: Sequence[str], priors: Sequence[float], device: torch.device
) -> LossOf:
    """The loss that a recipe asks for.

    priors : the share of training songs with each tag, for balanced weights

    Raises BadRecipe for weights of tags that are not learned, and for an own loss of a wrong shape.
    """
    unknown = sorted(settings.weights.keys() - set(tags))
    if unknown:
        raise BadRecipe(
            f"loss.weights names tags that are not learned: {', '.join(unknown)}. Choose from "
            f"{', '.join(tags[:10])}{', ...' if len(tags) > 10 else ''}"
        )
    weight = positive = None
    if settings.weights:
        values = torch.tensor([settings.weights.get(tag, 1.0) for tag in tags])
        # the mean stays 1, so that the learning rate means what it meant
        weight = (values / values.mean()).to(device)
    if settings.positives != "equal":
        shares = torch.tensor(priors, dtype=torch.float32)
        ratio = (1 - shares) / shares
        if settings.positives == "root":
            ratio = ratio.sqrt()
        positive = ratio.clamp_max(_LARGEST_WEIGHT).to(device)
    if settings.name == "bce":
        return lambda logits, labels: F.binary_cross_entropy_with_logits(
            logits, labels, weight=weight, pos_weight=positive
        )
    of_each = _focal(settings.gamma) if settings.name == "focal" else _own(settings.name)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        values = of_each(logits, labels)  # (batch, n_tags)
        if positive is not None:
            values = values * (1 + labels * (positive - 1))
        if weight is not None:
            values = values * weight
        return values.mean()

    return loss


def _focal(gamma: float) -> LossOf:
    """Cross entropy, less of it where the score is right already (arXiv:1708.02002)."""

    def of_each(logits: Tensor, labels: Tensor) -> Tensor:
        error = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        wrong = (torch.sigmoid(logits) - labels).abs()
        return wrong**gamma * error

    return of_each


def _own(path: str) -> LossOf:
    function = find_function(path, key="loss.name")

    def of_each(logits: Tensor, labels: Tensor) -> Tensor:
        values = function(logits, labels)
        if not isinstance(values, Tensor) or values.shape != logits.shape:
            given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise BadRecipe(
                f"loss.name is {path!r}, which returns {given} for logits of shape "
                f"{tuple(logits.shape)}. It must return the error of each logit, in their shape"
            )
        return values

    return of_each
