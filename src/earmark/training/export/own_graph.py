"""A network of the user's own as an ONNX graph, by torch's own exporter."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from earmark.errors import BadModel
from earmark.graph.nodes import IR_VERSION, OPSET
from earmark.model_file import EMBEDDING, INPUT, LOGITS

if TYPE_CHECKING:
    import onnx

    from earmark.training.task import Task


class _WithEmbedding(nn.Module):
    """Log-mel to logits and embedding."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.embed: Callable[[Tensor], Tensor] | None = getattr(model, "embed", None)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(log_mel)
        embedding = logits + 0 if self.embed is None else self.embed(log_mel)
        return logits, embedding


def own_graph(model: nn.Module, task: Task) -> onnx.ModelProto:
    """What the network computes in evaluation mode, for any number of clips.

    Raises BadModel for a network that torch cannot write as ONNX.
    """
    import onnx

    features = task.features
    clips = torch.full((2, features.n_mels, features.n_frames), task.standardise[0])
    both = _WithEmbedding(model).eval()
    names = [LOGITS, EMBEDDING]
    try:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            file = Path(folder) / "network.onnx"
            # the newer exporter needs a package of its own, and makes the same graph here
            warnings.simplefilter("ignore")
            torch.onnx.export(
                both,
                (clips,),
                file,
                input_names=[INPUT],
                output_names=names,
                dynamic_axes={name: {0: "batch"} for name in (INPUT, *names)},
                opset_version=OPSET,
                dynamo=False,
            )
            graph = onnx.load(file)
        graph.ir_version = IR_VERSION  # as of earmark's own graphs, which may be put before it
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadModel(
            f"torch cannot write this network as ONNX ({reason}). Use other operations in it"
        ) from error
    with torch.inference_mode():
        for output, value in zip(graph.graph.output, both(clips), strict=True):
            output.type.tensor_type.shape.dim[1].dim_value = value.shape[1]
    return graph
