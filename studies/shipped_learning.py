"""How the shipped model learns: mn04's last blocks and a GRU, on what its first blocks leave.

The first blocks are heard once for each clip. An epoch takes half of each clip, from a place that
chance chooses, and mixes pairs of them. Weights are averaged as they move, and the average counts.

The blocks learn from the spectrogram that mn04 knows. Then they stay, and the GRU and the output
learn on from what the blocks make of the spectrogram that ships, at a lower rate and of fewer mels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor

from earmark.data.catalog.catalog import Catalog
from earmark.features import LogMel
from earmark.files import atomic_path
from earmark.graph import ConvBlock, InvertedResidual
from earmark.published.efficientat import trunk
from earmark.published.torch_file import read_tensors
from earmark.training.checkpoint import read_checkpoint, write_checkpoint
from earmark.training.mobile import Blocks, MobileGru
from earmark.training.seeds import generator, seed_torch
from studies.q4 import SHARED
from studies.shipped_music import SOURCES
from studies.shipped_teachers import MN04, TEACHERS, make_store

Array = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
WEIGHTS = SHARED / "published" / TEACHERS["efficientat-mn04"].file
# Mels from here on, above 12 kHz, are silenced: the excerpts, low-rate Opus, have nothing there,
# and the music of whoever uses the model has.
FIRST_UNHEARD = 118
N_FROZEN = 13  # of mn04's 17 blocks; learning on from the seventh costs three times as much


@dataclass(frozen=True)
class Learning:
    """rate : of all weights, one cycle; crop : share of the frames of a clip; mix : of mixup's beta
    distribution; average : of the weights so far that a step keeps

    dropout : share of the embedding that the output does without
    labels : the share of the label in what is taught of a clip, by its source; the rest is what the
    teachers make of it
    trunks : how much it counts to say, beside the words, what published trunks make of the clip
    """

    epochs: int = 12
    batch: int = 24
    rate: float = 2e-3
    decay: float = 0.02
    crop: float = 0.5
    mix: float = 0.3
    average: float = 0.99
    dropout: float = 0.3
    longest: float = 5.0  # gradient
    loss_scale: float = 20.0  # of the mean over all heads, most of which are quiet on any clip
    seed: int = 0
    labels: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0.6))
    trunks: float = 0.0


# Here the labels teach more: on two folds, with .3, .6, .75 and .85 of songs, 24 genres have an AP
# of .522, .541, .549 and .534, decades .449, .455, .463 and .458.
HEAD = Learning(
    epochs=12, rate=1e-3, dropout=0.4, labels={"q4": 0.75, "songs": 0.75, "unlabelled": 0.6}
)


def blocks() -> tuple[list[ConvBlock | InvertedResidual], list[ConvBlock | InvertedResidual]]:
    """mn04's blocks that stay, and those that learn on."""
    of_all = trunk(read_tensors(WEIGHTS))
    return of_all[:N_FROZEN], of_all[N_FROZEN:]


def images_of(
    catalog: Catalog, output: Path, features: LogMel, *, audio: Path, name: str
) -> Halves:
    """float16 (n, channels, mels, frames): what the first blocks leave of each clip; kept."""
    path = output / f"images-{name}-{features.name}.npy"
    if not path.exists():
        store = make_store(catalog, output, features, audio=audio, name=name)
        frozen = Blocks(blocks()[0]).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        parts = []
        for first in range(0, len(store), 16):
            x = store.log_mels(np.arange(first, min(first + 16, len(store))))
            x = with_all_mels(x[:, :FIRST_UNHEARD], silence=store.settings.silence)
            with torch.inference_mode():
                parts.append(frozen(torch.from_numpy(x).unsqueeze(1)).numpy().astype(np.float16))
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, np.concatenate(parts))
    return np.asarray(np.load(path, mmap_mode="r"))


def with_all_mels(x: Array, *, silence: float) -> Array:
    """float32 (n, mn04's mels, frames): those that are not there are silent."""
    return np.pad(x, ((0, 0), (0, MN04.n_mels - x.shape[1]), (0, 0)), constant_values=silence)


def moments_of(model: MobileGru, images: Halves) -> Halves:
    """float16 (n, features, 1, moments): what the blocks leave of each clip."""
    parts = []
    with torch.inference_mode():
        for first in range(0, len(images), 16):
            x = torch.from_numpy(images[first : first + 16].astype(np.float32))
            x = x.to(memory_format=torch.channels_last)
            parts.append(model.moments(x).numpy().astype(np.float16))
    return np.concatenate(parts)


def learn(
    images: Sequence[Halves],
    values: Array,
    weights: Array,
    places: npt.NDArray[np.int64],
    path: Path,
    *,
    settings: Learning,
    head_of: MobileGru | None = None,
    trunks: Sequence[Halves] = (),
) -> MobileGru:
    """A model that learned from these places; killed and started again, it goes on after the last
    epoch that is in `path`.

    images : parts, whose items follow each other; values, weights : float32 (n, n_heads)
    head_of : a model whose GRU and output learn on; images are the moments that its blocks leave
    trunks : where settings.trunks counts, the moments of published trunks, standardised, in parts
        like the images; a layer says their mean from the mean of the model's, and is then dropped
    """
    if head_of is None:
        model = new_model(blocks()[1], values[places], weights[places], seed=settings.seed)
        of_model = list(model.parameters())
    else:
        model = head_of
        of_model = [*model.recurrent.parameters(), *model.output.parameters()]
    model.dropout.p = settings.dropout
    as_trunks = None
    if settings.trunks:
        as_trunks = torch.nn.Linear(model.recurrent.input_size, trunks[0].shape[1])
        of_model += as_trunks.parameters()
    optimiser = torch.optim.AdamW(of_model, lr=settings.rate, weight_decay=settings.decay)
    n_steps = len(places) // settings.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, total_steps=settings.epochs * n_steps + 1, pct_start=0.15
    )
    average = [weight.detach().clone() for weight in of_model]
    state = _State(path, of_model, average, optimiser, schedule)
    for epoch in range(state.read(), settings.epochs):
        model.train()
        random = generator(settings.seed, "order", epoch)
        seed_torch(random)
        total = 0.0
        for number, (x, y, w, of_trunks) in enumerate(
            _batches(images, values, weights, places, random, settings, trunks),
            start=epoch * n_steps,
        ):
            heard = x if head_of is not None else model.moments(x)
            error = F.binary_cross_entropy_with_logits(model.answer_moments(heard), y, weight=w)
            loss = settings.loss_scale * error
            if as_trunks is not None:
                loss += settings.trunks * F.mse_loss(as_trunks(heard.mean((2, 3))), of_trunks)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(of_model, settings.longest)
            optimiser.step()
            schedule.step()
            total += float(error.detach())
            kept = min(settings.average, (1 + number) / (10 + number))
            with torch.no_grad():
                torch._foreach_lerp_(average, list[Tensor](of_model), 1 - kept)
        state.write(epoch + 1)
        print(f"{path.stem}: epoch {epoch + 1}, {total / n_steps:.4f}", file=sys.stderr, flush=True)
    with torch.no_grad():
        for weight, value in zip(of_model, average, strict=True):
            weight.copy_(value)
    return model.eval()


def new_model(
    late: Sequence[ConvBlock | InvertedResidual], values: Array, weights: Array, *, seed: int
) -> MobileGru:
    """Blocks under a GRU by chance; the output says of every clip how many have each word.

    values, weights : float32 (n, n_heads), of what will be learned from
    """
    seed_torch(generator(seed, "weights"))
    model = MobileGru(late, n_tags=values.shape[1]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = np.average(values, axis=0, weights=weights + 1e-6).clip(1e-3, 0.99)
    with torch.no_grad():
        model.output.bias.copy_(torch.from_numpy(np.log(mean / (1 - mean)).astype(np.float32)))
    return model


def hear(model: MobileGru, images: Halves) -> tuple[Array, Array]:
    """Logits (n, n_heads) and embeddings (n, n_dimensions)."""
    embeddings = []
    with torch.inference_mode():
        for first in range(0, len(images), 16):
            x = torch.from_numpy(images[first : first + 16].astype(np.float32))
            embeddings.append(model.embed(x.to(memory_format=torch.channels_last)))
        embedding = torch.cat(embeddings)
        return model.output(embedding).numpy(), embedding.numpy()


def _batches(
    images: Sequence[Halves],
    values: Array,
    weights: Array,
    places: npt.NDArray[np.int64],
    random: np.random.Generator,
    settings: Learning,
    trunks: Sequence[Halves],
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Pairs of clips, mixed: images; the values and weights of both as of one; what trunks say.

    Binary cross entropy is linear in its target, so a weighted mean of two targets teaches what
    two weighted terms would.
    """
    order = random.permutation(places)
    bounds = np.cumsum([0, *map(len, images)])
    n_frames = images[0].shape[-1]
    width = round(settings.crop * n_frames)
    for first in range(0, len(order) // settings.batch * settings.batch, settings.batch):
        chosen = order[first : first + settings.batch]
        x = np.empty((len(chosen), *images[0].shape[1:3], width), dtype=np.float32)
        said = np.zeros((len(chosen), trunks[0].shape[1] if trunks else 0), dtype=np.float32)
        for row, place in enumerate(chosen):
            part = int(np.searchsorted(bounds, place, side="right")) - 1
            start = random.integers(0, n_frames - width + 1)
            x[row] = images[part][place - bounds[part]][..., start : start + width]
            if trunks:
                there = trunks[part][place - bounds[part]]
                first_heard, behind = (
                    round(frame / n_frames * there.shape[-1]) for frame in (start, start + width)
                )
                said[row] = there[..., first_heard:behind].mean((1, 2), dtype=np.float32)
        share = np.float32(random.beta(settings.mix, settings.mix))
        share = max(share, 1 - share)
        others = random.permutation(len(chosen))
        y, w = values[chosen], weights[chosen]
        x = share * x + (1 - share) * x[others]
        said = share * said + (1 - share) * said[others]
        both = share * w + (1 - share) * w[others]
        mixed = share * w * y + (1 - share) * w[others] * y[others]
        y = mixed / np.maximum(both, 1e-9)
        images_of_both = torch.from_numpy(x).to(memory_format=torch.channels_last)
        yield images_of_both, torch.from_numpy(y), torch.from_numpy(both), torch.from_numpy(said)


class _State:
    """All that a run goes on from, in one file."""

    def __init__(
        self,
        path: Path,
        weights: list[torch.nn.Parameter],
        average: list[Tensor],
        optimiser: torch.optim.AdamW,
        schedule: torch.optim.lr_scheduler.OneCycleLR,
    ) -> None:
        self.path, self.weights, self.average = path, weights, average
        self.optimiser, self.schedule = optimiser, schedule

    def write(self, epoch: int) -> None:
        arrays = {}
        for number, (weight, average) in enumerate(zip(self.weights, self.average, strict=True)):
            moments = self.optimiser.state[weight]
            arrays[f"{number}.weight"] = weight.detach().numpy()
            arrays[f"{number}.average"] = average.numpy()
            arrays[f"{number}.first"] = moments["exp_avg"].numpy()
            arrays[f"{number}.second"] = moments["exp_avg_sq"].numpy()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(self.path, arrays, {"epoch": epoch, "step": self.schedule.last_epoch})

    def read(self) -> int:
        """Epochs that are done."""
        if not self.path.exists():
            return 0
        arrays, facts = read_checkpoint(self.path)
        for number, (weight, average) in enumerate(zip(self.weights, self.average, strict=True)):
            with torch.no_grad():
                weight.copy_(torch.from_numpy(arrays[f"{number}.weight"]))
                average.copy_(torch.from_numpy(arrays[f"{number}.average"]))
            self.optimiser.state[weight] = {
                "step": torch.tensor(float(facts["step"])),
                "exp_avg": torch.from_numpy(arrays[f"{number}.first"]).clone(),
                "exp_avg_sq": torch.from_numpy(arrays[f"{number}.second"]).clone(),
            }
        for _ in range(facts["step"]):
            self.optimiser._opt_called = True  # type: ignore[attr-defined]
            self.schedule.step()
        return int(facts["epoch"])
