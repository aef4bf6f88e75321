"""ONNX files: reads their metadata, and imports onnx, or says how to install it, to make them."""

from __future__ import annotations

from functools import cache
from typing import Any

from earmark.errors import MissingExtra


def load_onnx() -> Any:
    """The module onnx. Raises MissingExtra, with the command that installs it."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "models") from error
    return onnx


def metadata_in(data: bytes) -> dict[str, str]:
    """The metadata in the bytes of an ONNX file. Raises ValueError for anything else."""
    from google.protobuf.message import DecodeError

    try:
        model = _model_class().FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    return {entry.key: entry.value for entry in model.metadata_props}


@cache
def _model_class() -> Any:
    """ONNX's ModelProto, as far as its metadata: tagging does without the package onnx, 26 MB."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="earmark/onnx.proto", package="earmark.onnx")
    entry = file.message_type.add(name="StringStringEntryProto")
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(
            name=name, number=number, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL
        )
    file.message_type.add(name="ModelProto").field.add(
        name="metadata_props", number=14, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED,
        type_name=".earmark.onnx.StringStringEntryProto",
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("earmark.onnx.ModelProto"))
