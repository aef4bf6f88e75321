"""The networks of this family as one ONNX graph, from NumPy weights alone.

A network is described by plain arrays (`Network`): what happens to the spectrogram, some
convolution blocks, some GRUs or none, a dense output. `build` writes the graph in the shape that
runs fastest: norms are folded into the convolutions, wide convolutions of 3 x 3 are computed by
Winograd's algorithm, strip by strip, max-pooling comes before the activation (the same function,
since ELU and ReLU never fall), and the GRUs are unrolled over their steps, the product with their
input taken out of the loop. OpenVINO reads no ONNX GRU with hard-sigmoid gates; it reads this.

Who imports weights and who exports trained ones both come here, so that what is tested once holds
for every model file.
"""

from earmark.graph.layers import build
from earmark.graph.network import (
    Activation,
    Affine,
    AveragePool,
    Conv,
    ConvBlock,
    Dense,
    Gru,
    InvertedResidual,
    Musicnn,
    Network,
    Norm,
    Pad,
    Pieces,
    PooledConv,
    Rectified,
    SilentMels,
    swap_gates,
    torch_gru,
)

__all__ = [
    "Activation",
    "Affine",
    "AveragePool",
    "Conv",
    "ConvBlock",
    "Dense",
    "Gru",
    "InvertedResidual",
    "Musicnn",
    "Network",
    "Norm",
    "Pad",
    "Pieces",
    "PooledConv",
    "Rectified",
    "SilentMels",
    "build",
    "swap_gates",
    "torch_gru",
]
