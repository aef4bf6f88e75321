"""Weight files laid out like the published ones, with random numbers; and what they compute.

`write_*` makes a file. `*_logits` computes one clip, in raw decibels, from a file as the published
code would, by its own reading of the file (h5py by name, torch) and the slow definitions.
"""

from __future__ import annotations

import h5py
import numpy as np
import slow_network as slow

POOLS = {
    "crnn": ((2, 2), (3, 3), (4, 4), (4, 4)),
    "cnn": ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4)),
}


class Random:
    """Arrays with which the networks neither saturate nor die."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def weight(self, *shape, n_in):
        return (self.rng.standard_normal(shape) / np.sqrt(n_in)).astype(np.float32)

    def bias(self, n):
        return (self.rng.standard_normal(n) * 0.2).astype(np.float32)

    def positive(self, n):
        return self.rng.uniform(0.5, 1.5, n).astype(np.float32)


def write_choi(path, *, network="crnn", backend="theano", seed=0, change=None):
    """The file of Keras 1. The same seed on the other backend is the same network."""
    random, mark = Random(seed), "" if backend == "theano" else "_1:0"
    widths = {"crnn": (64, 128, 128, 128), "cnn": (32, 128, 128, 192, 256)}[network]
    arrays = {}

    def norm(name, n):
        arrays[name] = {
            f"{name}_gamma": random.positive(n),
            f"{name}_beta": random.bias(n),
            f"{name}_running_mean": random.bias(n),
            f"{name}_running_std": random.positive(n),
        }

    norm("bn_0_freq", 1440 if network == "crnn" else 1366)
    for number, (n_in, n_out) in enumerate(zip((1, *widths), widths, strict=False), 1):
        kernel = random.weight(n_out, n_in, 3, 3, n_in=9 * n_in)
        if backend == "tensorflow":
            kernel = kernel[:, :, ::-1, ::-1]
        arrays[f"conv{number}"] = {
            f"conv{number}_W": kernel,
            f"conv{number}_b": random.bias(n_out),
        }
        norm(f"bn{number}", n_out)
        arrays[f"pool{number}"] = {}
    n_last = widths[-1]
    if network == "crnn":
        for name, n_in in (("gru1", 128), ("gru2", 32)):
            arrays[name] = {}
            for gate in "zrh":
                arrays[name] |= {
                    f"{name}_W_{gate}": random.weight(n_in, 32, n_in=n_in),
                    f"{name}_U_{gate}": random.weight(32, 32, n_in=32),
                    f"{name}_b_{gate}": random.bias(32),
                }
        n_last = 32
    arrays["output"] = {
        "output_W": random.weight(n_last, 50, n_in=n_last),
        "output_b": random.bias(50),
    }
    _write_keras(path, arrays, mark=mark, change=change)
    return path


def write_cs2470(path, *, seed=0, change=None):
    """The file of Keras 2 on TensorFlow."""
    random, widths, arrays = Random(seed), (64, 128, 128, 128), {}

    def norm(name, n):
        arrays[name] = {
            f"{name}/gamma": random.positive(n),
            f"{name}/beta": random.bias(n),
            f"{name}/moving_mean": random.bias(n),
            f"{name}/moving_variance": random.positive(n),
        }

    norm("batch_normalization", 1)
    for number, (n_in, n_out) in enumerate(zip((1, *widths), widths, strict=False), 1):
        name = f"conv{number}"
        kernel = random.weight(3, 3, n_in, n_out, n_in=9 * n_in)
        arrays[name] = {f"{name}/kernel": kernel, f"{name}/bias": random.bias(n_out)}
        norm(f"batch_normalization_{number}", n_out)
    for name, n_in in (("gru1", 128), ("gru2", 32)):
        arrays[name] = {
            f"{name}/kernel": random.weight(n_in, 96, n_in=n_in),
            f"{name}/recurrent_kernel": random.weight(32, 96, n_in=32),
            f"{name}/bias": random.bias(96),
        }
    arrays["output"] = {
        "output/kernel": random.weight(32, 50, n_in=32),
        "output/bias": random.bias(50),
    }
    _write_keras(path, arrays, mark=":0", change=change)
    return path


def _write_keras(path, layers, *, mark, change):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [(name + mark).encode() for name in arrays]
            for name, array in arrays.items():
                group.create_dataset(name + mark, data=array)
        if change is not None:
            change(file)


def write_won(path, *, network="crnn", seed=0, archive=True, change=None):
    """The state dict of PyTorch: as a zip archive, or as it was before PyTorch 1.6."""
    import torch

    from earmark.features import PRESETS, mel_filters

    random = Random(seed)
    widths = {"crnn": (64, 128, 128, 128), "fcn": (64, 128, 128, 128, 64)}[network]
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
    for number, (n_in, n_out) in enumerate(zip((1, *widths), widths, strict=False), 1):
        arrays[f"layer{number}.conv.weight"] = random.weight(n_out, n_in, 3, 3, n_in=9 * n_in)
        arrays[f"layer{number}.conv.bias"] = random.bias(n_out)
        norm(f"layer{number}.bn", n_out)
    n_last = widths[-1]
    if network == "crnn":
        for layer, n_in in enumerate((128, 32)):
            arrays[f"layer5.weight_ih_l{layer}"] = random.weight(96, n_in, n_in=n_in)
            arrays[f"layer5.weight_hh_l{layer}"] = random.weight(96, 32, n_in=32)
            arrays[f"layer5.bias_ih_l{layer}"] = random.bias(96)
            arrays[f"layer5.bias_hh_l{layer}"] = random.bias(96)
        n_last = 32
    arrays["dense.weight"] = random.weight(50, n_last, n_in=n_last)
    arrays["dense.bias"] = random.bias(50)
    if change is not None:
        change(arrays)
    state = type(torch.nn.Linear(1, 1).state_dict())()  # an OrderedDict with _metadata, as theirs
    state._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    for name, array in arrays.items():
        state[name] = torch.from_numpy(array.copy())
    torch.save(state, path, _use_new_zipfile_serialization=archive)
    return path


def choi_logits(path, clip, *, as_published):
    """The network of a Keras 1 file on one clip, float32 (96, 1366) decibels."""
    with h5py.File(path) as file:
        theano, crnn = "conv1_W" in file["conv1"], "gru1" in file
        arrays = {
            name.removesuffix(":0").removesuffix("_1"): data[()]
            for layer in file.values()
            for name, data in layer.items()
        }

    def norm(image, name, axis):
        std = arrays[f"{name}_running_std"].astype(np.float64)
        return slow.norm(
            image,
            arrays[f"{name}_running_mean"],
            std if as_published else std**2,
            arrays[f"{name}_gamma"],
            arrays[f"{name}_beta"],
            epsilon=1e-6,
            axis=axis,
        )

    image = clip[None].astype(np.float64)
    if not as_published:
        image = (image + 31.0) / 14.6
    if crnn:
        image = np.pad(image, ((0, 0), (0, 0), (37, 37)))
    image = norm(image, "bn_0_freq", 2)
    for number, pool in enumerate(POOLS["crnn" if crnn else "cnn"], 1):
        apply = slow.convolve if theano else slow.correlate
        image = apply(image, arrays[f"conv{number}_W"], arrays[f"conv{number}_b"])
        image = slow.max_pool(slow.elu(norm(image, f"bn{number}", 0)), *pool)
    if not crnn:
        return image.ravel() @ arrays["output_W"] + arrays["output_b"]
    steps = slow.as_steps(image)
    for name in ("gru1", "gru2"):
        kernel, recurrent, bias = (
            np.concatenate([arrays[f"{name}_{part}_{gate}"] for gate in "zrh"], axis=-1)
            for part in "WUb"
        )
        steps = slow.gru(steps, kernel, recurrent, bias, gate=slow.hard_sigmoid)
    return steps[-1] @ arrays["output_W"] + arrays["output_b"]


def cs2470_logits(path, clip):
    """The network of the Keras 2 file on one clip, float32 (96, 1366) decibels."""
    with h5py.File(path) as file:
        arrays = {}
        for layer in file.values():
            for name, group in layer.items():
                for weight, data in group.items():
                    arrays[f"{name}/{weight.removesuffix(':0')}"] = data[()]

    def norm(image, name):
        mean, variance, gamma, beta = (
            arrays[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return slow.norm(image, mean, variance, gamma, beta, epsilon=1e-3, axis=0)

    image = np.pad(clip[None].astype(np.float64), ((0, 0), (0, 0), (37, 37)))
    image = norm(np.pad(image, ((0, 0), (0, 0), (37, 37))), "batch_normalization")
    for number, pool in enumerate(POOLS["crnn"], 1):
        kernel = arrays[f"conv{number}/kernel"].transpose(3, 2, 0, 1)
        image = slow.correlate(image, kernel, arrays[f"conv{number}/bias"])
        image = slow.max_pool(slow.elu(norm(image, f"batch_normalization_{number}")), *pool)
    steps = slow.as_steps(image)
    for name in ("gru1", "gru2"):
        weights = [arrays[f"{name}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
        steps = slow.gru(steps, *weights, gate=slow.hard_sigmoid)
    return steps[-1] @ arrays["output/kernel"] + arrays["output/bias"]


def won_logits(path, clip):
    """The network of a state dict on one clip, float32 (96, 1813) decibels, by torch's layers."""
    import torch
    from torch import nn

    state = torch.load(path, weights_only=True, map_location="cpu")
    crnn = "layer5.weight_ih_l0" in state

    def filled(module, prefix):
        named = {name: state[f"{prefix}.{name}"] for name in module.state_dict()}
        module.load_state_dict(named)
        return module.eval()

    with torch.no_grad():
        x = filled(nn.BatchNorm2d(1), "spec_bn")(torch.from_numpy(clip)[None, None])
        for number, pool in enumerate(POOLS["crnn" if crnn else "cnn"], 1):
            n_out, n_in, _, _ = state[f"layer{number}.conv.weight"].shape
            conv = filled(nn.Conv2d(n_in, n_out, 3, padding=1), f"layer{number}.conv")
            norm = filled(nn.BatchNorm2d(n_out), f"layer{number}.bn")
            x = nn.functional.max_pool2d(torch.relu(norm(conv(x))), pool)
        if crnn:
            gru = filled(nn.GRU(128, 32, 2, batch_first=True), "layer5")
            x = gru(x.squeeze(2).permute(0, 2, 1))[0][:, -1]
        else:
            x = x.flatten(1)
        return (x @ state["dense.weight"].T + state["dense.bias"])[0].numpy()
