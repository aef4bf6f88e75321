"""As published_weights, for the networks that hear a clip in pieces: EfficientAT's and musicnn's.

`write_*` makes a file with random numbers. `*_logits` computes one clip as its authors' code would,
piece by piece, with torch's plain operators on the file's arrays; the logits of the pieces or their
scores are averaged, as the authors do.
"""

from __future__ import annotations

import numpy as np
import tf_checkpoints
import torch
from published_weights import Random
from torch.nn import functional

# EfficientAT's mn04: kernel, activation, stride, squeeze; channels before, within, after
MN04 = (
    "3R1 8 8 8, 3R2 8 24 16, 3R1 16 32 16, 5R2s 16 32 16, 5R1s 16 48 16, 5R1s 16 48 16, "
    "3H2 16 96 32, 3H1 32 80 32, 3H1 32 72 32, 3H1 32 72 32, 3H1s 32 192 48, 3H1s 48 272 48, "
    "5H2s 48 272 64, 5H1s 64 384 64, 5H1s 64 384 64"
)
_SQUEEZED = {32: 8, 48: 16, 192: 48, 272: 72, 384: 96}


def write_efficientat(path, *, seed=0, change=None):
    """The state dict of mn04."""
    random, arrays = Random(seed), {}

    def conv(name, *shape):
        # as wide as its inputs, times two for what the ReLUs take: values stay of one size
        n_in = np.prod(shape[1:]) / 2
        arrays[f"{name}.0.weight"] = random.weight(*shape, n_in=n_in)
        arrays[f"{name}.1.weight"] = random.positive(shape[0])
        arrays[f"{name}.1.bias"] = random.bias(shape[0])
        arrays[f"{name}.1.running_mean"] = random.bias(shape[0])
        arrays[f"{name}.1.running_var"] = random.positive(shape[0])
        arrays[f"{name}.1.num_batches_tracked"] = np.array(99)

    def dense(name, n_in, n_out):
        arrays[f"{name}.weight"] = random.weight(n_out, n_in, n_in=n_in)
        arrays[f"{name}.bias"] = random.bias(n_out)

    conv("features.0", 8, 1, 3, 3)
    for number, row in enumerate(MN04.split(", "), start=1):
        word, *numbers = row.split()
        n_in, n_mid, n_out = map(int, numbers)
        name, place, kernel = f"features.{number}.block", 0, int(word[0])
        if n_mid != n_in:
            conv(f"{name}.0", n_mid, n_in, 1, 1)
            place = 1
        conv(f"{name}.{place}", n_mid, 1, kernel, kernel)
        if word.endswith("s"):
            place += 1
            layer = f"{name}.{place}.conc_se_layers.0"
            dense(f"{layer}.fc1", n_mid, _SQUEEZED[n_mid])
            dense(f"{layer}.fc2", _SQUEEZED[n_mid], n_mid)
        conv(f"{name}.{place + 1}", n_out, n_mid, 1, 1)
    conv("features.16", 384, 64, 1, 1)
    dense("classifier.2", 384, 512)
    dense("classifier.5", 512, 527)
    return _write_torch(path, arrays, change)


def write_won_musicnn(path, *, seed=0, change=None):
    """The state dict of Won et al.'s musicnn on MTG-Jamendo."""
    from earmark.features import PRESETS, mel_filters

    random = Random(seed)
    arrays = {
        "spec.spectrogram.window": np.hanning(513)[:-1].astype(np.float32),
        "spec.mel_scale.fb": mel_filters(PRESETS["won2020"]).T,
    }

    def norm(name, n):
        arrays[f"{name}.weight"] = random.positive(n)
        arrays[f"{name}.bias"] = random.bias(n)
        arrays[f"{name}.running_mean"] = random.bias(n)
        arrays[f"{name}.running_var"] = random.positive(n)
        arrays[f"{name}.num_batches_tracked"] = np.array(1234)

    norm("spec_bn", 1)
    arrays["spec_bn.running_var"] *= 200  # of decibels
    shapes = {
        "layers.0": (204, 1, 67, 7), "layers.1": (204, 1, 38, 7), "layers.2": (51, 1, 129),
        "layers.3": (51, 1, 65), "layers.4": (51, 1, 33), "layer1": (64, 561, 7),
        "layer2": (64, 64, 7), "layer3": (64, 64, 7),
    }  # fmt: skip
    for name, shape in shapes.items():
        arrays[f"{name}.conv.weight"] = random.weight(*shape, n_in=np.prod(shape[1:]))
        arrays[f"{name}.conv.bias"] = random.bias(shape[0])
        norm(f"{name}.bn", shape[0])
    arrays["dense1.weight"] = random.weight(200, 1506, n_in=1506)
    arrays["dense1.bias"] = random.bias(200)
    norm("bn", 200)
    arrays["dense2.weight"] = random.weight(50, 200, n_in=200)
    arrays["dense2.bias"] = random.bias(50)
    return _write_torch(path, arrays, change)


def write_musicnn(folder, *, network="musicnn", seed=0, change=None):
    """The folder of a checkpoint, with an optimiser's moments as theirs have."""
    random, arrays = Random(seed), {}

    def layer(name, *shape):
        arrays[f"{name}/kernel"] = random.weight(*shape, n_in=np.prod(shape[:-1]))
        arrays[f"{name}/kernel/Adam"] = np.zeros(shape, dtype=np.float32)
        arrays[f"{name}/bias"] = random.bias(shape[-1])

    def norms(sizes):
        for number, n in enumerate(sizes):
            name = f"batch_normalization_{number}" if number else "batch_normalization"
            arrays[f"{name}/gamma"] = random.positive(n) * np.where(np.arange(n) % 3, 1, -1)
            arrays[f"{name}/gamma"] = arrays[f"{name}/gamma"].astype(np.float32)
            arrays[f"{name}/beta"] = random.bias(n)
            arrays[f"{name}/moving_mean"] = random.bias(n)
            arrays[f"{name}/moving_variance"] = random.positive(n)

    if network == "vgg":
        for number in range(1, 6):
            layer(f"{number}CNN", 3, 3, 1 if number == 1 else 128, 128)
        norms([1, *[128] * 5])
        layer("dense", 256, 50)
    else:
        shapes = [(7, 38, 1, 204), (7, 67, 1, 204)]
        shapes += [(length, 1, 1, 51) for length in (128, 64, 32)]
        shapes += [(7, n_in, 1, 64) for n_in in (561, 64, 64)]
        for number, shape in enumerate(shapes):
            layer(f"conv2d_{number}" if number else "conv2d", *shape)
        norms([1, *(shape[-1] for shape in shapes), 1506, 200])
        layer("dense", 1506, 200)
        layer("dense_1", 200, 50)
    arrays["beta1_power"] = np.array(0.9, dtype=np.float32)
    arrays["beta2_power"] = np.array(0.999, dtype=np.float32)
    if change is not None:
        change(arrays)
    tf_checkpoints.write(folder, arrays)
    return folder


def _write_torch(path, arrays, change):
    if change is not None:
        change(arrays)
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, path)
    return path


def _pieces(clip, length):
    """float32 (n, mels, length): as few as hear every frame of a clip, evenly spread."""
    n = -(-clip.shape[1] // length)
    starts = np.linspace(0, clip.shape[1] - length, n).round().astype(int)
    return torch.from_numpy(np.stack([clip[:, start : start + length] for start in starts]))


def _mean_score(logits):
    scores = torch.sigmoid(logits.double()).mean(0)
    return torch.logit(scores).numpy()


@torch.no_grad()
def efficientat_logits(path, clip):
    """mn04 on one clip (128, 2900): means of its logits and 384 numbers over three pieces."""
    state = torch.load(path, weights_only=True, map_location="cpu")

    def conv(x, name, activation, **options):
        weight = state[f"{name}.0.weight"]
        x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2, **options)
        mean, variance, gamma, beta = (
            state[f"{name}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return activation(functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3))

    def dense(x, name):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = conv(_pieces(clip, 1000)[:, None], "features.0", functional.hardswish, stride=2)
    for number, row in enumerate(MN04.split(", "), start=1):
        word, n_in, n_mid, _ = row.split()
        activation = functional.relu if word[1] == "R" else functional.hardswish
        places = iter(f"features.{number}.block.{place}" for place in range(4))
        y = conv(x, next(places), activation) if n_in != n_mid else x
        y = conv(y, next(places), activation, stride=int(word[2]), groups=int(n_mid))
        if word.endswith("s"):
            layer = f"{next(places)}.conc_se_layers.0"
            share = functional.relu(dense(y.mean((2, 3)), f"{layer}.fc1"))
            y = y * torch.sigmoid(dense(share, f"{layer}.fc2"))[:, :, None, None]
        y = conv(y, next(places), lambda z: z)
        x = x + y if x.shape == y.shape else y
    embedding = conv(x, "features.16", functional.hardswish).mean((2, 3))
    logits = dense(functional.hardswish(dense(embedding, "classifier.2")), "classifier.5")
    return logits.mean(0).numpy(), embedding.mean(0).numpy()


@torch.no_grad()
def won_musicnn_logits(path, clip):
    """Won et al.'s musicnn on one clip (96, 1813), in pieces of 188 frames."""
    state = torch.load(path, weights_only=True, map_location="cpu")

    def norm(x, name):
        mean, variance, gamma, beta = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, gamma, beta)

    def layer(x, name):
        weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
        padding = weight.shape[-1] // 2
        if weight.ndim == 4:
            x = functional.conv2d(x, weight, bias, padding=(0, padding))
        else:
            x = functional.conv1d(x, weight, bias, padding=padding)
        return torch.relu(norm(x, f"{name}.bn"))

    x = norm(_pieces(clip, 188)[:, None], "spec_bn")
    vertical = [layer(x, f"layers.{number}").amax(2) for number in (0, 1)]
    horizontal = [layer(x.mean(2), f"layers.{number}") for number in (2, 3, 4)]
    front = torch.cat([*vertical, *horizontal], dim=1)
    first = layer(front, "layer1")
    second = layer(first, "layer2") + first
    third = layer(second, "layer3") + second
    every = torch.cat([front, first, second, third], dim=1)
    x = torch.cat([every.amax(2), every.mean(2)], dim=1)
    x = functional.linear(x, state["dense1.weight"], state["dense1.bias"])
    x = torch.relu(norm(x, "bn"))
    return _mean_score(functional.linear(x, state["dense2.weight"], state["dense2.bias"]))


@torch.no_grad()
def musicnn_logits(folder, clip):
    """A network of the musicnn package on one clip (96, 1813), in patches of 187 frames.

    Images are (batch, channels, frames, mels) here, frames first as there.
    """
    from earmark.published.tf_checkpoint import read_checkpoint

    files = [(folder / suffix).read_bytes() for suffix in (".index", ".data-00000-of-00001")]
    arrays = {
        name: torch.from_numpy(array.copy())
        for name, array in read_checkpoint(*files, name="made").items()
    }

    def norm(x, number):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        mean, variance, gamma, beta = (
            arrays[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    def layer(x, name, number, *, pad):
        """Zeros around, convolution, ReLU, norm; pad : (frames before, after, mels before, ...)."""
        kernel = arrays[f"{name}/kernel"].permute(3, 2, 0, 1)
        x = functional.pad(x, (*pad[2:], *pad[:2]))
        return norm(torch.relu(functional.conv2d(x, kernel, arrays[f"{name}/bias"])), number)

    x = norm(_pieces(clip, 187).transpose(1, 2)[:, None], 0)
    if "1CNN/kernel" in arrays:
        pools = [((4, 1), 2), (2, 2), (2, 2), (2, 2), (4, 4)]
        for number, (pool, stride) in enumerate(pools, start=1):
            x = layer(x, f"{number}CNN", number, pad=(1, 1, 1, 1))
            x = functional.max_pool2d(x, pool, stride)
        x = x.permute(0, 2, 3, 1).flatten(1)
        return _mean_score(x @ arrays["dense/kernel"] + arrays["dense/bias"])
    front = [
        layer(x, "conv2d", 1, pad=(3, 3, 0, 0)).amax(3),
        layer(x, "conv2d_1", 2, pad=(3, 3, 0, 0)).amax(3),
        *(
            # "same" of an even length: one zero more behind than before
            layer(x, f"conv2d_{i}", i + 1, pad=(n // 2 - 1, n // 2, 0, 0)).amax(3)
            for i, n in ((2, 128), (3, 64), (4, 32))
        ),
    ]
    layers = [torch.cat(front, dim=1)]  # (batch, channels, frames)
    for i in (5, 6, 7):
        image = layers[-1].transpose(1, 2)[:, None]  # the channels are its mels
        x = layer(image, f"conv2d_{i}", i + 1, pad=(3, 3, 0, 0))[..., 0]
        layers.append(x + layers[-1] if i > 5 else x)
    every = torch.cat(layers, dim=1)
    x = torch.stack([every.amax(2), every.mean(2)], dim=2).flatten(1)  # maximum, mean, maximum, ...
    x = torch.relu(norm(x, 9) @ arrays["dense/kernel"] + arrays["dense/bias"])
    return _mean_score(norm(x, 10) @ arrays["dense_1/kernel"] + arrays["dense_1/bias"])
