"""Linear probing: logistic regressions on what a network hears.

The output layer is fitted so before the rest of the network learns: a random one distorts the
pretrained layers while it catches up (Kumar et al. 2022, arXiv:2202.10054). `earmark probe`
measures so what a model's embeddings hold.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from earmark.arrays import BoolArray, Float32Array
from earmark.training.batches import in_order
from earmark.training.clips import Clips
from earmark.training.model import CRNN

_BATCH = 16
_MAX_STEPS = 200  # of L-BFGS, which needs about fifty


def fit_output(model: CRNN, clips: Clips, labels: Tensor, *, strength: float) -> None:
    """Fit the output layer by logistic regression, one a tag, on the features that reach it.

    model : on the device of the clips; it is left in evaluation mode
    clips : the training clips; labels : float32 (n_clips, n_tags), in [0, 1], on that device
    strength : inverse of the penalty on the weights of standardised features, scikit-learn's C
    """
    model.eval()
    with torch.inference_mode():
        places = in_order(len(labels), batch=_BATCH)
        parts = [model.embed(batch) for batch in clips.batches(places)]
    weight, bias = _fit_features(torch.cat(parts).double(), labels.double(), strength=strength)
    with torch.no_grad():
        model.output.weight.copy_(weight)
        model.output.bias.copy_(bias)


def linear_probe(
    features: Float32Array, labels: BoolArray, strength: float
) -> tuple[Float32Array, Float32Array]:
    """One logistic regression a tag on features as they are: weights and biases of their logits.

    features : float32 (n, n_features); labels : bool (n, n_tags); strength : as of fit_output
    returns : float32 (n_tags, n_features) and (n_tags,)
    """
    x, y = (torch.from_numpy(array).double() for array in (features, labels))
    weight, bias = _fit_features(x, y, strength=strength)
    return weight.float().numpy(), bias.float().numpy()


def _fit_features(x: Tensor, y: Tensor, *, strength: float) -> tuple[Tensor, Tensor]:
    """As `fit`, of features that are standardised for it; the result is for them as they are."""
    mean, deviation = x.mean(0), x.std(0).clamp_min(1e-6)
    weight, bias = fit((x - mean) / deviation, y, strength=strength)
    return weight / deviation, bias - (weight / deviation) @ mean


def fit(
    x: Tensor, y: Tensor, *, strength: float, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weights (n_tags, n_features) and biases (n_tags,) of one logistic regression a tag.

    x : (n, n_features), standardised; y : (n, n_tags), in [0, 1]; both float32 or float64
    weights : (n, n_tags), how much each label counts, 0 for one that nobody gave; None is 1
    """
    counts = torch.ones_like(y) if weights is None else weights
    prior = ((y * counts).sum(0) + 0.5) / (counts.sum(0) + 1)
    weight = x.new_zeros(y.shape[1], x.shape[1], requires_grad=True)
    bias = torch.logit(prior).requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=_MAX_STEPS, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        error = F.binary_cross_entropy_with_logits(
            x @ weight.T + bias, y, weight=weights, reduction="sum"
        )
        total = (error + weight.square().sum() / (2 * strength)) / y.numel()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
