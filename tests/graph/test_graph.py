"""The ONNX graph against the definition of what it computes, in both runtimes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slow_network as slow
from built_graphs import assert_same, opened

from earmark.errors import BadValue
from earmark.graph import (
    Affine,
    Conv,
    ConvBlock,
    Dense,
    Gru,
    InvertedResidual,
    Network,
    Norm,
    Pad,
    Pieces,
    SilentMels,
    build,
    strips,
    torch_gru,
)

N_MELS, N_FRAMES, N_TAGS = 12, 37, 5


def normal(rng, *shape, scale=0.4):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def random_norm(rng, n, epsilon=1e-3):
    return Norm(
        mean=normal(rng, n),
        variance=rng.uniform(0.2, 2, n).astype(np.float32),
        gamma=normal(rng, n) + 1,
        beta=normal(rng, n),
        epsilon=epsilon,
    )


def random_block(rng, n_in, n_out, *, kernel=(3, 3), pool=(2, 2), activation="elu"):
    return ConvBlock(normal(rng, n_out, n_in, *kernel), normal(rng, n_out), pool, activation)


def random_mobile(rng, n_in, n_mid, n_out, *, kernel=3, squeeze=0, **options):
    def dense(n_in, n_out):
        return Dense(normal(rng, n_in, n_out), normal(rng, n_out))

    return InvertedResidual(
        expand=None if n_mid == n_in else Conv(normal(rng, n_mid, n_in, 1, 1), normal(rng, n_mid)),
        depthwise=Conv(normal(rng, n_mid, 1, kernel, kernel), normal(rng, n_mid)),
        squeeze=(dense(n_mid, squeeze), dense(squeeze, n_mid)) if squeeze else None,
        project=Conv(normal(rng, n_out, n_mid, 1, 1), normal(rng, n_out)),
        **options,
    )


def random_gru(rng, n_in, n_units, *, after=False, gate="sigmoid"):
    return Gru(
        normal(rng, n_in, 3 * n_units),
        normal(rng, n_units, 3 * n_units),
        normal(rng, 3 * n_units),
        normal(rng, 3 * n_units) if after else None,
        gate,
    )


def network(name):
    """Small networks of every shape that the importers and the training make."""
    rng = np.random.default_rng(len(name))
    decibels = Affine(np.float32([1 / 14.6]).reshape(()), np.float32([31 / 14.6]).reshape(()))
    per_frame = random_norm(rng, N_FRAMES + 6).affine()
    blocks = [random_block(rng, 1, 4, pool=(3, 2)), random_block(rng, 4, 6, pool=(4, 3))]
    steps = (N_FRAMES + 6) // 2 // 3
    plain = Network(
        n_mels=N_MELS,
        n_frames=N_FRAMES,
        front=[decibels, Pad(3, 3), per_frame],
        blocks=blocks,
        grus=[
            random_gru(rng, 6, 5, gate="hard_sigmoid"),
            random_gru(rng, 5, 5, gate="hard_sigmoid"),
        ],
        output=Dense(normal(rng, 5, N_TAGS), normal(rng, N_TAGS)),
    )
    assert steps == 7
    change = dataclasses.replace
    fcn = change(plain, grus=[], output=Dense(normal(rng, 6, N_TAGS), normal(rng, N_TAGS)))
    match name:
        case "crnn of Choi et al.":
            return plain
        case "reset gate after the product":
            return change(plain, grus=[random_gru(rng, 6, 5, after=True) for _ in range(1)])
        case "two such layers of other sizes":
            return change(
                plain,
                grus=[random_gru(rng, 6, 9, after=True), random_gru(rng, 9, 5, after=True)],
            )
        case "one layer with plain gates":
            return change(plain, grus=[random_gru(rng, 6, 5)])
        case "hard gates with the reset after":
            return change(plain, grus=[random_gru(rng, 6, 5, after=True, gate="hard_sigmoid")])
        case "the maximum over time beside the state":
            wider = Dense(normal(rng, 5 + 6, N_TAGS), normal(rng, N_TAGS))
            return change(plain, beside="max", output=wider)
        case "the mean over time of several bands":
            tall = change(blocks[1], pool=(2, 3))
            return change(
                plain,
                blocks=[blocks[0], tall],
                grus=[random_gru(rng, 12, 5)],
                beside="mean",
                output=Dense(normal(rng, 5 + 12, N_TAGS), normal(rng, N_TAGS)),
            )
        case "one step only":
            wide = change(blocks[1], pool=(4, 21))
            return change(plain, blocks=[blocks[0], wide])
        case "bands left for the recurrent layer":
            tall = change(blocks[1], pool=(2, 3))
            return change(plain, blocks=[blocks[0], tall], grus=[random_gru(rng, 12, 5)])
        case "a norm for each band, padding of another value after it":
            bands = random_norm(rng, N_MELS).affine()
            bands = Affine(bands.scale[:, None], bands.shift[:, None])
            return change(plain, front=[bands, Pad(0, 5, -0.5)])
        case "nothing in front":
            return change(plain, front=[])
        case "odd kernels and no pooling":
            blocks = [
                random_block(rng, 1, 3, kernel=(5, 1), pool=(1, 1), activation="relu"),
                random_block(rng, 3, 6, kernel=(1, 7), pool=(12, 5)),
            ]
            return change(plain, blocks=blocks)
        case "fully convolutional, mean":
            return change(fcn, summary="mean")
        case "fully convolutional, max":
            return change(fcn, summary="max")
        case "fully convolutional, all of it":
            return change(fcn, output=Dense(normal(rng, 42, N_TAGS), normal(rng, N_TAGS)))
        case "mobile blocks under a recurrent layer" | "mobile blocks, a hidden layer":
            stem = random_block(rng, 1, 4, pool=(1, 1), activation="hardswish")
            blocks = [
                change(stem, stride=(2, 2)),
                random_mobile(rng, 4, 4, 4, activation="relu"),
                random_mobile(rng, 4, 7, 5, activation="hardswish", stride=2, squeeze=3),
                random_mobile(rng, 5, 8, 5, kernel=5, activation="hardswish", squeeze=2),
                random_block(rng, 5, 6, kernel=(1, 1), pool=(1, 1), activation="hardswish"),
            ]
            if name == "mobile blocks under a recurrent layer":
                return change(plain, blocks=blocks, grus=[random_gru(rng, 18, 5, after=True)])
            hidden = Dense(normal(rng, 6, 8), normal(rng, 8))
            output = Dense(normal(rng, 8, N_TAGS), normal(rng, N_TAGS))
            return change(
                fcn, blocks=blocks, summary="mean", hidden=(hidden, "hardswish"), output=output
            )
        case "mobile blocks in strips, each one row" | "mobile blocks in one strip":
            stem = random_block(rng, 1, 4, kernel=(5, 3), pool=(1, 1), activation="hardswish")
            blocks = [
                change(stem, stride=(1, 1) if "one strip" in name else (2, 2)),
                random_mobile(rng, 4, 4, 4, activation="relu"),
                random_mobile(rng, 4, 7, 5, kernel=5, activation="relu", stride=2),
                random_mobile(rng, 5, 8, 5, activation="hardswish"),
            ]
            width = 5 * (8 if "one strip" in name else 4)
            more = SilentMels(3, -0.7)
            return change(plain, front=[more], blocks=blocks, grus=[random_gru(rng, width, 5)])
        case "maxima and means":
            return change(
                fcn, summary="max-mean", output=Dense(normal(rng, 12, N_TAGS), normal(rng, N_TAGS))
            )
    raise AssertionError(name)


NAMES = (
    "crnn of Choi et al.",
    "reset gate after the product",
    "two such layers of other sizes",
    "one layer with plain gates",
    "hard gates with the reset after",
    "the maximum over time beside the state",
    "the mean over time of several bands",
    "one step only",
    "bands left for the recurrent layer",
    "a norm for each band, padding of another value after it",
    "nothing in front",
    "odd kernels and no pooling",
    "fully convolutional, mean",
    "fully convolutional, max",
    "fully convolutional, all of it",
    "mobile blocks under a recurrent layer",
    "mobile blocks, a hidden layer",
    "mobile blocks in strips, each one row",
    "mobile blocks in one strip",
    "maxima and means",
)


def definition(network, clip):
    """Logits and embedding of one clip, as the description reads."""
    image = clip[None].astype(np.float64)
    for step in network.front:
        if isinstance(step, SilentMels):
            sides = ((0, 0), (0, step.number), (0, 0))
            image = np.pad(image, sides, constant_values=step.value)
        elif isinstance(step, Pad):
            sides = ((0, 0), (0, 0), (step.before, step.after))
            image = np.pad(image, sides, constant_values=step.value)
        else:
            image = image * step.scale + step.shift
    image = slow.blocks(image, network.blocks)
    steps = slow.as_steps(image)
    for gru in network.grus:
        gate = {"sigmoid": slow.sigmoid, "hard_sigmoid": slow.hard_sigmoid}[gru.gate]
        steps = slow.gru(
            steps,
            gru.kernel,
            gru.recurrent,
            gru.bias,
            gate=gate,
            recurrent_bias=gru.recurrent_bias,
        )
    if network.grus:
        embedding = steps[-1]
        if network.beside != "none":
            over_time = getattr(np, network.beside)(slow.as_steps(image), axis=0)
            embedding = np.concatenate([embedding, over_time])
    elif network.summary == "flatten":
        embedding = image.ravel()
    else:
        parts = [getattr(np, word)(image, axis=(1, 2)) for word in network.summary.split("-")]
        embedding = np.concatenate(parts)
    x = embedding
    if network.hidden is not None:
        hidden, activation = network.hidden
        x = slow.ACTIVATIONS[activation](x @ hidden.weight + hidden.bias)
    return x @ network.output.weight + network.output.bias, embedding


def clips(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-60, 20, (n, N_MELS, N_FRAMES)).astype(np.float32)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", NAMES)
def test_the_graph_computes_what_its_description_says(monkeypatch, name, runtime):
    if name.endswith("each one row"):
        monkeypatch.setattr(strips, "STRIP_BYTES", 1)
    described, x = network(name), clips(3)
    logits, embeddings = opened(described, runtime)(x)
    expected = [definition(described, clip) for clip in x]
    assert_same(logits, [logits for logits, _ in expected])
    assert_same(embeddings, [embedding for _, embedding in expected])


@pytest.mark.parametrize(
    ("name", "n_strips"),
    [
        ("mobile blocks in strips, each one row", 4),
        ("mobile blocks in one strip", 1),
        ("mobile blocks, a hidden layer", 0),  # its third block squeezes
    ],
)
def test_the_first_blocks_of_a_mobilenet_are_cut_in_strips(monkeypatch, name, n_strips):
    if n_strips > 1:
        monkeypatch.setattr(strips, "STRIP_BYTES", 1)
    names = [node.name for node in build(network(name)).graph.node]
    assert sum(name.startswith("stem.") and name.endswith("conv1") for name in names) == n_strips
    assert any(name.startswith("block2") for name in names) == (n_strips == 0)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", ["crnn of Choi et al.", "reset gate after the product"])
def test_logits_depend_neither_on_the_batch_size_nor_on_the_neighbours(name, runtime):
    run = opened(network(name), runtime)
    x = clips(9)
    whole = run(x)[0]
    for size in (1, 2, 5):
        parts = [run(x[first : first + size])[0] for first in range(0, len(x), size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    np.testing.assert_allclose(run(x[::-1].copy())[0][::-1], whole, atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("pool", ["logits", "scores"])
@pytest.mark.parametrize(("length", "starts"), [(37, [0]), (36, [0, 1]), (13, [0, 12, 24])])
def test_a_clip_in_pieces_is_the_mean_over_its_pieces(pool, length, starts, runtime):
    whole = dataclasses.replace(network("fully convolutional, mean"), front=[])
    one = dataclasses.replace(whole, n_frames=length, blocks=whole.blocks[:1])
    output = Dense(whole.output.weight[:4], whole.output.bias)
    one = dataclasses.replace(one, output=output)
    clip = dataclasses.replace(one, n_frames=N_FRAMES, pieces=Pieces(length, pool=pool))
    x = clips(3) / 10
    logits, embedding = opened(clip, runtime)(x)
    parts = [definition(one, piece[:, start : start + length]) for piece in x for start in starts]
    of_pieces, embeddings = (
        np.array(part).reshape(3, len(starts), -1) for part in zip(*parts, strict=True)
    )
    assert_same(embedding, embeddings.mean(axis=1))
    if pool == "logits":
        assert_same(logits, of_pieces.mean(axis=1))
    else:
        scores = slow.sigmoid(of_pieces).mean(axis=1)
        np.testing.assert_allclose(logits, np.log(scores / (1 - scores)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_mean_scores_near_zero_and_one_keep_their_digits(runtime):
    """Where a float32 of the score itself would be rounded: 1 - 1e-12 is 1."""
    for sign in (-1, 1):
        output = Dense(zeros(1, 2), np.float32([27, 15]) * sign)
        blocks = [ConvBlock(zeros(1, 1, 1, 1), zeros(1), (1, 1))]
        described = dataclasses.replace(
            network("fully convolutional, mean"),
            front=[], blocks=blocks, output=output, pieces=Pieces(10, pool="scores"),
        )  # fmt: skip
        logits, _ = opened(described, runtime)(clips(1))
        np.testing.assert_allclose(logits[0], output.bias, atol=1e-4)


def test_the_same_network_gives_the_same_bytes():
    first, second = (
        build(network("two such layers of other sizes")).SerializeToString(deterministic=True)
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_passes_onnx_s_own_checks_with_the_declared_shapes(name):
    import onnx

    described = network(name)
    model = build(described)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    before = described.output if described.hidden is None else described.hidden[0]
    n_dimensions = before.weight.shape[0]
    widths = {output.name: output.type.tensor_type.shape.dim[1] for output in inferred.output}
    assert widths["logits"].dim_value == N_TAGS
    assert widths["embedding"].dim_value == n_dimensions
    (given,) = model.graph.input
    first, *rest = given.type.tensor_type.shape.dim
    assert first.dim_param == "batch"
    assert [size.dim_value for size in rest] == [N_MELS, N_FRAMES]


def test_the_file_is_of_a_version_that_the_oldest_supported_runtime_reads():
    model = build(network("crnn of Choi et al."))
    assert model.ir_version <= 10  # ONNX Runtime 1.20
    assert model.opset_import[0].version <= 21


def test_every_node_and_constant_has_a_name_of_its_own():
    graph = build(network("two such layers of other sizes")).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert "gru2.step07.state" in names
    used = {name for node in graph.node for name in node.input}
    assert {constant.name for constant in graph.initializer} <= used


def test_a_folded_norm_is_the_convolution_and_then_the_norm():
    rng = np.random.default_rng(7)
    image, weight, bias = normal(rng, 3, 10, 11), normal(rng, 6, 3, 3, 3), normal(rng, 6)
    norm = random_norm(rng, 6, epsilon=0.01)
    folded = slow.correlate(image, *norm.fold(weight, bias))
    apart = slow.norm(
        slow.correlate(image, weight, bias),
        norm.mean,
        norm.variance,
        norm.gamma,
        norm.beta,
        epsilon=0.01,
        axis=0,
    )
    np.testing.assert_allclose(folded, apart, atol=1e-5)


@pytest.mark.parametrize("n_steps", [1, 4, 15])
def test_a_layer_of_torch_gru_gives_torch_s_states(n_steps):
    import torch

    torch.manual_seed(0)
    theirs = torch.nn.GRU(6, 5, num_layers=2, batch_first=True)
    layers = [
        torch_gru(
            *(
                getattr(theirs, f"{part}_l{layer}").detach().numpy()
                for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
        )
        for layer in range(2)
    ]
    rng = np.random.default_rng(1)
    described = Network(
        n_mels=6,
        n_frames=n_steps,
        front=[],
        blocks=[],
        grus=layers,
        output=Dense(np.eye(5, dtype=np.float32), np.zeros(5, dtype=np.float32)),
    )
    x = normal(rng, 4, 6, n_steps, scale=1)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x).transpose(1, 2))[0][:, -1]
    for runtime in ("onnxruntime", "openvino"):
        np.testing.assert_allclose(opened(described, runtime)(x)[1], expected, atol=1e-6)


def test_filters_that_weight_decay_killed_are_written_as_zeros():
    import onnx

    described = network("nothing in front")
    weight = described.blocks[0].weight.copy()
    weight[1] = 1e-41
    blocks = [dataclasses.replace(described.blocks[0], weight=weight), described.blocks[1]]
    model = build(dataclasses.replace(described, blocks=blocks))
    (written,) = (
        onnx.numpy_helper.to_array(constant)
        for constant in model.graph.initializer
        if constant.name == "conv1.weight"
    )
    assert not written[1].any()
    np.testing.assert_array_equal(written[0], weight[0])
    assert weight[1].all()  # the caller's array stays as it was


def broken(**changes):
    return dataclasses.replace(network("crnn of Choi et al."), **changes)


def block(**changes):
    return dataclasses.replace(network("crnn of Choi et al.").blocks[0], **changes)


def mobile(**changes):
    whole = network("mobile blocks, a hidden layer")
    return dataclasses.replace(
        whole, blocks=[whole.blocks[0], dataclasses.replace(whole.blocks[1], **changes)]
    )


def gru(**changes):
    return dataclasses.replace(network("one layer with plain gates").grus[0], **changes)


def zeros(*shape):
    return np.zeros(shape, dtype=np.float32)


NAN = np.full(N_TAGS, np.nan, dtype=np.float32)

BROKEN = [
    (broken(front=[Pad(-1, 0)]), "pad1: -1 frames"),
    (broken(front=[Affine(zeros(N_FRAMES + 1), zeros())]), r"norm1: a scale of shape \(38,\)"),
    (broken(front=[Affine(zeros(), zeros(2, 12, 37))]), "norm1: a shift"),
    (broken(blocks=[block(weight=zeros(4, 2, 3, 3))]), r"conv1: weights .* \(n_out, 1, height"),
    (
        broken(blocks=[block(weight=zeros(4, 1, 2, 3))]),
        "conv1: a kernel of 2 x 3; both must be odd",
    ),
    (broken(blocks=[block(bias=zeros(3))]), "conv1: 4 filters"),
    (broken(blocks=[block(pool=(13, 1))]), r"conv1: pools \(13, 1\), but only \(12, 43\)"),
    (broken(blocks=[block(pool=(0, 1))]), r"conv1: pools \(0, 1\)"),
    (
        broken(blocks=[block(activation="gelu")]),
        "conv1: activation 'gelu'; choose elu or relu or hardswish",
    ),
    (broken(blocks=[block(activation="hardswish")]), "conv1: only a block without a stride"),
    (broken(blocks=[block(stride=(2, 2))]), "conv1: only a block without a stride"),
    (
        mobile(expand=Conv(zeros(6, 3, 1, 1), zeros(6))),
        r"block2.expand: .* but \(6, 4, 1, 1\) and \(6,\)",
    ),
    (mobile(depthwise=Conv(zeros(5, 1, 3, 3), zeros(5))), r"block2.depthwise: .* \(4, 1, 3, 3\)"),
    (mobile(depthwise=Conv(zeros(4, 1, 2, 3), zeros(4))), "block2.depthwise: a kernel of 2 x 3"),
    (mobile(project=Conv(zeros(4, 4, 3, 3), zeros(4))), r"block2.project: .* \(4, 4, 1, 1\)"),
    (
        mobile(squeeze=(Dense(zeros(4, 2), zeros(2)), Dense(zeros(2, 3), zeros(3)))),
        "block2.squeeze: 3 shares for 4 channels",
    ),
    (broken(pieces=Pieces(38, pool="logits")), "pieces of 38 frames of a clip of 37"),
    (broken(pieces=Pieces(9, pool="median")), "pool 'median'; choose logits or scores"),
    (broken(grus=[gru(kernel=zeros(7, 15))]), r"gru1 kernel: .* \(6, n_out\)"),
    (
        broken(grus=[gru(recurrent=zeros(4, 15))]),
        "gru1 kernel: 15 columns are not three gates of 4",
    ),
    (broken(grus=[gru(recurrent_bias=zeros(3))]), "gru1 recurrent: weights"),
    (broken(grus=[gru(bias=zeros(3))]), "gru1 kernel: weights"),
    (broken(grus=[gru(gate="tanh")]), "gru1: gate 'tanh'"),
    (broken(grus=[], summary="median"), "summary 'median'; choose one of flatten, mean, max"),
    (broken(beside="median"), "beside 'median'; choose one of none, mean, max"),
    (broken(output=Dense(zeros(6, 2), zeros(2))), r"output: weights of shape \(6, 2\)"),
    (broken(output=Dense(zeros(5, N_TAGS), NAN)), "output.bias holds values that are not finite"),
]


@pytest.mark.parametrize(("described", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_network_that_does_not_fit_together_is_refused_by_the_layer_s_name(described, message):
    with pytest.raises(BadValue, match=message):
        build(described)


def test_a_norm_with_a_negative_variance_is_refused_when_the_graph_is_built():
    norm = dataclasses.replace(random_norm(np.random.default_rng(0), 1), variance=np.float32([-1]))
    with pytest.raises(BadValue, match=r"norm1\.scale holds values that are not finite"):
        build(broken(front=[norm.affine()]))
